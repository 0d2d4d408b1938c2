"""Compose pods of team alpha and check them, for tests of the layers and the rules."""

from __future__ import annotations

from typing import Any

from kpo_platform.contract import Contract
from kpo_platform.finding import RULES, raise_refusals
from kpo_platform.pod.compose import PodRequest, compose
from kpo_platform.pod.merge import Json
from kpo_platform.pod.rules.all_rules import check_pod
from kpo_platform.pod.xcom import ResultMode
from unit.support.contracts import build_contract


def compose_and_check(contract: Contract, request: PodRequest, *, rendered: bool = True) -> Json:
    """Compose a pod and check it against the rules.

    Raises:
        RefusalError: a rule refuses the pod.
    """
    pod, team = compose(contract, request), contract.team(request.team)
    raise_refusals([*request.check_duplicates(), *check_pod(pod, request.team, team, contract, rendered=rendered)])
    return pod


def list_refusals(
    pod: dict[str, Any],
    *,
    rendered: bool = True,
    policy: dict[str, str] | None = None,
    result_mode: ResultMode = "",
    **team: Any,
) -> list[str]:
    """Compose a valid pod of team alpha with ``pod`` as pod_override, and list the messages of its refusals.

    Args:
        pod: the pod_override.
        rendered: False before Jinja rendering.
        policy: the contract's label policy.
        result_mode: how the task's result leaves the pod.
        team: fields of the team that differ from `TEAM`.
    """
    contract = build_contract(**team).model_copy(update={"label_policy": policy or {}})
    image = override_base(image="busybox:1.35")
    request = PodRequest(team="alpha", arguments=image, pod_override=pod, result_mode=result_mode)
    options: dict[str, Any] = {"rendered": rendered, "result_mode": result_mode}
    refusals = check_pod(compose(contract, request), "alpha", contract.team("alpha"), contract, **options)
    assert {refusal.rule for refusal in refusals} <= set(RULES)
    return [str(refusal) for refusal in refusals]


def override_spec(**fields: Any) -> dict[str, Any]:
    """Build a pod_override with fields of the pod's spec."""
    return {"spec": fields}


def override_base(**fields: Any) -> dict[str, Any]:
    """Build a pod_override with fields of the container ``base``."""
    return override_spec(containers=[{"name": "base", **fields}])


def override_env(name: str, value: str) -> dict[str, Any]:
    """Build a pod_override with one environment variable of the container ``base``."""
    return override_base(env=[{"name": name, "value": value}])
