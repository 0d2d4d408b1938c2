"""A pod that fails stays, so that one can look at it; a pod whose work is done goes, as always.

The task's log names the pod that stays, with the commands to look at it.
"""

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

DEFAULTS = {"team": "alpha", "image": "busybox:1.35", "on_finish_action": "delete_succeeded_pod"}

with DAG("keep_on_failure", schedule=None, default_args=DEFAULTS, tags=["sample"], doc_md=__doc__):
    TeamPodOperator(task_id="fails", cmds=["sh", "-c", "echo the evidence; exit 3"])
    TeamPodOperator(task_id="works", cmds=["true"])
