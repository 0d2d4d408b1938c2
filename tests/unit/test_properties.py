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


def build_item_lists(
    key: str, always: Any = MappingProxyType({}), **fields: st.SearchStrategy[Any]
) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Build a strategy for lists of items with the merge key ``key``; some lists have duplicates."""
    return st.lists(st.fixed_dictionaries({key: NAMES, **always}, optional=fields), max_size=3)


CONTAINERS = build_item_lists(
    "name",
    {"image": st.sampled_from(["a:1", "b:2"])},
    tty=st.booleans(),
    env=build_item_lists("name", value=VALUES),
    volumeMounts=build_item_lists("mountPath", name=NAMES, readOnly=st.booleans()),
    ports=st.lists(st.fixed_dictionaries({"containerPort": st.sampled_from([80, 81])}, optional={"name": NAMES})),
    envFrom=st.lists(st.fixed_dictionaries({"prefix": NAMES}), max_size=2),
    resources=st.fixed_dictionaries(
        {},
        optional={
            kind: st.dictionaries(st.just("cpu"), st.sampled_from(["1", "2"])) for kind in ("requests", "limits")
        },
    ),
)
TOLERATIONS = build_item_lists(
    "key",
    operator=st.sampled_from(["Exists", "Equal"]),
    value=VALUES,
    effect=st.sampled_from(["NoSchedule", "NoExecute"]),
)
AUTHOR_PODS = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.fixed_dictionaries({}, optional={"labels": st.dictionaries(NAMES, VALUES)}),
        "spec": st.fixed_dictionaries(
            {},
            optional={
                "containers": CONTAINERS,
                "initContainers": CONTAINERS,
                "volumes": build_item_lists("name", emptyDir=st.just({})),
                "tolerations": TOLERATIONS,
                "hostAliases": build_item_lists("ip", hostnames=st.lists(NAMES, min_size=1, max_size=1)),
                "imagePullSecrets": build_item_lists("name"),
                "nodeSelector": st.dictionaries(NAMES, VALUES),
                "hostNetwork": st.just(False),
            },
        ),
    },
)

PODS = AUTHOR_PODS.map(lambda pod: merge({}, pod))
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
"""Layers from the lowest to the highest precedence."""

IMAGE = {"spec": {"containers": [{"name": "base", "image": "busybox:1.35"}]}}

PLATFORM = parse(json.dumps({**CONTRACT, "labelPolicy": POLICY}))


@given(PODS, PODS)
def test_merge_is_idempotent(lower: dict[str, Any], higher: dict[str, Any]):
    once = merge(lower, higher)
    assert merge(once, higher) == once
    assert merge(lower, lower) == lower
    assert merge(lower, {}) == merge({}, lower) == lower


@given(PODS, PODS, PODS)
def test_merge_is_associative(a: dict[str, Any], b: dict[str, Any], c: dict[str, Any]):
    # Skip pods with an empty list: it removes the items of the lower layer, so the order of merges matters.
    if not any(has_empty_list(pod) for pod in (a, b, c)):
        assert merge(merge(a, b), c) == merge(a, merge(b, c))


@given(PODS, AUTHOR_PODS)
def test_merge_has_no_duplicates_and_changes_no_input(lower: dict[str, Any], higher: dict[str, Any]):
    before = deepcopy((lower, higher))
    assert_unique(merge(lower, higher))
    assert (lower, higher) == before


@given(AUTHOR_PODS, AUTHOR_PODS)
def test_merge_contains_the_higher_layer(lower: dict[str, Any], higher: dict[str, Any]):
    assert_contains(merge(lower, higher), higher)


@given(st.sampled_from(LAYERS), st.lists(AUTHOR_PODS, min_size=4, max_size=4))
def test_composed_pod_contains_its_highest_layer(highest: str, pods: list[dict[str, Any]]):
    layers = dict(zip(LAYERS[: LAYERS.index(highest) + 1], pods, strict=False))
    layers["own_template"] = merge(IMAGE, layers["own_template"])
    pod = compose(build_contract(), PodRequest("alpha", **layers))
    assert_unique(pod)
    assert_contains(pod, layers[highest])


@given(st.sampled_from(LAYERS), AUTHOR_PODS)
def test_conflicting_duplicates_in_a_layer_are_refused(layer: str, author_pod: dict[str, Any]):
    assert bool(PodRequest("alpha", **{layer: author_pod}).check_duplicates()) == has_different_duplicates(author_pod)


@given(PODS, st.sampled_from(LAYERS), st.sampled_from(LOCKED))
def test_changed_locked_field_is_refused_by_name(pod: Json, layer: str, locked: tuple[Path, Any, str]):
    path, value, evidence = locked
    request = PodRequest(
        "alpha", **{"own_template": IMAGE, layer: merge(merge(pod, IMAGE), build_pod_with_field(path, value))}
    )
    with pytest.raises(PodError, match=re.escape(evidence)):
        compose_and_check(PLATFORM, request)


@given(PODS, st.sampled_from(LAYERS), st.sampled_from([*(path for path, _, _ in LOCKED), *PARENTS]))
def test_removed_locked_field_is_restored_or_refused(pod: Json, layer: str, removed: Path):
    other_layer = {"arguments" if layer == "own_template" else "own_template": merge(pod, IMAGE)}
    unchanged_pod, image_pod = (
        compose(PLATFORM, PodRequest("alpha", **layers)) for layers in (other_layer, {"arguments": IMAGE})
    )
    pod_without_field = compose(
        PLATFORM, PodRequest("alpha", **other_layer, **{layer: build_pod_with_field(removed, None)})
    )
    refusals = "\n".join(map(str, check_pod(pod_without_field, "alpha", PLATFORM.team("alpha"), PLATFORM)))
    for path in (path for path, _, _ in LOCKED if path[: len(removed)] == removed):
        assert (
            get_field(pod_without_field, path) in (get_field(unchanged_pod, path), get_field(image_pod, path))
            or f"label {path[-1]} is None" in refusals
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
    """Assert that the pod contains every expected value, at any position of its list."""
    if isinstance(expected, dict):
        for name, inner in expected.items():
            assert_contains(pod[name], inner, name)
    elif isinstance(expected, list) and key in IDENTITY:
        items = {item[IDENTITY[key]]: item for item in pod}
        for name, item in {item[IDENTITY[key]]: item for item in expected}.items():  # the last duplicate applies
            assert_contains(items[name], item)
    elif isinstance(expected, list):
        assert [item for item in expected if item not in pod] == []
    else:
        assert pod == expected


def has_different_duplicates(value: Any, key: str = "") -> bool:
    if isinstance(value, dict):
        return any(has_different_duplicates(inner, name) for name, inner in value.items())
    if not isinstance(value, list):
        return False
    merge_key = IDENTITY.get(key) if key != "env" else None
    pairs = [(first, second) for first in value for second in value] if merge_key else []
    differ = any(first[merge_key] == second[merge_key] and first != second for first, second in pairs)
    return differ or any(has_different_duplicates(item) for item in value)


def has_empty_list(value: Any) -> bool:
    if isinstance(value, dict):
        return any(has_empty_list(inner) for inner in value.values())
    return isinstance(value, list) and (not value or any(has_empty_list(item) for item in value))
