"""Pods without a fault."""

from __future__ import annotations

from benchmarks.fault_scores.catalogue.references import build_object, build_volume
from benchmarks.fault_scores.catalogue.volumes import build_claim
from benchmarks.fault_scores.draw import Draw
from benchmarks.fault_scores.fault import Healthy, Json
from benchmarks.fault_scores.hosts import REGISTRY
from benchmarks.fault_scores.images import LATE_IMAGE, LOGIN_SECRET

_LONG = {"command": ["sleep", "90"]}


def draw_healthy(draw: Draw) -> list[Healthy]:
    """Draw the healthy pods."""
    return [*_draw_programs(draw), *_draw_sources(draw), *_draw_containers(draw), *_draw_placements(draw)]


def _draw_programs(draw: Draw) -> list[Healthy]:
    noise = f"echo ERROR: retry {draw.name()} >&2; echo Traceback; echo exit code 1; echo OOMKilled; exit 0"
    lines = f"i=0; while [ $i -lt {draw.randint(2000, 5000)} ]; do echo line $i; i=$((i+1)); done"
    result = f"echo '{{\"rows\": {draw.randint(1, 99)}}}' > /airflow/xcom/return.json"
    return [
        Healthy("succeeds"),
        Healthy("runs", container=_LONG, phase="Running"),
        Healthy("noisy", container=_shell(noise)),
        Healthy("long-log", container=_shell(lines)),
        Healthy("slow", container=_shell(f"sleep {draw.randint(4, 8)}")),
        Healthy("child-fails", container=_shell("(exit 3); (exit 127); sh -c 'kill -KILL $$'; true")),
        Healthy("result", container=_shell(f"mkdir -p /airflow/xcom; {result}; true"), arguments={"xcom": True}),
        Healthy("deadline-kept", {"activeDeadlineSeconds": draw.randint(60, 600)}),
    ]


def _draw_sources(draw: Draw) -> list[Healthy]:
    secret, other, config, key, claim = draw.name(), draw.name(), draw.name(), draw.key(), draw.name()
    of_claim = build_volume("data", {"persistentVolumeClaim": {"claimName": claim}})
    of_config = build_volume("files", {"configMap": {"name": config, "items": [{"key": key, "path": "a"}]}})
    absent = build_volume("maybe", {"secret": {"secretName": draw.name(), "optional": True}})
    variable = {"name": key, "valueFrom": {"secretKeyRef": {"name": other, "key": key}}}
    return [
        Healthy("env-from", container={"envFrom": [{"secretRef": {"name": secret}}]}, objects=(_secret(secret, key),)),
        Healthy("variable", container={"env": [variable]}, objects=(_secret(other, key),)),
        Healthy("optional-env", container={"envFrom": [{"secretRef": {"name": draw.name(), "optional": True}}]}),
        Healthy("config-volume", *of_config, objects=(build_object("ConfigMap", config, {key: "1"}),)),
        Healthy("optional-volume", *absent),
        Healthy("claim-new", *of_claim, objects=(build_claim(claim, None),)),
        Healthy("memory-volume", *build_volume("fast", {"emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}})),
        Healthy(
            "private-image", {"imagePullSecrets": [{"name": LOGIN_SECRET}]}, {"image": f"{REGISTRY}/{LATE_IMAGE}:1"}
        ),
    ]


def _draw_containers(draw: Draw) -> list[Healthy]:
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1}
    late = {"exec": {"command": ["test", "-e", "/tmp/up"]}, "periodSeconds": 1, "failureThreshold": 30}
    sidecar = {"name": draw.name(), "command": ["sleep", "600"], "restartPolicy": "Always"}
    started = f"sleep {draw.randint(2, 4)}; touch /tmp/up; sleep 2"
    return [
        Healthy("sidecar-runs", {"initContainers": [sidecar]}),
        Healthy("init-succeeds", {"initContainers": [{"name": draw.name(), "command": ["sh", "-c", "sleep 2"]}]}),
        Healthy("liveness-kept", container={**_LONG, "livenessProbe": probe}, phase="Running"),
        Healthy("slow-startup", container={**_shell(started), "startupProbe": late}),
        Healthy("two-containers", {"containers": [{"name": draw.name(), "command": ["true"]}]}),
    ]


def _draw_placements(draw: Draw) -> list[Healthy]:
    toleration = {"key": f"example.com/{draw.name()}", "operator": "Exists"}
    preferred = {"weight": 1, "preference": {"matchExpressions": [{"key": draw.name(), "operator": "Exists"}]}}
    affinity: Json = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [preferred]}}
    return [
        Healthy("selector", {"nodeSelector": {"kubernetes.io/arch": "amd64"}}),
        Healthy("toleration", {"tolerations": [toleration]}),
        Healthy("preferred", {"affinity": affinity}),
    ]


def _shell(program: str) -> Json:
    return {"command": ["sh", "-c", program]}


def _secret(name: str, key: str) -> Json:
    return build_object("Secret", name, {key: "drawn"})
