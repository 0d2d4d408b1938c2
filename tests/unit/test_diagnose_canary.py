"""platformctl diagnose prints no value of a variable of the pod, whatever is wrong with it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from unit.support.diagnosis import IMAGE, build_event, build_pod, end_with, wait_for
from unit.support.platformctl import Cluster, Platformctl
from unit.support.unscheduled_pods import TAINT, build_node, count

Json = dict[str, Any]
PODS = "/api/v1/namespaces/team-alpha/pods"
EVENTS = "/api/v1/namespaces/team-alpha/events"
CANARY = "canary-7f1c9a52d8e64b0b"

ENV = [
    {"name": "TOKEN", "value": CANARY},
    {"name": "OTHER", "valueFrom": {"secretKeyRef": {"name": "settings", "key": "absent"}}},
]
SPEC: Json = {
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "other", "operator": "Exists"}],
    "containers": [
        {
            "name": "base",
            "image": IMAGE,
            "env": ENV,
            "command": ["run"],
            "ports": [{"hostPort": 80, "containerPort": 80}],
            "resources": {"limits": {"memory": "64Mi"}, "requests": {"cpu": "64"}},
        }
    ],
}
KEY = "couldn't find key absent in Secret team-alpha/settings"
SHOWN: dict[str, tuple[str, Json]] = {
    "KPO-IMG103": ("", {"containerStatuses": [wait_for("ErrImagePull", f"{IMAGE}: not found")]}),
    "KPO-STA101": ("", {"containerStatuses": [wait_for("CreateContainerConfigError", 'secret "settings" not found')]}),
    "KPO-STA102": ("", {"containerStatuses": [wait_for("CreateContainerConfigError", KEY)]}),
    "KPO-STA114": (
        "",
        {
            "containerStatuses": [
                end_with(128, "StartError", 'exec: "run": executable file not found in $PATH: unknown')
            ]
        },
    ),
    "KPO-END101": ("", {"phase": "Failed", "containerStatuses": [end_with(137, "OOMKilled")]}),
    "KPO-END111": ("", {"phase": "Failed", "containerStatuses": [end_with(2)]}),
    "KPO-SCH105": (count("1 node(s) didn't match Pod's node affinity/selector"), {}),
    "KPO-SCH106": (count(f"1 {TAINT}"), {}),
    "KPO-SCH101": (count("1 Insufficient cpu"), {}),
    "KPO-SCH109": (count("1 node(s) didn't have free ports for the requested pod ports"), {}),
}
"""Code of the cause → message of the scheduler, and the status of the pod."""


def add(cluster: Cluster, message: str, status: Json) -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    pod = build_pod(SPEC, **status, **({"conditions": [condition]} if message else {}))
    applied = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(SPEC)}
    pod["metadata"] |= {"annotations": applied}
    node = build_node("near", ("team=x:NoSchedule",))
    event = build_event("Failed", "Error: cannot start", "base")
    cluster.platform.objects |= {f"{PODS}/report": pod, "/api/v1/nodes/near": node, f"{EVENTS}/1": event}


@pytest.mark.parametrize("words", [("report", "-n", "team-alpha"), ("--team", "alpha")])
@pytest.mark.parametrize("output", ["text", "json", "sarif", "junit"])
@pytest.mark.parametrize("code", SHOWN)
def test_no_finding_contains_the_value_of_a_variable(
    platformctl: Platformctl, cluster: Cluster, code: str, output: str, words: tuple[str, ...]
):
    add(cluster, *SHOWN[code])
    result = platformctl("diagnose", *words, "-o", output, *cluster.options)
    assert (result.code, code in result.out) == (1, True), result.out
    assert CANARY not in result.out + result.err
