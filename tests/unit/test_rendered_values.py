"""Locked fields stay locked for values that are known late, from Jinja or a mapped argument."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import yaml
from airflow.sdk import DAG

from kpo_platform import TeamPodOperator
from kpo_platform.airflow.exceptions import RefusedPod
from kpo_platform.airflow.operators.arguments.serialize import serialize
from kpo_platform.errors import PodError
from kpo_platform.pod.merge import merge
from unit.support.contracts import CONTRACT
from unit.support.locked_fields import BASE, LOCKED, POLICY, Path, build_pod_with_field, get_field
from unit.support.published_contract import Publish

PODS = ["full_pod_spec", "pod_override", "pod_template_dict", "pod_template_file"]
"""Arguments that take a pod."""

ARGUMENTS = {
    ("metadata", "labels"): "labels",
    ("spec", "hostNetwork"): "hostnetwork",
    ("spec", "securityContext"): "security_context",
    BASE: "container_security_context",
}
"""Arguments that take a part of a pod with locked fields."""

TEMPLATED = set(TeamPodOperator.template_fields)


@pytest.fixture(autouse=True)
def contract_of_alpha(publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONTRACT, "labelPolicy", POLICY)
    publish()


def list_arguments(path: Path, value: Any, folder: pathlib.Path) -> Iterator[tuple[str, Any]]:
    """List the arguments that can set a field, with the value that they need for it."""
    pod = build_pod_with_field(path, value)
    (folder / "pod.yaml").write_text(yaml.safe_dump(merge({"spec": {"containers": [{"name": "base"}]}}, pod)))
    yield from ((name, str(folder / "pod.yaml") if name == "pod_template_file" else pod) for name in PODS)
    for part, name in ARGUMENTS.items():
        if path[: len(part)] == part:
            yield name, get_field(pod, part)


def replace_by_templates(value: Any, names: dict[str, Any]) -> Any:
    """Replace everything but dictionaries and lists of objects by Jinja templates."""
    if isinstance(value, dict):
        return {key: inner if key == "name" else replace_by_templates(inner, names) for key, inner in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [replace_by_templates(item, names) for item in value]
    name = f"late{len(names)}"
    names[name] = value
    return f"{{{{ {name} }}}}"


def build_pod(task: TeamPodOperator) -> dict[str, Any]:
    return dict(serialize(task.build_pod_request_obj(dry_run=True)))


@pytest.mark.parametrize("locked", LOCKED, ids=lambda locked: ".".join(locked[0]))
def test_rendered_value_of_locked_field_is_refused_by_name(locked: tuple[Path, Any, str], tmp_path: pathlib.Path):
    path, value, named = locked
    tried = []
    for argument, argument_value in list_arguments(path, value, tmp_path):
        if argument in TEMPLATED:
            names: dict[str, Any] = {}
            with DAG("d", render_template_as_native_obj=True):
                task = TeamPodOperator(
                    task_id="t", team="alpha", image="b:1", **{argument: replace_by_templates(argument_value, names)}
                )
            task.render_template_fields(names)  # type: ignore[arg-type]
            with pytest.raises(PodError, match=re.escape(named)):
                build_pod(task)
            tried.append(argument)
    assert tried[:3] == ["pod_override", "pod_template_dict", "pod_template_file"]


@pytest.mark.parametrize("locked", LOCKED, ids=lambda locked: ".".join(locked[0]))
@pytest.mark.parametrize("argument", ["pod_override", "pod_template_dict"])
def test_pod_rendered_to_a_string_changes_no_locked_field(argument: str, locked: tuple[Path, Any, str]):
    path, value, _ = locked
    arguments: dict[str, Any] = {argument: build_pod_with_field(path, "{{ late }}")}
    task = TeamPodOperator(task_id="t", team="alpha", image="b:1", **arguments)
    task.render_template_fields({"late": value})  # type: ignore[typeddict-unknown-key]
    try:
        assert get_field(build_pod(task), path) != value
    except PodError as refusal:
        assert path[-1] in str(refusal)


@pytest.mark.parametrize("locked", LOCKED, ids=lambda locked: ".".join(locked[0]))
def test_mapped_value_of_locked_field_is_refused_by_name(locked: tuple[Path, Any, str], tmp_path: pathlib.Path):
    path, value, named = locked
    for argument, argument_value in list_arguments(path, value, tmp_path):
        with DAG("d"):
            mapped = TeamPodOperator.partial(task_id="t", team="alpha", image="b:1").expand(
                **{argument: [argument_value]}
            )
        with pytest.raises(PodError, match=re.escape(named)):
            build_pod(mapped.unmap({argument: argument_value}))


@pytest.mark.parametrize("argument", ["namespace", "service_account_name", "team"])
def test_mapped_argument_of_another_team_is_refused(argument: str):
    with DAG("d"):
        mapped = TeamPodOperator.partial(
            task_id="t", image="b:1", **({} if argument == "team" else {"team": "alpha"})
        ).expand(**{argument: ["team-beta"]})
    with pytest.raises(Exception, match="team-beta"):
        mapped.unmap({argument: "team-beta"})


MOUNTS = [{"name": "late", "mountPath": "/late"}]
LATE = {"spec": {"volumes": [{"name": "late", "emptyDir": {}}]}}


@pytest.mark.parametrize(("value", "is_made"), [(LATE, True), ({}, False), ("a text", False)])
def test_late_volume_is_refused_only_if_it_stays_absent(value: Any, is_made: bool):
    with DAG("d", render_template_as_native_obj=True):
        task = TeamPodOperator(
            task_id="t", team="alpha", image="b:1", volume_mounts=MOUNTS, pod_override="{{ params.late }}"
        )
    task.render_template_fields({"params": {"late": value}})  # type: ignore[typeddict-unknown-key]
    with nullcontext() if is_made else pytest.raises(PodError):
        build_pod(task)


@pytest.mark.parametrize("argument", ["pod_template_file", "pod_template_dict", "pod_override"])
def test_unrendered_argument_may_set_the_image(publish: Publish, argument: str):
    publish()
    task = TeamPodOperator(task_id="t", team="alpha", **{argument: "{{ params.pod }}"})
    setattr(task, argument, None)
    with pytest.raises(RefusedPod, match=r"^The pod has no image"):
        task.build_pod_request_obj(dry_run=True)
    task.pod_override = {"spec": {"containers": [{"name": "base", "image": "busybox:1.35"}]}}
    assert task.build_pod_request_obj(dry_run=True).spec.containers[0].image == "busybox:1.35"
