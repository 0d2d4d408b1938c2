"""Tasks whose pods run until they are told to end, in a worker, deferred and mapped; and one that ends at once."""

from datetime import timedelta

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

RESULT = """; echo "{\\"pod\\": \\"$HOSTNAME\\"}" > /airflow/xcom/return.json"""
UNTIL_TOLD = "echo began; until [ -f /tmp/end ]; do sleep 1; done; echo ended" + RESULT
ARGUMENTS = {"image": "busybox:1.35", "cmds": ["sh", "-c"], "do_xcom_push": True, "retries": 0}

with DAG("lasting", schedule=None, default_args=ARGUMENTS):
    TeamPodOperator(task_id="sync", deferrable=False, arguments=[UNTIL_TOLD])
    TeamPodOperator(task_id="deferred", arguments=[UNTIL_TOLD])
    TeamPodOperator.partial(task_id="mapped").expand(arguments=[[UNTIL_TOLD], [UNTIL_TOLD]])

with DAG("lasting_sync", schedule=None, default_args=ARGUMENTS):
    TeamPodOperator(task_id="sync", deferrable=False, arguments=[UNTIL_TOLD])

with DAG("lasting_tries", schedule=None, default_args=ARGUMENTS):
    retried = {"retries": 2, "retry_delay": timedelta(seconds=1)}
    TeamPodOperator(task_id="sync", deferrable=False, arguments=[UNTIL_TOLD], **retried)
    TeamPodOperator(task_id="once", deferrable=False, arguments=[UNTIL_TOLD])
    TeamPodOperator(task_id="deferred", arguments=[UNTIL_TOLD])

with DAG("lasted", schedule=None, default_args=ARGUMENTS):
    TeamPodOperator(task_id="work", arguments=["echo evidence" + RESULT])
