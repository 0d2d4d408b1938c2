"""``@task.team_pod``, entry points, and Airflow features of TeamPodOperator."""

from __future__ import annotations

from datetime import timedelta
from importlib.metadata import distribution
from typing import Any

from airflow.sdk import DAG, Asset, task
from airflow.sdk.definitions.mappedoperator import MappedOperator

from kpo_platform import TeamPodOperator
from kpo_platform.airflow.decorators.team_pod import TeamPodDecoratedOperator
from unit.support.published_contract import Publish


def double(number: int) -> int:
    return number * 2


def test_entry_points_name_policy_and_provider():
    entry_points = {point.group: point.value for point in distribution("kpo-platform").entry_points}
    assert entry_points["airflow.policy"] == "kpo_platform.airflow.policies.cluster_policy"
    assert entry_points["apache_airflow_provider"] == "kpo_platform.airflow.provider_info:get_provider_info"
    assert task.team_pod.__name__ == "team_pod_task"


def test_decorated_function_is_a_task_of_its_team(publish: Publish):
    publish()
    with DAG("d", schedule=None):
        operator = task.team_pod(team="alpha", image="python:3.12", xcom=True, retries=2)(double)(21).operator
    assert isinstance(operator, TeamPodDecoratedOperator)
    assert (operator.task_id, operator.team, operator.pool, operator.retries) == ("double", "alpha", "team-alpha", 2)
    assert (operator.op_args, operator.do_xcom_push, operator.custom_operator_name) == ((21,), True, "@task.team_pod")
    assert {"op_args", "op_kwargs", "pod_override", "env_vars"} <= set(operator.template_fields)
    assert not {"cmds", "arguments"} & set(operator.template_fields)


def test_decorated_function_can_be_mapped(publish: Publish):
    publish()
    with DAG("d", schedule=None):
        operator = task.team_pod(team="alpha", image="python:3.12")(double).expand(number=[1, 2]).operator
    assert isinstance(operator, MappedOperator)


def test_airflow_features_work_with_team_pod_operator(publish: Publish):
    publish()
    shared: dict[str, Any] = {"team": "alpha", "image": "busybox:1.35"}
    with DAG("d", schedule=None) as dag:
        start = TeamPodOperator(task_id="start", **shared).as_setup()
        stop = TeamPodOperator(task_id="stop", **shared).as_teardown(setups=start)
        work = TeamPodOperator(
            task_id="work",
            execution_timeout=timedelta(seconds=5),
            outlets=[Asset("s3://bucket/out")],
            pod_override={"spec": {"containers": [{"name": "base", "workingDir": "/{{ ds }}"}]}},
            **shared,
        )
        start >> work >> stop
    assert (start.is_setup, stop.is_teardown, work.execution_timeout) == (True, True, timedelta(seconds=5))
    assert dag.get_task("work").outlets == [Asset("s3://bucket/out")]
    work.render_template_fields({"ds": "2026-11-23"}, dag.get_template_env())  # type: ignore[arg-type]
    assert work.pod_override == {"spec": {"containers": [{"name": "base", "workingDir": "/2026-11-23"}]}}
