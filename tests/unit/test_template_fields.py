"""arguments.template_fields: the templated fields of a task without the empty ones."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from kpo_platform import TeamPodOperator
from unit.support.published_contract import Publish


@pytest.fixture(autouse=True)
def contract_of_alpha(publish: Publish) -> None:
    publish()


def task_of(**arguments: Any) -> TeamPodOperator:
    return TeamPodOperator(task_id="t", team="alpha", image="busybox:1.35", **arguments)


def test_empty_field_is_not_templated():
    assert task_of().template_fields == ("image", "kubernetes_conn_id")
    assert set(task_of(cmds=["echo"], labels={"a": "{{ ds }}"}, env_vars={}).template_fields) == {
        "image",
        "cmds",
        "labels",
        "kubernetes_conn_id",
    }


def test_class_lists_all_fields():
    assert {"image", "arguments", "env_vars", "pod_override"} <= set(TeamPodOperator.template_fields)
    assert not {"namespace", "base_container_name"} & set(TeamPodOperator.template_fields)


def test_field_set_after_init_is_rendered():
    task = task_of()
    task.arguments = ["{{ word }}"]
    task.render_template_fields({"word": "late"})  # type: ignore[typeddict-unknown-key]
    assert task.arguments == ["late"]


def test_xcom_set_after_init_makes_its_task_upstream():
    with DAG("d"):
        first, second = task_of(), TeamPodOperator(task_id="second", team="alpha", image="b:1")
        second.arguments = first.output
    assert second.upstream_task_ids == {"t"}


def test_mapped_argument_is_rendered():
    with DAG("d"):
        mapped = TeamPodOperator.partial(task_id="m", team="alpha", image="b:1").expand(arguments=[["{{ word }}"]])
    task = mapped.unmap({"arguments": ["{{ word }}"]})
    task.render_template_fields({"word": "each"})  # type: ignore[typeddict-unknown-key]
    assert task.arguments == ["each"]


def test_serialized_dag_has_no_empty_field():
    with DAG("d") as dag:
        task_of(arguments=["{{ ds }}"])
    stored = DagSerialization.to_dict(dag)["dag"]["tasks"][0]["__var"]
    assert (stored["arguments"], stored["image"]) == (["{{ ds }}"], "busybox:1.35")
    assert not {"env_vars", "volumes", "cmds", "pod_override"} & stored.keys()
