"""platformctl diagnose with pods that cannot start or fail, with names drawn at random, and with healthy ones."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from cluster.support.pods.sleeper import POD
from cluster.support.secret_scan import PASSWORD, contains_password
from common.command import capture_output
from common.polling import NotYet, wait_for
from stack.release import Stack
from stack.team_release import install_team_release

Json = dict[str, Any]

RELEASE, TEAM, NAMESPACE = "clinic", "ward", "team-ward"
FULL_TEAM, FULL_NAMESPACE = "full", "team-full"
"""A team whose quota has no room for a pod."""

NAME = f"n{secrets.token_hex(4)}"
"""The name of whatever does not exist; another one in each run."""

PRESENT = "present"
"""A Secret that exists, without the key that is looked for."""

MAP = "kube-root-ca.crt"
"""A ConfigMap that every namespace has."""

CRASH = 'sh -c "kill -SEGV \\$\\$"; exit $?'
"""Process 1 of a container ignores a signal that it has no handler for."""

ENV = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": PRESENT, "key": NAME}}}]
PROBE = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}

FAULTS: dict[str, tuple[Json, Json, str, str]] = {
    "image-name": ({}, {"image": f"Registry/{NAME}:1"}, "KPO-IMG101", "Pod"),
    "image-never": ({}, {"image": f"localhost/{NAME}:1", "imagePullPolicy": "Never"}, "KPO-IMG102", "Pod"),
    "image-host": ({}, {"image": f"{NAME}.invalid/a:1"}, "KPO-IMG111", "Pod"),
    "image-silent": ({}, {"image": f"127.0.0.1:9/{NAME}:1"}, "KPO-IMG110", "Pod"),
    "secret": ({}, {"envFrom": [{"secretRef": {"name": NAME}}]}, "KPO-STA101", f"Secret {NAME}"),
    "config-map": ({}, {"envFrom": [{"configMapRef": {"name": NAME}}]}, "KPO-STA101", f"ConfigMap {NAME}"),
    "secret-key": ({}, {"env": ENV}, "KPO-STA102", f"Secret {PRESENT}"),
    "secret-volume": (
        {"volumes": [{"name": "v", "secret": {"secretName": NAME}}]},
        {},
        "KPO-VOL117",
        f"Secret {NAME}",
    ),
    "claim": (
        {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": NAME}}]},
        {},
        "KPO-VOL101",
        f"PersistentVolumeClaim {NAME}",
    ),
    "storage-class": (
        {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "unbound"}}]},
        {},
        "KPO-VOL111",
        "PersistentVolumeClaim unbound",
    ),
    "selector": ({"nodeSelector": {NAME: "1"}}, {}, "KPO-SCH105", "Pod"),
    "size": ({}, {"resources": {"requests": {"cpu": "900"}, "limits": {"cpu": "900"}}}, "KPO-SCH101", "Pod"),
    "command": ({}, {"command": [f"run {NAME}"]}, "KPO-STA114", "Pod"),
    "permission": ({}, {"command": ["/etc/passwd"]}, "KPO-STA115", "Pod"),
    "memory": ({}, {"command": ["sh", "-c", "x=a; while :; do x=$x$x; done"]}, "KPO-END101", "Pod"),
    "exit": ({}, {"command": ["sh", "-c", f"echo ValueError: {NAME}; exit 3"]}, "KPO-END111", "Pod"),
    "crash": ({}, {"command": ["sh", "-c", CRASH]}, "KPO-END104", "Pod"),
    "liveness": ({}, {"livenessProbe": PROBE}, "KPO-RUN101", "Pod"),
    "deadline": ({"activeDeadlineSeconds": 2}, {}, "KPO-END113", "Pod"),
}
"""Name of the pod → changes of its spec and of its container, the code of the cause, and the object to change."""

HEALTHY: dict[str, tuple[Json, Json]] = {
    "running": ({}, {}),
    "succeeded": ({}, {"command": ["true"]}),
    "sidecar": ({"initContainers": [{**POD["spec"]["containers"][0], "name": "side", "restartPolicy": "Always"}]}, {}),
    "mounted": ({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "good"}}]}, {}),
    "environment": ({}, {"envFrom": [{"secretRef": {"name": PRESENT}}]}),
    "optional": ({}, {"envFrom": [{"secretRef": {"name": NAME, "optional": True}}]}),
}


def build_pod(name: str, spec: Json, container: Json) -> Json:
    """Return a pod with these changes; its volumes are mounted."""
    pod = deepcopy(POD)
    pod["metadata"] = {"name": name}
    (base,) = pod["spec"]["containers"]
    base |= {"imagePullPolicy": "IfNotPresent", **container}
    base["env"] = [*base.get("env", ()), {"name": "CANARY", "value": PASSWORD}]
    base["volumeMounts"] = [{"name": each["name"], "mountPath": "/v"} for each in spec.get("volumes", ())]
    pod["spec"] |= {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, **spec}
    return pod


def build_claim(name: str, storage_class: str | None = None) -> Json:
    spec: Json = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": spec | ({"storageClassName": storage_class} if storage_class else {}),
    }


@pytest.fixture(scope="module", autouse=True)
def pods(stack: Stack) -> Iterator[None]:
    """All pods, in the namespace of a team."""
    present = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": PRESENT}, "stringData": {"KEY": PASSWORD}}
    broken = [build_pod(name, spec, container) for name, (spec, container, *_) in FAULTS.items()]
    healthy = [build_pod(name, spec, container) for name, (spec, container) in HEALTHY.items()]
    items = [present, build_claim("unbound", NAME), build_claim("good"), *broken, *healthy]
    teams = {TEAM: {"quota": {}}, FULL_TEAM: {"quota": {"pods": "0"}}}
    with install_team_release(stack, RELEASE, {"teams": teams}):
        content = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        stack.kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=content)
        yield


def diagnose(stack: Stack, programs: Path, *words: str, stdin: str = "") -> tuple[int, Json]:
    """Return exit code and findings, which contain neither the value of a variable nor that of a Secret."""
    command = [programs / "platformctl", "diagnose", *words, "--release-namespace", RELEASE, "-o", "json"]
    process = subprocess.run(
        command, env=stack.environment, input=stdin, capture_output=True, text=True, timeout=60, check=False
    )
    assert not contains_password(f"{process.stdout}{process.stderr}".encode())
    return process.returncode, json.loads(process.stdout)


def diagnose_planned(stack: Stack, programs: Path, pod: Json, namespace: str = NAMESPACE) -> tuple[int, Json]:
    """Return exit code and findings of a pod that is not created."""
    return diagnose(stack, programs, "-f", "-", "-n", namespace, stdin=json.dumps(pod))


@pytest.mark.parametrize("name", FAULTS)
def test_cause_of_each_fault_is_found_with_its_object(stack: Stack, programs: Path, name: str):
    *_, code, about = FAULTS[name]

    def probe() -> None:
        exit_code, result = diagnose(stack, programs, name, "-n", NAMESPACE)
        found = [(each["code"], f"{each['object']['kind']} {each['object']['name']}") for each in result["findings"]]
        expected = (code, about if " " in about else f"{about} {name}")
        if (exit_code, found[:1]) != (1, [expected]):
            raise NotYet(f"exit code {exit_code}, findings {found}")

    wait_for(f"the diagnosis of pod {name}", probe, deadline_s=60)


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_pod_has_no_finding(stack: Stack, programs: Path, name: str):
    def probe() -> None:
        pod = stack.get("pod", name, "-n", NAMESPACE)
        if pod["status"]["phase"] not in ("Running", "Succeeded"):
            raise NotYet(f"pod {name} is {pod['status']['phase']}")

    wait_for(f"pod {name} to start", probe, deadline_s=60)
    assert diagnose(stack, programs, name, "-n", NAMESPACE) == (0, {"findings": [], "could_not_look": []})


def test_team_has_all_broken_pods(stack: Stack, programs: Path):
    _, result = diagnose(stack, programs, "--team", TEAM)
    assert {each["pod"] for each in result["findings"]} == {f"{NAMESPACE}/{name}" for name in FAULTS}


SETTLED = {
    **{name: FAULTS[name] for name in ("secret", "config-map", "secret-volume", "claim", "selector", "size")},
    "storage-class": FAULTS["storage-class"],
    "map-key": (
        {},
        {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": MAP, "key": NAME}}}]},
        "KPO-STA102",
        f"ConfigMap {MAP}",
    ),
    "pull-secret": ({"imagePullSecrets": [{"name": NAME}]}, {}, "KPO-IMG105", f"Secret {NAME}"),
    "security": ({"hostNetwork": True}, {}, "KPO-ADM106", "Pod"),
    "account": ({"serviceAccountName": NAME}, {}, "KPO-ADM110", f"ServiceAccount {NAME}"),
    "priority": ({"priorityClassName": NAME}, {}, "KPO-ADM114", f"PriorityClass {NAME}"),
    "field": ({}, {"restart": NAME}, "KPO-ADM116", "Pod"),
    "range": ({}, {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}, "KPO-ADM116", "Pod"),
}
"""Faults that are certain before the pod is created, in the form of `FAULTS`."""


@pytest.mark.parametrize("name", SETTLED)
def test_fault_is_found_before_the_pod_is_created(stack: Stack, programs: Path, name: str):
    spec, container, code, about = SETTLED[name]
    planned = build_pod(f"planned-{name}", spec, container)
    exit_code, result = diagnose_planned(stack, programs, planned)
    found = [(each["code"], f"{each['object']['kind']} {each['object']['name']}") for each in result["findings"]]
    assert (exit_code, found) == (1, [(code, about if " " in about else f"{about} planned-{name}")])
    pods = stack.kubectl("get", "pods", "-n", NAMESPACE, "-o", "name").splitlines()
    assert [pod for pod in pods if "planned-" in pod] == []


def test_quota_without_room_is_found_before_the_pod_is_created(stack: Stack, programs: Path):
    exit_code, result = diagnose_planned(stack, programs, build_pod("planned", {}, {}), FULL_NAMESPACE)
    assert (exit_code, [each["code"] for each in result["findings"]]) == (1, ["KPO-ADM102"])


@pytest.mark.parametrize("name", HEALTHY)
def test_good_pod_has_no_finding_before_it_is_created(stack: Stack, programs: Path, name: str):
    planned = build_pod(f"planned-{name}", *HEALTHY[name])
    assert diagnose_planned(stack, programs, planned) == (0, {"findings": [], "could_not_look": []})


DAG = """
from airflow.sdk import DAG
from kpo_platform import TeamPodOperator

with DAG("check", schedule=None, default_args={{"team": "{team}", "image": "localhost/kpo-platform/busybox:1.35"}}):
    TeamPodOperator(task_id="good", cmds=["true"])
    TeamPodOperator(task_id="bad", cmds=["true"], node_selector={{"{name}": "1"}})
"""


def test_rendered_pod_is_diagnosed_from_standard_input(stack: Stack, programs: Path, tmp_path: Path):
    file, contract = tmp_path / "check.py", tmp_path / "contract.json"
    file.write_text(DAG.format(team=TEAM, name=NAME))
    platformctl = programs / "platformctl"
    capture_output([platformctl, "contract", "pull", "-n", RELEASE, "-o", contract], env=stack.environment)
    codes = {}
    for task in ("good", "bad"):
        words = [platformctl, "render", file, task, "--contract", contract]
        pod = capture_output(words, env=stack.environment, timeout_s=120)
        exit_code, result = diagnose(stack, programs, "-f", "-", stdin=pod)
        codes[task] = (exit_code, [each["code"] for each in result["findings"]], result["could_not_look"])
    assert codes == {"good": (0, [], []), "bad": (1, ["KPO-SCH105"], [])}
