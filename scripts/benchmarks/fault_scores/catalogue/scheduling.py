"""Pods that no node takes."""

from __future__ import annotations

from functools import partial

from benchmarks.fault_scores.draw import Draw
from benchmarks.fault_scores.fault import PLATFORM_TEAM, Build, Expected, Fault, Json, Place
from benchmarks.fault_scores.nodes import CORDONED, LOST, SCARCE, TAINT, TAINTED

_PRIVILEGED = Place({"podSecurity": "baseline"}, level="privileged")
_HOSTNAME = "kubernetes.io/hostname"


def too_large(draw: Draw, resource: str) -> Fault:
    """A request that is larger than every node."""
    amount = str(draw.randint(300, 900)) if resource == "cpu" else f"{draw.randint(300, 900)}Gi"
    words = (resource, r"more than|larger|insufficient|no node has|too large", amount.removesuffix("Gi"))
    expected = Expected(("KPO-SCH101",), words, advice="size|request|at most", is_healable=True)
    resources = {"requests": {resource: amount}, "limits": {resource: amount}}
    return Fault(f"node-{resource}", expected, container={"resources": resources})


def unknown_resource(draw: Draw) -> Fault:
    """A resource that no node has."""
    resource = f"{draw.name()}.example.com/gpu"
    words = (resource,)
    expected = Expected(("KPO-SCH103",), words, advice="leave|container_resources|Request", is_healable=True)
    resources = {"limits": {resource: "1"}, "requests": {resource: "1"}}
    return Fault("node-resource", expected, container={"resources": resources})


def no_room(draw: Draw) -> Fault:
    """A resource that another pod uses."""
    holder = _build_holder(draw.name(), {"limits": {SCARCE: "1"}, "requests": {SCARCE: "1"}})
    expected = Expected(("KPO-SCH102",), (SCARCE, r"room|insufficient|used|free"), advice="size|wait", who="*")
    container = {"resources": {"limits": {SCARCE: "1"}, "requests": {SCARCE: "1"}}}
    return Fault("node-room", expected, container=container, objects=(holder,), commands=_await(holder))


def missing_label(draw: Draw) -> Fault:
    """A label in node_selector that no node has."""
    label = draw.name()
    expected = Expected(("KPO-SCH105",), (label,), advice="node_selector", is_healable=True)
    spec: Json = {"nodeSelector": {_HOSTNAME: label}}
    return Fault("node-name-label", expected, spec)


def unknown_label(draw: Draw) -> Fault:
    """A label whose key no node has."""
    key, value = f"example.com/{draw.name()}", draw.name()
    expected = Expected(("KPO-SCH105",), (key, value), advice="node_selector", is_healable=True)
    return Fault("node-label", expected, {"nodeSelector": {key: value}})


def missing_affinity(draw: Draw) -> Fault:
    """A label in affinity that no node has."""
    key, value = f"example.com/{draw.name()}", draw.name()
    expression = {"key": key, "operator": "In", "values": [value]}
    required = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    spec: Json = {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}
    expected = Expected(("KPO-SCH105",), (key, value), advice="affinity", is_healable=True)
    return Fault("node-affinity", expected, spec)


def taint(_: Draw) -> Fault:
    """A node with a taint, the only one with the label that the pod requires."""
    expected = Expected(("KPO-SCH106",), (TAINT, r"taint"), advice="tolerations")
    return Fault("node-taint", expected, {"nodeSelector": {_HOSTNAME: TAINTED}})


def cordoned(_: Draw) -> Fault:
    """A node that takes no new pods, the only one with the label that the pod requires."""
    expected = Expected(
        ("KPO-SCH107",), (CORDONED, r"cordon|unschedulable"), advice="uncordon|Allow", who=PLATFORM_TEAM
    )
    return Fault("node-cordoned", expected, {"nodeSelector": {_HOSTNAME: CORDONED}})


def lost_node(_: Draw) -> Fault:
    """A node that is not ready, the only one with the label that the pod requires."""
    words = (LOST, r"unreachable|not-ready|not ready|state")
    expected = Expected(("KPO-SCH108",), words, advice="node", who=PLATFORM_TEAM)
    return Fault("node-lost", expected, {"nodeSelector": {_HOSTNAME: LOST}})


def taken_port(draw: Draw) -> Fault:
    """A port of the node that another pod has."""
    port = draw.randint(20000, 29000)
    ports = [{"containerPort": port, "hostPort": port}]
    holder = _build_holder(draw.name(), None, {"ports": ports})
    expected = Expected(("KPO-SCH109",), (r"port", str(port)), advice="hostPort", is_healable=True)
    return Fault(
        "host-port",
        expected,
        container={"ports": ports},
        place=_PRIVILEGED,
        objects=(holder,),
        commands=_await(holder),
        engines=("diagnose", "stock"),
    )


def missing_neighbour(draw: Draw) -> Fault:
    """A pod beside which the pod must run, and that does not exist."""
    expected = Expected(("KPO-SCH110",), (r"affinity",), advice="affinity", is_healable=True)
    return Fault("pod-affinity", expected, {"affinity": {"podAffinity": _require({"app": draw.name()})}})


def repelled(draw: Draw) -> Fault:
    """A pod that must not run beside the pod, and that runs on the only node."""
    labels = {"app": draw.name()}
    holder = _build_holder(draw.name(), None)
    holder["metadata"]["labels"] = labels
    expected = Expected(("KPO-SCH111",), (r"anti-?affinity",), advice="affinity", is_healable=True)
    spec: Json = {"affinity": {"podAntiAffinity": _require(labels)}}
    return Fault("pod-anti-affinity", expected, spec, objects=(holder,), commands=_await(holder))


def uneven(draw: Draw) -> Fault:
    """A topology that no node has."""
    constraint = {
        "maxSkew": 1,
        "topologyKey": f"example.com/{draw.name()}",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": draw.name()}},
    }
    expected = Expected(("KPO-SCH112",), (r"topology",), advice="topologySpreadConstraints", is_healable=True)
    return Fault("topology", expected, {"topologySpreadConstraints": [constraint]})


def missing_node(draw: Draw) -> Fault:
    """A node that does not exist."""
    node = draw.name()
    expected = Expected(
        ("KPO-SCH113",),
        (node, r"not exist|not found|deleted"),
        f"Node {node}",
        "nodeName",
        is_healable=True,
        silence_s=30,
    )
    return Fault("node-name", expected, {"nodeName": node}, settle_s=33)


def gated(draw: Draw) -> Fault:
    """A scheduling gate that no controller removes."""
    gate = f"example.com/{draw.name()}"
    expected = Expected(("KPO-SCH116",), (gate, r"gate"), advice="schedulingGates|gates", is_healable=True)
    return Fault("scheduling-gate", expected, {"schedulingGates": [{"name": gate}]})


def missing_scheduler(draw: Draw) -> Fault:
    """A scheduler that does not exist."""
    scheduler = draw.name()
    expected = Expected(("KPO-SCH117",), (scheduler, r"scheduler"), advice="schedulername", is_healable=True)
    return Fault("scheduler", expected, {"schedulerName": scheduler}, settle_s=70)


def _require(labels: dict[str, str]) -> Json:
    term = {"labelSelector": {"matchLabels": labels}, "topologyKey": _HOSTNAME}
    return {"requiredDuringSchedulingIgnoredDuringExecution": [term]}


def _build_holder(name: str, resources: Json | None, container: Json | None = None) -> Json:
    """Build a pod that runs for as long as the faults are played."""
    fields: Json = {"command": ["sleep", "3000"], **(container or {})}
    pod = Fault("", Expected((), ()), container=fields | ({"resources": resources} if resources else {})).build_pod()
    return {**pod, "metadata": {"name": name}}


def _await(holder: Json) -> tuple[tuple[str, ...], ...]:
    return (("wait", "--for=condition=Ready", f"pod/{holder['metadata']['name']}", "--timeout=90s"),)


FAULTS: tuple[Build, ...] = (
    partial(too_large, resource="cpu"),
    partial(too_large, resource="memory"),
    *(unknown_resource, no_room, missing_label, unknown_label, missing_affinity, taint, cordoned, lost_node),
    *(taken_port, missing_neighbour, repelled, uneven, missing_node, gated, missing_scheduler),
)
"""The kinds of this family."""
