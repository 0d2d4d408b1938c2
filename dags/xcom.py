"""A result passes from one pod to the next: written as JSON to /airflow/xcom/return.json, read from a variable."""

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

COUNT = "echo '{\"rows\": 12}' > /airflow/xcom/return.json"
DOUBLE = 'echo "$((ROWS * 2))" > /airflow/xcom/return.json'

with DAG("xcom", schedule=None, default_args={"team": "alpha"}, tags=["sample"], doc_md=__doc__):
    count = TeamPodOperator(task_id="count", image="busybox:1.35", cmds=["sh", "-c", COUNT], xcom=True)
    double = TeamPodOperator(
        task_id="double",
        image="busybox:1.35",
        cmds=["sh", "-c", DOUBLE],
        env_vars={"ROWS": "{{ ti.xcom_pull('count')['rows'] }}"},
        xcom=True,
    )
    count >> double
