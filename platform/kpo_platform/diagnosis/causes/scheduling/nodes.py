"""Whether nodes can take a pod, as far as their labels, taints and sizes tell: not what other pods use of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.fixes.amounts import compute_amounts
from kpo_platform.pod.json_fields import read_object, read_objects, read_text, read_texts
from kpo_platform.pod.merge import Json
from kpo_platform.pod.quantity import parse_quantity_or_zero
from kpo_platform.pod.resources import Amounts

CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
"""Taints of nodes that are not for tasks."""

CONTROL_PLANE_DISTANCE = 50
"""How far these nodes are from taking a pod; see `Node.distance`."""

_CORDONED = "node.kubernetes.io/unschedulable"
_OF_STATE = (
    "node.kubernetes.io/",
    "node.cloudprovider.kubernetes.io/",
    "node.cilium.io/",
    "ToBeDeletedByClusterAutoscaler",
)
_EFFECTS = ("NoSchedule", "NoExecute")


@dataclass(frozen=True)
class Taint:
    """A taint of a node; of one that only the scheduler's message names, the effect is not known."""

    key: str
    value: str = ""
    effect: str = ""

    def __str__(self) -> str:
        value = f"={self.value}" if self.value else ""
        return f"{self.key}{value}:{self.effect}" if self.effect else f"{self.key}{value}"

    @property
    def is_of_state(self) -> bool:
        """Whether the cluster sets it because of the node's state, such as ``not-ready``, and removes it again."""
        return self.key.startswith(_OF_STATE)

    @property
    def toleration(self) -> dict[str, str]:
        """The toleration for it."""
        match = {"operator": "Equal", "value": self.value} if self.value else {"operator": "Exists"}
        return {"key": self.key, **match, **({"effect": self.effect} if self.effect else {})}


@dataclass(frozen=True)
class Requirement:
    """A label that a pod requires of its node, from its node selector or its affinity."""

    key: str
    operator: str
    values: tuple[str, ...] = ()
    is_field: bool = False
    is_of_selector: bool = False

    def __str__(self) -> str:
        words = {"In": "=", "NotIn": " not ", "Gt": ">", "Lt": "<", "Exists": "", "DoesNotExist": " (absent)"}
        return f"{self.key}{words.get(self.operator, f' {self.operator} ')}{' or '.join(self.values)}"

    def is_met(self, node: Node) -> bool:
        """Whether a node has it."""
        value = node.name if self.is_field else node.labels.get(self.key)
        if self.operator in ("In", "Exists"):
            return value is not None and (self.operator == "Exists" or value in self.values)
        if self.operator in ("NotIn", "DoesNotExist"):
            return value is None or (self.operator == "NotIn" and value not in self.values)
        return _is_beyond(value or "", self.operator, self.values[0] if self.values else "")


@dataclass(frozen=True)
class Node:
    """A node, and what of it keeps the pod away.

    Attributes:
        taints: the taints that the pod does not tolerate, without that of a cordoned node.
        is_selected: whether it has the labels that the pod requires.
        too_small: the resources of which the pod requests more than the whole node has.
    """

    name: str
    labels: Mapping[str, str]
    allocatable: Amounts
    is_cordoned: bool = False
    taints: tuple[Taint, ...] = ()
    is_selected: bool = True
    too_small: frozenset[str] = frozenset()

    @property
    def is_open(self) -> bool:
        """Whether the pod may run there, if there is room."""
        return not self.taints and not self.is_cordoned and self.is_selected

    @property
    def distance(self) -> int:
        """How far it is from taking the pod: what is easily changed counts little, what cannot be changed much."""
        of_tasks = [taint for taint in self.taints if taint.key not in CONTROL_PLANE]
        is_control_plane = len(of_tasks) < len(self.taints)
        return (
            bool(of_tasks)
            + self.is_cordoned
            + 2 * (not self.is_selected)
            + CONTROL_PLANE_DISTANCE * is_control_plane
            + 100 * bool(self.too_small)
        )


def judge_nodes(facts: Facts, nodes: Iterable[Json]) -> list[Node]:
    """Judge which nodes can take the pod."""
    requests, terms = compute_amounts(facts, "requests"), list_terms(facts.spec)
    tolerations = read_objects(facts.spec.get("tolerations"))
    return [_judge(read_object(node), requests, terms, tolerations) for node in nodes]


def _judge(node: Json, requests: Amounts, terms: list[list[Requirement]], tolerations: list[Json]) -> Node:
    metadata, spec, status = (read_object(node.get(key)) for key in ("metadata", "spec", "status"))
    allocatable = read_object(status.get("allocatable"))
    known = {str(name): parse_quantity_or_zero(value) for name, value in allocatable.items()}
    taints = (
        Taint(*(read_text(each.get(key)) for key in ("key", "value", "effect")))
        for each in read_objects(spec.get("taints"))
    )
    kept = tuple(
        taint
        for taint in taints
        if taint.effect in _EFFECTS
        and taint.key != _CORDONED
        and not any(_tolerates(each, taint) for each in tolerations)
    )
    judged = Node(
        read_text(metadata.get("name")),
        read_texts(metadata.get("labels")),
        known,
        spec.get("unschedulable") is True,
        kept,
    )
    is_selected = not terms or any(all(each.is_met(judged) for each in term) for term in terms)
    small = {name for name, amount in requests.items() if amount > known.get(name, Decimal(0))} if known else set()
    return replace(judged, is_selected=is_selected, too_small=frozenset(small))


def list_terms(spec: Json) -> list[list[Requirement]]:
    """List the alternatives of which a node must meet one: each is the node selector and a term of the affinity."""
    selector = [
        Requirement(key, "In", (value,), False, True) for key, value in read_texts(spec.get("nodeSelector")).items()
    ]
    affinity = read_object(read_object(spec.get("affinity")).get("nodeAffinity"))
    required = read_object(affinity.get("requiredDuringSchedulingIgnoredDuringExecution"))
    terms = [list(_parse_term(term)) for term in read_objects(required.get("nodeSelectorTerms"))]
    if terms:
        return [selector + term for term in terms]
    return [selector] if selector else []


def _parse_term(term: Json) -> Iterator[Requirement]:
    for field in ("matchExpressions", "matchFields"):
        for each in read_objects(term.get(field)):
            listed = each.get("values")
            values = tuple(str(value) for value in listed) if isinstance(listed, list) else ()
            yield Requirement(
                read_text(each.get("key")), read_text(each.get("operator")), values, field == "matchFields"
            )


def _tolerates(toleration: Json, taint: Taint) -> bool:
    key, effect, operator = (read_text(toleration.get(name)) for name in ("key", "effect", "operator"))
    if (effect and effect != taint.effect) or (key and key != taint.key):
        return False
    value = read_text(toleration.get("value"))
    if operator in ("Gt", "Lt"):  # since Kubernetes 1.35, for numbers
        return _is_beyond(taint.value, operator, value)
    return operator == "Exists" or (operator in ("", "Equal") and value == taint.value)


def _is_beyond(value: str, operator: str, bound: str) -> bool:
    try:
        return int(value) > int(bound) if operator == "Gt" else int(value) < int(bound)
    except ValueError:
        return False
