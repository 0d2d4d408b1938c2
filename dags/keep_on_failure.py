"""A failed pod is kept for inspection; a successful pod is deleted.

The task's log names the kept pod, with the commands to inspect it.
"""

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

DEFAULTS = {"team": "alpha", "image": "busybox:1.35", "on_finish_action": "delete_succeeded_pod"}

with DAG("keep_on_failure", schedule=None, default_args=DEFAULTS, tags=["sample"], doc_md=__doc__):
    TeamPodOperator(task_id="fails", cmds=["sh", "-c", "echo the evidence; exit 3"])
    TeamPodOperator(task_id="works", cmds=["true"])
