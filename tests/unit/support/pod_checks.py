"""Compose pods of team alpha and check them, for tests of the layers and the rules."""

from __future__ import annotations

from typing import Any

from kpo_platform.contract import Contract
from kpo_platform.finding import RULES, raise_refusals
from kpo_platform.pod.compose import PodRequest, compose
from kpo_platform.pod.merge import Json
from kpo_platform.pod.rules.all_rules import check_pod
from unit.support.contracts import contract


def compose_and_check(contract: Contract, request: PodRequest, *, rendered: bool = True) -> Json:
    """Compose a pod and check it against the rules.

    Raises:
        RefusalError: a rule refuses the pod.
    """
    pod, team = compose(contract, request), contract.team(request.team)
    raise_refusals([*request.check_duplicates(), *check_pod(pod, request.team, team, contract, rendered=rendered)])
    return pod


def found(
    pod: dict[str, Any], *, rendered: bool = True, policy: dict[str, str] | None = None, **team: Any
) -> list[str]:
    """Compose a valid pod of team alpha with ``pod`` as override, and list its refusals."""
    whole = contract(**team).model_copy(update={"label_policy": policy or {}})
    base = {"spec": {"containers": [{"name": "base", "image": "busybox:1.35"}]}}
    composed = compose(whole, PodRequest(team="alpha", arguments=base, pod_override=pod))
    reasons = check_pod(composed, "alpha", whole.team("alpha"), whole, rendered=rendered)
    assert {reason.rule for reason in reasons} <= set(RULES)
    return [str(reason) for reason in reasons]


def spec(**fields: Any) -> dict[str, Any]:
    return {"spec": fields}


def base(**fields: Any) -> dict[str, Any]:
    return spec(containers=[{"name": "base", **fields}])


def env(name: str, value: str) -> dict[str, Any]:
    return base(env=[{"name": name, "value": value}])
