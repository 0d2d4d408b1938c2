"""Root containers under the Pod Security level baseline."""

from __future__ import annotations

from typing import Any

import yaml

from common.paths import REPOSITORY
from kpo_platform.pod.compose import PodRequest
from unit.support.contracts import build_contract
from unit.support.pod_checks import compose_and_check, list_refusals, override_base, override_spec

TEMPLATE = yaml.safe_load((REPOSITORY / "pod_templates" / "default.yaml").read_text(encoding="utf-8"))
RESTRICTED_CONTEXT = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
INIT_CONTAINER = {"name": "aside", "image": "a:1"}


def list_security_contexts(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """Compose a pod with the chart's template at the level baseline, and list its containers' security contexts."""
    contract = build_contract(podSecurity="baseline").model_copy(update={"pod_templates": {"default": TEMPLATE}})
    image = {"spec": {"containers": [{"name": "base", "image": "b:1"}], "initContainers": [INIT_CONTAINER]}}
    composed = compose_and_check(contract, PodRequest(team="alpha", arguments=image, pod_override=pod))
    containers = [*composed["spec"]["containers"], *composed["spec"]["initContainers"]]
    assert composed["spec"]["securityContext"]["runAsNonRoot"] is True
    return [container.get("securityContext", {}) for container in containers]


def test_only_the_container_that_requests_root_may_run_as_root():
    assert list_security_contexts(override_base(securityContext={"runAsUser": 0})) == [
        {**RESTRICTED_CONTEXT, "runAsUser": 0, "runAsNonRoot": False},
        {},
    ]


def test_root_pod_allows_root_except_with_another_user():
    user = {"containers": [{"name": "base", "securityContext": {"runAsUser": 1000}}]}
    assert list_security_contexts(override_spec(securityContext={"runAsUser": 0}, **user)) == [
        {**RESTRICTED_CONTEXT, "runAsUser": 1000},
        {"runAsNonRoot": False},
    ]


def test_pod_that_does_not_request_root_is_unchanged():
    assert list_security_contexts({}) == [RESTRICTED_CONTEXT, {}]


def test_root_with_run_as_non_root_is_refused():
    assert list_refusals(
        override_base(securityContext={"runAsUser": 0, "runAsNonRoot": True}), podSecurity="baseline"
    ) == [
        "Container 'base' runs as root (runAsUser 0), but runAsNonRoot forbids it, so no node starts it. "
        "Set runAsNonRoot: False beside runAsUser, or leave runAsUser out."
    ]
