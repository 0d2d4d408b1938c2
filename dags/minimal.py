"""An image and a command; the team sets namespace, service account, limits, labels and cleanup."""

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

with DAG("minimal", schedule=None, default_args={"team": "alpha"}, tags=["sample"], doc_md=__doc__):
    TeamPodOperator(task_id="hello", image="busybox:1.35", cmds=["echo", "hello from a busybox"])
