"""Refusals of the API server, and the causes that are found in them."""

from __future__ import annotations

from typing import Any

from kpo_platform.diagnosis.cause import Cause
from kpo_platform.diagnosis.diagnose import diagnose
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.signals import Rejection
from unit.support.contracts import build_contract
from unit.support.diagnosis import IMAGE, build_pod

TEAM = build_contract().teams["alpha"]
FORBIDDEN = 'pods "report" is forbidden: '


def build_spec(resources: dict[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    """Return the spec of a pod with a container `base`."""
    return {"containers": [{"name": "base", "image": IMAGE, "resources": resources or {}, **container}]}


def find_cause(message: str, spec: dict[str, Any] | None = None, status: int = 403, team: Any = TEAM) -> Cause:
    """Find the cause of a refusal."""
    facts = Facts(pod=build_pod(spec), rejection=Rejection(status, message), team=team, team_name="alpha")
    (cause,) = diagnose(facts).causes
    return cause


def read_base(cause: Cause) -> dict[str, Any]:
    """Return the changed fields of the container base."""
    assert cause.finding.fix.patch is not None
    (base,) = cause.finding.fix.patch["spec"]["containers"]
    assert base.pop("name") == "base"
    return base
