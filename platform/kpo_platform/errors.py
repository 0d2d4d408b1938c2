"""The errors of kpo-platform, one tree.

    PlatformError              anything this package raises on purpose
    ├── ContractError          the contract is missing, unreadable or of another version
    ├── TeamError              a team, size, template or sidecar that the contract does not know
    ├── PodError               a pod that may not be made as it was asked for
    ├── DagError               DAG files that cannot be read
    ├── TaskError              a task that is not there, or needs what was not given
    ├── ClusterError           the Kubernetes API did not do what was asked
    │   ├── Unreachable        no answer from the API server
    │   ├── Forbidden          the caller lacks a right
    │   ├── NotFound           the object is not there
    │   └── Conflict           the object is there already, or was changed in between
    ├── AirflowError           Airflow's REST API did not do what was asked
    └── BootstrapError         bootstrap could not complete

Every message is written for the person who reads it: what is so, what was expected, what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "AirflowError",
    "BootstrapError",
    "ClusterError",
    "Conflict",
    "ContractError",
    "DagError",
    "Forbidden",
    "NotFound",
    "PlatformError",
    "PodError",
    "TaskError",
    "TeamError",
    "Unreachable",
]


class PlatformError(Exception):
    """Anything this package raises on purpose; catch it to catch all of them.

    Args:
        evidence: what is so, and what was expected; or the whole sentence.
        fix: what to do next.
    """

    def __init__(self, evidence: str = "", fix: str = "") -> None:
        super().__init__(f"{evidence}: {fix}" if fix else evidence)
        self.evidence = evidence
        self.fix = fix


class ContractError(PlatformError):
    """The contract is missing, unreadable or of another version."""


class TeamError(PlatformError):
    """A team, size, template or sidecar that the contract does not know."""


class PodError(PlatformError):
    """A pod that may not be made as it was asked for."""


class DagError(PlatformError):
    """DAG files that cannot be read."""


class TaskError(PlatformError):
    """A task that is not there, or needs what was not given."""


class ClusterError(PlatformError):
    """The Kubernetes API did not do what was asked."""


class Unreachable(ClusterError):  # noqa: N818 (reads as what it is in an except clause)
    """No answer from the API server."""


class Forbidden(ClusterError):  # noqa: N818
    """The caller lacks a right; the message names verb, resource and namespace."""


class NotFound(ClusterError):  # noqa: N818
    """The object is not there."""


class Conflict(ClusterError):  # noqa: N818
    """The object is there already, was changed in between, or has fields that another manager holds."""


class AirflowError(PlatformError):
    """Airflow's REST API did not do what was asked."""


class BootstrapError(PlatformError):
    """Bootstrap could not complete; what was done stays and a second run goes on."""


def describe_unknown_name(kind: str, name: str, known: Iterable[str]) -> tuple[str, str]:
    """What an error says of a name that is not known.

    Args:
        kind: what the name was meant to name, such as ``team``.
        name: the name that was given.
        known: the names that exist.

    Returns:
        What is so, and the nearest known name, or all known names where none is near.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(names) or 'none'}."
    return f"{kind} {name!r} is not in the contract", hint
