"""Precedence of the layers of a pod, from the team's defaults to pod_override."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from kpo_platform.pod.compose import PodRequest
from unit.support.contracts import TEAM, build_contract
from unit.support.pod_checks import compose_and_check

LAYERS = ("team", "template", "own_template", "sidecar", "size", "arguments", "full_pod_spec", "pod_override")
"""The layers from lowest to highest precedence, as in docs/operator.md."""


AUTHOR = ("own_template", "arguments", "full_pod_spec", "pod_override")


def compose_cpu_limit(layer_names: Sequence[str]) -> str:
    """Compose a pod in which each of these layers sets the CPU limit to its position in `LAYERS`, from 1."""
    cpu = {name: str(number) for number, name in enumerate(LAYERS, 1)}

    def make_layer(name: str) -> dict[str, Any]:
        base = {"name": "base", "image": "busybox:1.35", "resources": {"limits": {"cpu": cpu[name]}}}
        return {
            "metadata": {},
            "spec": {"containers": [base if name in layer_names else {"name": "base", "image": "b:1"}]},
        }

    sizes = {"small": {**TEAM["sizes"]["small"], "cpu": cpu["team"]}, "large": {**TEAM["sizes"]["large"], "cpu": "5"}}
    contract = build_contract(sizes=sizes)
    layered = contract.model_copy(
        update={"pod_templates": {"default": make_layer("template")}, "sidecars": {"aside": make_layer("sidecar")}}
    )
    layers: dict[str, Any] = {name: make_layer(name) for name in layer_names if name in AUTHOR}
    layers |= {
        "size": "large" if "size" in layer_names else None,
        "sidecars": ("aside",) if "sidecar" in layer_names else (),
    }
    pod = compose_and_check(layered, PodRequest(team="alpha", **layers))
    return pod["spec"]["containers"][0]["resources"]["limits"]["cpu"]


@pytest.mark.parametrize("stronger", range(1, len(LAYERS)), ids=lambda number: LAYERS[number])
def test_every_layer_overrides_all_lower_layers(stronger: int):
    for weaker in range(stronger):
        assert compose_cpu_limit([LAYERS[weaker], LAYERS[stronger]]) == str(stronger + 1)
    assert compose_cpu_limit(LAYERS[: stronger + 1]) == str(stronger + 1)


@pytest.mark.parametrize(
    ("set_resources", "resources"),
    [
        ({"requests": {"cpu": "2"}}, {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}),
        ({"requests": {"cpu": "50m"}}, {"requests": {"cpu": "50m"}, "limits": {"cpu": "100m"}}),
        ({"limits": {"cpu": "50m"}}, {"requests": {"cpu": "50m"}, "limits": {"cpu": "50m"}}),
        ({"limits": {"cpu": "2"}}, {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}),
        (
            {"requests": {"cpu": "{{ params.cpu }}"}},
            {"requests": {"cpu": "{{ params.cpu }}"}, "limits": {"cpu": "100m"}},
        ),
    ],
)
def test_request_and_limit_adapt_to_each_other(set_resources: dict[str, Any], resources: dict[str, Any]):
    base = {"name": "base", "image": "busybox:1.35", "resources": set_resources}
    request = PodRequest(team="alpha", arguments={"spec": {"containers": [base]}})
    pod = compose_and_check(build_contract(), request, rendered=False)
    memory = {"memory": "128Mi"}
    assert pod["spec"]["containers"][0]["resources"] == {kind: {**memory, **cpu} for kind, cpu in resources.items()}
