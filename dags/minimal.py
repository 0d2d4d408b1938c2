"""The least there is: an image and a command. Namespace, account, limits, labels and clean-up are the team's."""

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

with DAG("minimal", schedule=None, default_args={"team": "alpha"}, tags=["sample"], doc_md=__doc__):
    TeamPodOperator(task_id="hello", image="busybox:1.35", cmds=["echo", "hello from a busybox"])
