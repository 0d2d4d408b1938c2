"""Probes, sidecars and restarts of running pods."""

from __future__ import annotations

from benchmarks.fault_scores.draw import Draw
from benchmarks.fault_scores.fault import Build, Expected, Fault, Json

_LONG = ["sh", "-c", "trap 'exit 143' TERM; echo started; i=0; while [ $i -lt 15 ]; do sleep 1; i=$((i+1)); done"]
"""Runs for 15 seconds, and ends when it is told to."""


def liveness(draw: Draw) -> Fault:
    """A liveness probe that fails."""
    probe = {"tcpSocket": {"port": draw.randint(2000, 9000)}, "periodSeconds": 1, "failureThreshold": 2}
    expected = Expected(("KPO-RUN101",), (r"liveness",), advice="livenessProbe|probe", is_healable=True)
    return Fault("liveness", expected, container={"livenessProbe": probe, "command": _LONG})


def startup(draw: Draw) -> Fault:
    """A startup probe that fails."""
    probe = {"exec": {"command": ["test", "-e", draw.path()]}, "periodSeconds": 1, "failureThreshold": 3}
    expected = Expected(("KPO-RUN102",), (r"startup",), advice="startupProbe|probe", is_healable=True)
    return Fault("startup", expected, container={"startupProbe": probe, "command": _LONG})


def staying_container(draw: Draw) -> Fault:
    """A container beside the program that does not end; TeamPodOperator ends such a pod itself."""
    name = draw.name()
    beside = {"name": name, "command": ["sleep", "600"]}
    expected = Expected(("KPO-RUN103",), (name,), advice="init_containers|sidecar", is_healable=True)
    return Fault("container-stays", expected, {"containers": [beside]}, engines=("diagnose", "stock"))


def failing_sidecar(draw: Draw) -> Fault:
    """A native sidecar that fails while the program runs."""
    name = draw.name()
    command = ["sh", "-c", f"sleep 2; exit {draw.randint(1, 9)}"]
    sidecar = {"name": name, "restartPolicy": "Always", "command": command}
    expected = Expected(("KPO-RUN104",), (name,), advice="sidecar|log")
    spec: Json = {"initContainers": [sidecar]}
    return Fault("sidecar-fails", expected, spec, {"command": ["sleep", "120"]}, engines=("diagnose",))


def restarted(_: Draw) -> Fault:
    """A program that is started again after its success."""
    expected = Expected(("KPO-RUN105",), (r"restartPolicy|again",), advice="restartPolicy", is_healable=True)
    return Fault("restart", expected, {"restartPolicy": "Always"}, {"command": ["true"]}, engines=("diagnose",))


def held_deletion(draw: Draw) -> Fault:
    """A deleted pod that a finalizer keeps."""
    finalizer = f"example.com/{draw.name()}"
    patch = f'{{"metadata":{{"finalizers":["{finalizer}"]}}}}'
    after = (("patch", "pod", "{pod}", "-p", patch), ("delete", "pod", "{pod}", "--wait=false"))
    expected = Expected(("KPO-RUN107",), (finalizer,), advice="finalizer|controller")
    container = {"command": ["sleep", "120"]}
    return Fault("deletion", expected, container=container, engines=("diagnose",), after=after, settle_s=40)


FAULTS: tuple[Build, ...] = (liveness, startup, staying_container, failing_sidecar, restarted, held_deletion)
"""The kinds of this family."""
