"""Tasks whose pods run until /tmp/end exists in them: in a worker, deferred and mapped; and a short task."""

from datetime import timedelta

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

RESULT = """; echo "{\\"pod\\": \\"$HOSTNAME\\"}" > /airflow/xcom/return.json"""
RUN_UNTIL_END_FILE = "echo began; until [ -f /tmp/end ]; do sleep 1; done; echo ended" + RESULT
ARGUMENTS = {"image": "busybox:1.35", "cmds": ["sh", "-c"], "do_xcom_push": True, "retries": 0}

with DAG("long_tasks", schedule=None, default_args=ARGUMENTS):
    TeamPodOperator(task_id="sync", deferrable=False, arguments=[RUN_UNTIL_END_FILE])
    TeamPodOperator(task_id="deferred", arguments=[RUN_UNTIL_END_FILE])
    TeamPodOperator.partial(task_id="mapped").expand(arguments=[[RUN_UNTIL_END_FILE], [RUN_UNTIL_END_FILE]])

with DAG("long_tasks_sync", schedule=None, default_args=ARGUMENTS):
    TeamPodOperator(task_id="sync", deferrable=False, arguments=[RUN_UNTIL_END_FILE])

with DAG("long_tasks_tries", schedule=None, default_args=ARGUMENTS):
    retried = {"retries": 2, "retry_delay": timedelta(seconds=1)}
    TeamPodOperator(task_id="sync", deferrable=False, arguments=[RUN_UNTIL_END_FILE], **retried)
    TeamPodOperator(task_id="once", deferrable=False, arguments=[RUN_UNTIL_END_FILE])
    TeamPodOperator(task_id="deferred", arguments=[RUN_UNTIL_END_FILE])

with DAG("result_kinds", schedule=None, default_args={**ARGUMENTS, "arguments": [RUN_UNTIL_END_FILE]}):
    TeamPodOperator(task_id="sync", deferrable=False)
    TeamPodOperator(task_id="deferred")
    TeamPodOperator(task_id="sync_message", deferrable=False, xcom=True)
    TeamPodOperator(task_id="deferred_message", xcom=True)

with DAG("short_task", schedule=None, default_args=ARGUMENTS):
    TeamPodOperator(task_id="work", arguments=["echo evidence" + RESULT])
