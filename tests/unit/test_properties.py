"""Properties of every merge and every pod, with generated input."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpo_platform.contract import parse
from kpo_platform.errors import PodError
from kpo_platform.pod.compose import PodRequest, compose
from kpo_platform.pod.merge import Json, merge
from kpo_platform.pod.rules.all_rules import check_pod
from unit.support.contracts import CONTRACT, build_contract
from unit.support.locked_fields import LOCKED, PARENTS, POLICY, Path, build_pod_with_field, get_field
from unit.support.pod_checks import compose_and_check

NAMES = st.sampled_from(["base", "aside", "a", "b"])
VALUES = st.sampled_from(["1", "2", ""])


def named(
    key: str, always: Any = MappingProxyType({}), **fields: st.SearchStrategy[Any]
) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Lists of named items, some of them duplicated."""
    return st.lists(st.fixed_dictionaries({key: NAMES, **always}, optional=fields), max_size=3)


CONTAINERS = named(
    "name",
    {"image": st.sampled_from(["a:1", "b:2"])},
    tty=st.booleans(),
    env=named("name", value=VALUES),
    volumeMounts=named("mountPath", name=NAMES, readOnly=st.booleans()),
    ports=st.lists(st.fixed_dictionaries({"containerPort": st.sampled_from([80, 81])}, optional={"name": NAMES})),
    envFrom=st.lists(st.fixed_dictionaries({"prefix": NAMES}), max_size=2),
    resources=st.fixed_dictionaries(
        {},
        optional={
            kind: st.dictionaries(st.just("cpu"), st.sampled_from(["1", "2"])) for kind in ("requests", "limits")
        },
    ),
)
TOLERATIONS = named(
    "key",
    operator=st.sampled_from(["Exists", "Equal"]),
    value=VALUES,
    effect=st.sampled_from(["NoSchedule", "NoExecute"]),
)
WRITTEN = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.fixed_dictionaries({}, optional={"labels": st.dictionaries(NAMES, VALUES)}),
        "spec": st.fixed_dictionaries(
            {},
            optional={
                "containers": CONTAINERS,
                "initContainers": CONTAINERS,
                "volumes": named("name", emptyDir=st.just({})),
                "tolerations": TOLERATIONS,
                "hostAliases": named("ip", hostnames=st.lists(NAMES, min_size=1, max_size=1)),
                "imagePullSecrets": named("name"),
                "nodeSelector": st.dictionaries(NAMES, VALUES),
                "hostNetwork": st.just(False),
            },
        ),
    },
)

PODS = WRITTEN.map(lambda pod: merge({}, pod))
"""Pods without duplicates."""

IDENTITY = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "imagePullSecrets": "name",
    "ports": "containerPort",
}

LAYERS = ["own_template", "arguments", "full_pod_spec", "pod_override"]
"""Layers from the weakest to the strongest."""

IMAGE = {"spec": {"containers": [{"name": "base", "image": "busybox:1.35"}]}}

PLATFORM = parse(json.dumps({**CONTRACT, "labelPolicy": POLICY}))


@given(PODS, PODS)
def test_merge_is_idempotent(under: dict[str, Any], over: dict[str, Any]):
    once = merge(under, over)
    assert merge(once, over) == once
    assert merge(under, under) == under
    assert merge(under, {}) == merge({}, under) == under


@given(PODS, PODS, PODS)
def test_merge_is_associative(a: dict[str, Any], b: dict[str, Any], c: dict[str, Any]):
    # An empty list stands for "none of the weaker ones", so it means something else before and after a merge.
    if not any(empty_list(one) for one in (a, b, c)):
        assert merge(merge(a, b), c) == merge(a, merge(b, c))


@given(PODS, WRITTEN)
def test_merge_has_no_duplicates_and_changes_no_input(under: dict[str, Any], over: dict[str, Any]):
    before = deepcopy((under, over))
    assert_unique(merge(under, over))
    assert (under, over) == before


@given(WRITTEN, WRITTEN)
def test_merge_contains_the_stronger_side(under: dict[str, Any], over: dict[str, Any]):
    assert_contains(merge(under, over), over)


@given(st.sampled_from(LAYERS), st.lists(WRITTEN, min_size=4, max_size=4))
def test_composed_pod_contains_its_strongest_layer(strongest: str, pods: list[dict[str, Any]]):
    asked = dict(zip(LAYERS[: LAYERS.index(strongest) + 1], pods, strict=False))
    asked["own_template"] = merge(IMAGE, asked["own_template"])
    pod = compose(build_contract(), PodRequest("alpha", **asked))
    assert_unique(pod)
    assert_contains(pod, asked[strongest])


@given(st.sampled_from(LAYERS), WRITTEN)
def test_conflicting_duplicates_in_a_layer_are_refused(layer: str, written: dict[str, Any]):
    assert bool(PodRequest("alpha", **{layer: written}).check_duplicates()) == has_twins(written)


@given(PODS, st.sampled_from(LAYERS), st.sampled_from(LOCKED))
def test_changed_locked_field_is_refused_by_name(pod: Json, layer: str, locked: tuple[Path, Any, str]):
    path, value, named = locked
    request = PodRequest(
        "alpha", **{"own_template": IMAGE, layer: merge(merge(pod, IMAGE), build_pod_with_field(path, value))}
    )
    with pytest.raises(PodError, match=re.escape(named)):
        compose_and_check(PLATFORM, request)


@given(PODS, st.sampled_from(LAYERS), st.sampled_from([*(path for path, _, _ in LOCKED), *PARENTS]))
def test_removed_locked_field_is_restored_or_refused(pod: Json, layer: str, removed: Path):
    lower_layer = {"arguments" if layer == "own_template" else "own_template": merge(pod, IMAGE)}
    plain, bare = (compose(PLATFORM, PodRequest("alpha", **one)) for one in (lower_layer, {"arguments": IMAGE}))
    made = compose(PLATFORM, PodRequest("alpha", **lower_layer, **{layer: build_pod_with_field(removed, None)}))
    found = "\n".join(map(str, check_pod(made, "alpha", PLATFORM.team("alpha"), PLATFORM)))
    for path in (path for path, _, _ in LOCKED if path[: len(removed)] == removed):
        assert (
            get_field(made, path) in (get_field(plain, path), get_field(bare, path))
            or f"label {path[-1]} is None" in found
        )


def assert_unique(value: Any) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in IDENTITY:
                names = [item[IDENTITY[key]] for item in inner]
                assert len(names) == len(set(names)), (key, names)
            assert_unique(inner)
    elif isinstance(value, list):
        for item in value:
            assert_unique(item)


def assert_contains(pod: Any, expected: Any, key: str = "") -> None:
    """Assert that the pod contains every value, wherever its item is now."""
    if isinstance(expected, dict):
        for name, inner in expected.items():
            assert_contains(pod[name], inner, name)
    elif isinstance(expected, list) and key in IDENTITY:
        found = {item[IDENTITY[key]]: item for item in pod}
        for name, item in {item[IDENTITY[key]]: item for item in expected}.items():  # of two, the later one
            assert_contains(found[name], item)
    elif isinstance(expected, list):
        assert [item for item in expected if item not in pod] == []
    else:
        assert pod == expected


def has_twins(value: Any, key: str = "") -> bool:
    if isinstance(value, dict):
        return any(has_twins(inner, name) for name, inner in value.items())
    if not isinstance(value, list):
        return False
    named_alike = IDENTITY.get(key) if key != "env" else None
    pairs = [(one, other) for one in value for other in value] if named_alike else []
    differ = any(one[named_alike] == other[named_alike] and one != other for one, other in pairs)
    return differ or any(has_twins(item) for item in value)


def empty_list(value: Any) -> bool:
    if isinstance(value, dict):
        return any(empty_list(inner) for inner in value.values())
    return isinstance(value, list) and (not value or any(empty_list(item) for item in value))
