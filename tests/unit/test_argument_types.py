"""Types of TeamPodOperator's arguments."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import models as k8s

from kpo_platform.errors import PodError
from kpo_platform.pod.rules.argument_types import check_argument_types
from unit.support.contracts import Build


def list_refusals(arguments: dict[str, Any]) -> list[str]:
    return [str(refusal) for refusal in check_argument_types(arguments)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"startup_timeout_seconds": "5 minutes"},
            "startup_timeout_seconds is a string, but a number of seconds is required. Write "
            "startup_timeout_seconds=300.",
        ),
        (
            {"poll_interval": timedelta(minutes=2)},
            "poll_interval is a timedelta, but a number of seconds is required. Write poll_interval=120.",
        ),
        ({"arguments": [None]}, "arguments has the item None, but a list of strings is required. Leave it out."),
        ({"cmds": ["sleep", 5]}, "cmds has the item 5, but a list of strings is required. Write '5'."),
        ({"labels": ("a", "b")}, "labels is a tuple, but a dictionary is required. Write labels={'key': 'value'}."),
        ({"labels": "a=b"}, "labels is a string, but a dictionary is required. Write labels={'key': 'value'}."),
        (
            {"annotations": ["a"]},
            "annotations is a list, but a dictionary is required. Write annotations={'key': 'value'}.",
        ),
        ({"env_vars": "A=b"}, "env_vars is a string, but a dictionary is required. Write env_vars={'key': 'value'}."),
        ({"cmds": "echo hi"}, "cmds is a string, but a list is required. Write cmds=[…]."),
        ({"volumes": {"name": "v"}}, "volumes is a dictionary, but a list is required. Write volumes=[…]."),
        ({"sidecars": "git-sync"}, "sidecars is a string, but a list is required. Write sidecars=[…]."),
        (
            {"pod_override": "spec: {}"},
            "pod_override is a string, but a dictionary is required. Write pod_override={'key': 'value'}.",
        ),
        ({"image": 3}, "image is a number, but a string is required. Write image='…'."),
        ({"size": 3}, "size is a number, but a string is required. Write size='…'."),
        (
            {"secrets": ["report"]},
            "secrets has the string 'report', which is not a valid item. Use "
            "env_from=[{'secretRef': {'name': 'report'}}], or Airflow's Secret(…) for one key.",
        ),
        (
            {"env_from": ["report"]},
            "env_from has the string 'report', which is not a valid item. "
            "Write {'secretRef': {'name': 'report'}}, or configMapRef.",
        ),
        (
            {"env_vars": ["A=b"]},
            "env_vars has the string 'A=b', which is not a valid item. Write env_vars={'NAME': 'value'}.",
        ),
        (
            {"volumes": ["data"]},
            "volumes has the string 'data', which is not a valid item. "
            "Write each item as a dictionary, as in YAML, or as a model of the Kubernetes client.",
        ),
        (
            {"image_pull_secrets": [5]},
            "image_pull_secrets has the number 5, which is not a valid item. Write names, such as "
            "image_pull_secrets=['regcred'].",
        ),
        (
            {"secrets": [{"name": "report"}]},
            "secrets has the dictionary {'name': 'report'}, which is not a valid item. Use "
            "env_from=[{'secretRef': {'name': 'name'}}], or Airflow's Secret(…) for one key.",
        ),
        (
            {"env_vars": [5]},
            "env_vars has the number 5, which is not a valid item. Write env_vars={'NAME': 'value'}.",
        ),
        ({"sidecars": [5]}, "sidecars has the item 5, but a list of strings is required. Write '5'."),
        (
            {"cmds": [Path("/bin/sh")]},
            "cmds has the item PosixPath('/bin/sh'), but a list of strings is required. Write '/bin/sh'.",
        ),
        (
            {"poll_interval": True},
            "poll_interval is a boolean, but a number of seconds is required. Write poll_interval=300.",
        ),
    ],
)
def test_value_of_the_wrong_type_is_refused(arguments: dict[str, Any], sentence: str):
    assert list_refusals(arguments) == [sentence]


EXAMPLES = {
    "a string": "'…'",
    "a dictionary": "{'key': 'value'}",
    "a list": "[…]",
}

WRONG_TYPES = [
    *((name, 5, "number", "a dictionary") for name in ("annotations", "env_vars", "labels", "node_selector")),
    *((name, "x", "string", "a dictionary") for name in ("affinity", "dns_config", "full_pod_spec", "pod_override")),
    *((name, [1], "list", "a dictionary") for name in ("container_resources", "pod_template_dict")),
    *((name, "x", "string", "a dictionary") for name in ("container_security_context", "security_context")),
    *((name, 5, "number", "a list") for name in ("arguments", "cmds", "configmaps", "env_from", "host_aliases")),
    *((name, 5, "number", "a list") for name in ("init_containers", "ports", "secrets", "sidecars", "tolerations")),
    *((name, {"a": 1}, "dictionary", "a list") for name in ("image_pull_secrets", "volume_mounts", "volumes")),
    *((name, ["a"], "list", "a string") for name in ("dnspolicy", "hostname", "image", "image_pull_policy", "name")),
    *((name, 5, "number", "a string") for name in ("pod_template_file", "priority_class_name", "runtime_class_name")),
    *((name, b"x", "bytes", "a string") for name in ("schedulername", "size", "subdomain", "template")),
    ("labels", True, "boolean", "a dictionary"),
    ("labels", k8s.V1Pod(), "V1Pod", "a dictionary"),
    ("image_pull_secrets", k8s.V1LocalObjectReference(name="a"), "V1LocalObjectReference", "a list"),
]


@pytest.mark.parametrize(("name", "value", "kind", "required"), WRONG_TYPES)
def test_argument_of_the_wrong_type_is_refused_by_name(build: Build, name: str, value: Any, kind: str, required: str):
    with pytest.raises(PodError) as refused:
        build(**{"image": "b:1", name: value})
    assert str(refused.value) == f"{name} is a {kind}, but {required} is required. Write {name}={EXAMPLES[required]}."


@pytest.mark.parametrize(
    "arguments",
    [
        {"image_pull_secrets": "regcred,other"},
        {"image_pull_secrets": ["a", {"name": "b"}, k8s.V1LocalObjectReference(name="c")]},
        {"volumes": {"v": k8s.V1Volume(name="v", empty_dir={})}.values()},
        {"container_resources": k8s.V1ResourceRequirements(limits={"cpu": "1"})},
        {"pod_override": k8s.V1Pod(), "labels": None, "cmds": ("echo", "{{ ds }}")},
        {"env_vars": [k8s.V1EnvVar(name="A", value="b"), {"name": "B", "value": "c"}]},
        {"startup_timeout_seconds": 300.5, "poll_interval": 2},
        {"volumes": "{{ params.volumes }}", "labels": "{{ params.labels }}"},
    ],
)
def test_every_form_of_the_right_type_is_accepted(arguments: dict[str, Any]):
    assert list_refusals(arguments) == []
