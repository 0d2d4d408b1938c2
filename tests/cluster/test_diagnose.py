"""platformctl diagnose with real pods that cannot start or fail, with names drawn at random, and with healthy ones."""

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
from cluster.support.team_release import install_team_release
from common.polling import NotYet, wait_for
from stack.release import Stack

Json = dict[str, Any]

RELEASE, TEAM, NAMESPACE = "clinic", "ward", "team-ward"
NAME = f"n{secrets.token_hex(4)}"
"""The name of whatever does not exist; another one in each run."""

PRESENT = "present"
"""A Secret and a ConfigMap that exist, without the keys that are looked for."""

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
    present = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": PRESENT}, "stringData": {"KEY": "value"}}
    broken = [build_pod(name, spec, container) for name, (spec, container, *_) in FAULTS.items()]
    healthy = [build_pod(name, spec, container) for name, (spec, container) in HEALTHY.items()]
    items = [present, build_claim("unbound", NAME), build_claim("good"), *broken, *healthy]
    with install_team_release(stack, RELEASE, {"teams": {TEAM: {"quota": {}}}}):
        content = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        stack.kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=content)
        yield


def diagnose(stack: Stack, programs: Path, *words: str) -> tuple[int, Json]:
    """Return exit code and findings."""
    command = [programs / "platformctl", "diagnose", *words, "--release-namespace", RELEASE, "-o", "json"]
    process = subprocess.run(command, env=stack.environment, capture_output=True, text=True, timeout=60, check=False)
    return process.returncode, json.loads(process.stdout)


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
