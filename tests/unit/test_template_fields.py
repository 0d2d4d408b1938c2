"""The templated fields of a task: those that say something, whenever they do."""

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


def test_a_field_that_says_nothing_is_not_templated():
    assert task_of().template_fields == ("image", "kubernetes_conn_id")
    assert set(task_of(cmds=["echo"], labels={"a": "{{ ds }}"}, env_vars={}).template_fields) == {
        "image",
        "cmds",
        "labels",
        "kubernetes_conn_id",
    }


def test_the_class_names_all_of_them():
    assert {"image", "arguments", "env_vars", "pod_override"} <= set(TeamPodOperator.template_fields)
    assert not {"namespace", "base_container_name"} & set(TeamPodOperator.template_fields)


def test_a_field_that_is_set_later_is_rendered_too():
    task = task_of()
    task.arguments = ["{{ word }}"]
    task.render_template_fields({"word": "late"})  # type: ignore[typeddict-unknown-key]
    assert task.arguments == ["late"]


def test_the_result_of_a_task_that_is_set_later_makes_it_upstream():
    with DAG("d"):
        first, second = task_of(), TeamPodOperator(task_id="second", team="alpha", image="b:1")
        second.arguments = first.output
    assert second.upstream_task_ids == {"t"}


def test_a_mapped_argument_is_rendered():
    with DAG("d"):
        mapped = TeamPodOperator.partial(task_id="m", team="alpha", image="b:1").expand(arguments=[["{{ word }}"]])
    task = mapped.unmap({"arguments": ["{{ word }}"]})
    task.render_template_fields({"word": "each"})  # type: ignore[typeddict-unknown-key]
    assert task.arguments == ["each"]


def test_airflow_stores_no_field_that_says_nothing():
    with DAG("d") as dag:
        task_of(arguments=["{{ ds }}"])
    stored = DagSerialization.to_dict(dag)["dag"]["tasks"][0]["__var"]
    assert (stored["arguments"], stored["image"]) == (["{{ ds }}"], "busybox:1.35")
    assert not {"env_vars", "volumes", "cmds", "pod_override"} & stored.keys()
