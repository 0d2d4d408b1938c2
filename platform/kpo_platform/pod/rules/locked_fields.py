"""Rule: a pod has the namespace, the service account and the token mount of its team."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kpo_platform.contract import Team
from kpo_platform.finding import Refusal
from kpo_platform.pod.merge import Json

_FIX = "Leave it out, or ask the platform team to change the team's values."


def check_locked_fields(pod: Json, team_name: str, team: Team) -> Iterator[Refusal]:
    """Refuse another value of a field that the team's contract fixes."""
    spec, account = pod["spec"], team.service_account
    locked: list[tuple[str, Any, Any]] = [
        ("namespace", pod["metadata"].get("namespace"), team.namespace),
        ("serviceAccountName", spec.get("serviceAccountName"), account.name),
        ("serviceAccount", spec.get("serviceAccount"), account.name),
        ("automountServiceAccountToken", spec.get("automountServiceAccountToken"), account.mount_token),
        ("restartPolicy", spec.get("restartPolicy"), "Never"),
    ]
    for field, value, required in locked:
        if value is not None and value != required:
            yield Refusal("locked", f"{field} is {value!r}, but team {team_name!r} has {required!r}", _FIX)
    if not account.mount_token:
        yield from _check_token_volumes(spec, team_name)


def _check_token_volumes(spec: Json, team_name: str) -> Iterator[Refusal]:
    """Refuse projected volumes with a token for the cluster's API; tokens for other audiences are allowed.

    The API server accepts the audiences in its ``--api-audiences``: by default its issuer, which on most clusters is
    the URL of the Service ``kubernetes``.
    """
    for volume in spec.get("volumes") or []:
        for source in (volume.get("projected") or {}).get("sources") or []:
            token = source.get("serviceAccountToken")
            if token is not None and _is_api_audience(str(token.get("audience") or "")):
                yield Refusal(
                    "locked",
                    f"Volume {volume.get('name')!r} mounts a token for the Kubernetes API, but the pods of team "
                    f"{team_name!r} have none",
                    "Set the audience to the service that receives the token, or ask the platform team to set "
                    "serviceAccount.mountToken.",
                )


def _is_api_audience(audience: str) -> bool:
    return not audience or audience.removeprefix("https://").startswith("kubernetes.default")
