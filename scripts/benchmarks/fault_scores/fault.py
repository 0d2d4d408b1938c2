"""A kind of fault: what is injected, and what has to be said about it."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.fault_scores.draw import Draw
from images.recipes import AIRFLOW
from kpo_platform.pod.merge import merge
from local_cluster.node_images.base_images import BUSYBOX

Json = dict[str, Any]
Engine = Literal["diagnose", "team", "stock"]
Access = Literal["team", "wide", "invalid"]

ENGINES: tuple[Engine, ...] = ("diagnose", "team", "stock")
"""What is scored: `platformctl diagnose`, the task's error of TeamPodOperator, that of the stock operator."""

BASE = "base"
PYTHON = AIRFLOW.reference
"""An image with Python."""

PLATFORM_TEAM = "the platform team"

_BASE_POD: Json = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {},
    "spec": {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 50000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": BASE,
                "image": BUSYBOX,
                "imagePullPolicy": "IfNotPresent",
                "command": ["sh", "-c", "echo started; sleep 1; echo done"],
                "resources": {
                    "requests": {"cpu": "5m", "memory": "64Mi"},
                    "limits": {"cpu": "500m", "memory": "64Mi"},
                },
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    },
}
"""A pod that succeeds within two seconds, and conforms to Pod Security `restricted`."""


@dataclass(frozen=True)
class Place:
    """The namespace in which a fault is injected.

    Attributes:
        team: values of its team that differ from those of the others.
        is_own: whether no other fault may be in it, because the fault changes the namespace.
        level: its Pod Security level, if it differs from the team's.
    """

    team: Json = field(default_factory=dict)
    is_own: bool = False
    level: str = ""


@dataclass(frozen=True)
class Expected:
    """What has to be said about a fault; stated before it is injected.

    Attributes:
        codes: the codes that are right; the task may instead refuse the pod before it is created.
        words: patterns that all have to occur in a right first line of any program; case is ignored.
        about: kind and name of the object to change; without a name the fault's pod.
        advice: a pattern of the argument or field that the fix has to name.
        who: who has to act; empty for the author of the task.
        is_healable: whether the fix as it is printed has to heal the fault.
        silence_s: seconds in which nothing has to happen before the cause can be known.
        signal: Kubernetes' reason from which the cause can be known; by default that of the finding's evidence.
    """

    codes: tuple[str, ...]
    words: tuple[str, ...]
    about: str = "Pod"
    advice: str = "."
    who: str = ""
    is_healable: bool = False
    silence_s: float = 0.0
    signal: str = ""


@dataclass(frozen=True)
class Fault:
    """A kind of fault with drawn names and values.

    Attributes:
        name: the kind.
        expected: what has to be said about it.
        spec: fields of the pod's spec that differ.
        container: fields of the container that runs the program that differ.
        place: where it is injected.
        objects: objects that are created before, in the place's namespace.
        commands: kubectl commands after that, without `kubectl -n NAMESPACE`.
        arguments: more arguments of the operators, such as `xcom`.
        engines: what is scored.
        settle_s: seconds after which a pod that has not ended is diagnosed.
        access: how the operators connect: `team` with the rights in the namespaces of the teams, `wide` with all
            rights, `invalid` with a token that the cluster does not accept.
        name_of_pod: its name, if the task must not draw one.
        namespace: where the pod is created, if not in the place's namespace.
        after: kubectl commands after the pod is created; `{pod}` is its name.
    """

    name: str
    expected: Expected
    spec: Json = field(default_factory=dict)
    container: Json = field(default_factory=dict)
    place: Place = Place()
    objects: tuple[Json, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()
    arguments: Json = field(default_factory=dict)
    engines: tuple[Engine, ...] = ENGINES
    settle_s: float = 25.0
    access: Access = "team"
    name_of_pod: str = ""
    namespace: str = ""
    after: tuple[tuple[str, ...], ...] = ()

    def build_pod(self) -> Json:
        """Build the pod, without name and namespace."""
        return build_pod(self.spec, self.container)


@dataclass(frozen=True)
class Healthy:
    """A pod without a fault.

    Attributes:
        name: the kind.
        spec: as of `Fault`.
        container: as of `Fault`.
        place: as of `Fault`.
        objects: as of `Fault`.
        arguments: as of `Fault`.
        phase: the phase in which the pod is diagnosed.
    """

    name: str
    spec: Json = field(default_factory=dict)
    container: Json = field(default_factory=dict)
    place: Place = Place()
    objects: tuple[Json, ...] = ()
    arguments: Json = field(default_factory=dict)
    phase: str = "Succeeded"

    def build_pod(self) -> Json:
        """Build the pod, without name and namespace."""
        return build_pod(self.spec, self.container)


Build = Callable[[Draw], Fault]
"""Draws the names and values of a kind of fault."""


def build_pod(spec: Json, container: Json) -> Json:
    """Build a pod with these changes; other containers than the program's get its image, resources and rights."""
    pod = merge(deepcopy(_BASE_POD), {"spec": {"containers": [{"name": BASE, **container}]}})
    pod = merge(pod, {"spec": spec})
    base = _BASE_POD["spec"]["containers"][0]
    common = {key: value for key, value in base.items() if key not in ("name", "command")}
    for each in [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]:
        for key, value in common.items():
            each.setdefault(key, value)
    return pod
