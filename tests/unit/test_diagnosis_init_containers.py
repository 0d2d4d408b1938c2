"""Pods that a node cannot set up, and init containers and sidecars that keep the program from starting."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kpo_platform.diagnosis.diagnose import diagnose
from kpo_platform.diagnosis.facts import Facts
from unit.support.diagnosis import IMAGE, build_event, build_pod, end_with, find_causes, wait_for

NOW = datetime(2026, 11, 30, 10, 10, tzinfo=UTC)
SANDBOX = "Failed to create pod sandbox: rpc error: code = Unknown desc = "
MISSING = 'error during container init: exec: "x": executable file not found in $PATH'


def build_facts(status: dict[str, Any], spec: dict[str, Any] | None = None, **fields: Any) -> Facts:
    pod = build_pod({"nodeName": "node-1", **(spec or {})}, startTime="2026-11-30T09:59:59Z", **status)
    return Facts(pod=pod, now=NOW, **fields)


@pytest.mark.parametrize(
    ("reason", "message", "code", "outlook"),
    [
        (
            "FailedCreatePodSandBox",
            f'{SANDBOX}failed to setup network for sandbox "x": plugin type="calico" failed (add): error',
            "KPO-STA122",
            "waits",
        ),
        ("NetworkNotReady", "network is not ready: cni plugin not initialized", "KPO-STA122", "waits"),
        (
            "FailedCreatePodSandBox",
            f'{SANDBOX}failed to setup network for sandbox "x": plugin type="aws-cni" name="aws-cni" failed (add): add '
            "cmd: failed to assign an IP address to container",
            "KPO-STA121",
            "waits",
        ),
        (
            "FailedCreatePodSandBox",
            f'{SANDBOX}plugin type="bridge" failed (add): failed to allocate for range 0: no IP addresses available in '
            "range set: 10.0.0.1-10.0.0.254",
            "KPO-STA121",
            "waits",
        ),
        (
            "FailedCreatePodSandBox",
            f"{SANDBOX}unable to allocate IP via local cilium agent: [POST /ipam][502] postIpamFailure range is full",
            "KPO-STA121",
            "waits",
        ),
        ("FailedCreatePodSandBox", f'{SANDBOX}no runtime for "gvisor" is configured', "KPO-STA123", "final"),
        ("FailedCreatePodSandBox", f"{SANDBOX}failed to find runtime handler kata from list", "KPO-STA123", "final"),
        ("FailedCreatePodSandBox", f'{SANDBOX}failed to get sandbox image "r.test/pause:3"', "KPO-STA124", "waits"),
        (
            "FailedCreatePodSandBox",
            f"{SANDBOX}container init was OOM-killed (memory limit too low?)",
            "KPO-STA125",
            "final",
        ),
        ("FailedCreatePodSandBox", f"{SANDBOX}something new", "KPO-STA120", "waits"),
    ],
)
def test_pod_that_a_node_cannot_set_up_is_told(reason: str, message: str, code: str, outlook: str):
    status = {"containerStatuses": [wait_for("ContainerCreating")]}
    facts = build_facts(status, events=(build_event(reason, message),))
    assert [cause[:2] for cause in find_causes(facts)] == [(code, outlook)]


PREPARE = {"initContainers": [{"name": "prepare", "image": IMAGE}]}
PROXY = {"initContainers": [{"name": "proxy", "image": IMAGE, "restartPolicy": "Always"}]}
WAITING = {"containerStatuses": [wait_for("PodInitializing")]}


def test_failed_init_container_is_told_with_its_log():
    status = {"phase": "Failed", "initContainerStatuses": [end_with(3, message="no input", name="prepare")], **WAITING}
    (cause,) = diagnose(build_facts(status, PREPARE)).causes
    assert (cause.finding.code, cause.outlook) == ("KPO-STA126", "final")
    assert (
        cause.finding.cause
        == 'Init container "prepare" failed with exit code 3, so the program did not start: no input'
    )
    assert cause.finding.fix.commands == ("kubectl -n team-alpha logs report -c prepare",)


def test_init_container_without_memory_is_told_with_its_limit():
    status = {"phase": "Failed", "initContainerStatuses": [end_with(137, "OOMKilled", name="prepare")], **WAITING}
    limits = {"name": "prepare", "image": IMAGE, "resources": {"limits": {"memory": "32Mi"}}}
    ((code, _, _, text),) = find_causes(build_facts(status, {**PREPARE, "initContainers": [limits]}))
    assert (code, text) == (
        "KPO-STA127",
        'Init container "prepare" ran out of memory at its limit of 32Mi, so the program did not start',
    )


@pytest.mark.parametrize(
    ("former", "code"),
    [
        (end_with(1)["state"], "KPO-STA129"),
        (end_with(128, "StartError", MISSING)["state"], "KPO-STA114"),
    ],
)
def test_sidecar_that_crashes_before_the_program_is_told(former: dict[str, Any], code: str):
    crashing = {**wait_for("CrashLoopBackOff", "back-off 10s restarting", "proxy"), "lastState": former}
    facts = build_facts({"initContainerStatuses": [crashing], **WAITING}, PROXY)
    assert [cause[0] for cause in find_causes(facts)] == [code]


def test_sidecar_of_a_summary_is_told_by_its_event():
    crashing = wait_for("CrashLoopBackOff", "back-off 10s restarting", "proxy")
    text = f"Error: {MISSING}"
    event = {
        **build_event("Failed", text),
        "involvedObject": {"kind": "Pod", "fieldPath": "spec.initContainers{proxy}"},
    }
    facts = build_facts({"initContainerStatuses": [crashing], **WAITING}, PROXY, events=(event,))
    assert [cause[0] for cause in find_causes(facts)] == ["KPO-STA114"]


def run(name: str, since: str) -> dict[str, Any]:
    return {"name": name, "state": {"running": {"startedAt": since}}}


def test_sidecar_that_does_not_pass_its_startup_probe_is_told():
    status = {"initContainerStatuses": [run("proxy", "2026-11-30T10:00:00Z")], **WAITING}
    event = build_event("Unhealthy", "Startup probe failed: connection refused", time="2026-11-30T10:09:00Z")
    event["involvedObject"]["fieldPath"] = "spec.initContainers{proxy}"
    (cause,) = diagnose(build_facts(status, PROXY, events=(event,))).causes
    assert (cause.finding.code, cause.outlook) == ("KPO-STA130", "waits")
    probe = {"name": "proxy", "startupProbe": None}
    assert cause.finding.fix.patch == {"spec": {"initContainers": [probe]}}


def test_init_container_that_runs_for_long_is_told_vaguely():
    status = {"initContainerStatuses": [run("prepare", "2026-11-30T10:00:00Z")], **WAITING}
    (cause,) = diagnose(build_facts(status, PREPARE)).causes
    assert (cause.finding.code, cause.outlook, cause.is_vague) == ("KPO-STA128", "waits", True)


OLD = build_event("FailedCreatePodSandBox", f'{SANDBOX}plugin type="calico" failed (add): error')
READY = {"type": "PodReadyToStartContainers", "status": "True"}
PULLING = build_event("Pulling", "", "base", time="2026-11-30T10:00:09Z")


@pytest.mark.parametrize(
    "facts",
    [
        build_facts({"containerStatuses": [wait_for("ContainerCreating")]}),
        build_facts(WAITING, PREPARE),
        build_facts({"phase": "Running", "containerStatuses": [run("base", "2026-11-30T10:00:05Z")]}, events=(OLD,)),
        build_facts({"conditions": [READY], "containerStatuses": [wait_for("ContainerCreating")]}, events=(OLD,)),
        build_facts({"containerStatuses": [wait_for("ContainerCreating")]}, events=(OLD, PULLING)),
        build_facts({"phase": "Succeeded", "containerStatuses": [end_with(0, "Completed")]}, events=(OLD,)),
        build_facts(
            {"initContainerStatuses": [run("prepare", "2026-11-30T10:09:00Z")], **WAITING},
            PREPARE,
        ),
        build_facts(
            {"initContainerStatuses": [end_with(0, "Completed", name="prepare")], **WAITING},
            PREPARE,
        ),
        build_facts({"initContainerStatuses": [run("proxy", "2026-11-30T10:00:00Z")], **WAITING}, PROXY),
        build_facts({"containerStatuses": [wait_for("ErrImagePull", "not found")]}),
        build_facts(
            {
                "initContainerStatuses": [end_with(137, name="prepare")],
                "reason": "Evicted",
                "phase": "Failed",
                **WAITING,
            },
            PREPARE,
        ),
        Facts(
            pod={
                "status": {"containerStatuses": [{"state": {"waiting": {"reason": 5}}}, "?"]},
                "spec": {"containers": 1},
            }
        ),
        Facts(),
    ],
)
def test_pod_that_starts_has_no_finding(facts: Facts):
    assert [cause for cause in find_causes(facts) if "STA" in cause[0]] == []
