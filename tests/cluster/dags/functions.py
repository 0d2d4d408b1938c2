"""Decorated functions in a team's pods, and TeamPodOperator with the features of any Airflow task."""

from datetime import timedelta

from airflow import __version__ as airflow_version
from airflow.sdk import DAG, Asset, task

from kpo_platform import TeamPodOperator

BUSYBOX = {"image": "busybox:1.35", "cmds": ["sh", "-c"]}

with DAG("functions", schedule=None):

    @task.team_pod(image=f"airflow:{airflow_version}", xcom=True)
    def numbers() -> list[int]:
        return [1, 2]

    @task.team_pod(image=f"airflow:{airflow_version}", xcom=True, retries=1, retry_delay=timedelta(seconds=1))
    def double(number: int) -> int:
        import os

        if os.environ["KPO_TRY_NUMBER"] == "1":
            raise ValueError("not at the first try")
        return number * 2

    double.expand(number=numbers())

with DAG("everything", schedule=None):
    prepare = TeamPodOperator(task_id="prepare", arguments=["echo prepared"], **BUSYBOX).as_setup()
    tidy = TeamPodOperator(task_id="tidy", arguments=["echo tidied"], **BUSYBOX).as_teardown(setups=prepare)
    work = TeamPodOperator(
        task_id="work",
        arguments=["echo run $RUN in $(pwd)"],
        env_vars={"RUN": "{{ run_id }}"},
        pod_override={"spec": {"containers": [{"name": "base", "workingDir": "/{{ 'work' }}"}]}},
        outlets=[Asset("test://everything/")],
        execution_timeout=timedelta(minutes=5),
        **BUSYBOX,
    )
    each = TeamPodOperator.partial(task_id="each", **BUSYBOX).expand(arguments=[["echo one"], ["echo two"]])
    late = TeamPodOperator(
        task_id="late", arguments=["sleep 300"], execution_timeout=timedelta(seconds=10), retries=0, **BUSYBOX
    )
    prepare >> [work, each, late] >> tidy
