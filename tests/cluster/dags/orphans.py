"""Tasks of group `orphans`: their pods run until they are ended from outside."""

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

TEAM = "alpha"  # the test replaces the word
TINY = {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"cpu": "200m", "memory": "32Mi"}}
SHARED = {
    "image": "busybox:1.35",
    "cmds": ["sh", "-c", "trap exit TERM; sleep 3600 & wait"],
    "container_resources": TINY,
    "defer_after": 0,
    "retries": 0,
}

with DAG(f"orphans_{TEAM}", schedule=None, default_args={"team": TEAM}):
    TeamPodOperator(task_id="stopped", **SHARED)
    TeamPodOperator(task_id="taken", **SHARED)
    TeamPodOperator(task_id="kept", on_kill_action="keep_pod", **SHARED)
    TeamPodOperator(task_id="waiting", **SHARED)
