"""What speaks against a pod of team alpha, for tests of the rules."""

from __future__ import annotations

from typing import Any

from kpo_platform.finding import RULES
from kpo_platform.pod.compose import PodRequest, unchecked
from kpo_platform.pod.rules.all_rules import refusals
from unit.contracts import contract


def found(
    pod: dict[str, Any], *, rendered: bool = True, policy: dict[str, str] | None = None, **team: Any
) -> list[str]:
    """The sentences against a pod of team alpha that is fine but for ``pod``."""
    whole = contract(**team).model_copy(update={"label_policy": policy or {}})
    base = {"spec": {"containers": [{"name": "base", "image": "busybox:1.35"}]}}
    composed = unchecked(whole, PodRequest(team="alpha", arguments=base, pod_override=pod))
    reasons = refusals(composed, "alpha", whole.team("alpha"), whole, rendered=rendered)
    assert {reason.rule for reason in reasons} <= set(RULES)
    return [str(reason) for reason in reasons]


def spec(**fields: Any) -> dict[str, Any]:
    return {"spec": fields}


def base(**fields: Any) -> dict[str, Any]:
    return spec(containers=[{"name": "base", **fields}])


def env(name: str, value: str) -> dict[str, Any]:
    return base(env=[{"name": name, "value": value}])
