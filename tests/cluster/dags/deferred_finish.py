"""Tasks of group `deferred-finish`: the triggerer ends those that succeed and need nothing of a worker."""

from airflow.sdk import DAG, Asset

from kpo_platform import TeamPodOperator

TINY = {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"cpu": "200m", "memory": "32Mi"}}
SHARED = {"image": "busybox:1.35", "container_resources": TINY, "defer_after": 0, "retries": 0}
COUNT = "echo started; sleep 8; echo counted; echo '{\"rows\": 12}' > /airflow/xcom/return.json"

with DAG("finish_tasks", schedule=None):
    TeamPodOperator(task_id="counts", cmds=["sh", "-c", COUNT], xcom=True, **SHARED)
    TeamPodOperator(
        task_id="has_outlet", cmds=["sh", "-c", COUNT], xcom=True, outlets=[Asset("finished_rows")], **SHARED
    )
    TeamPodOperator(task_id="fails", cmds=["sh", "-c", "echo started; sleep 8; exit 3"], **SHARED)

with DAG("finish_queue", schedule=None):
    program = ["sh", "-c", "sleep 8; echo finished $NUMBER"]
    tasks = TeamPodOperator.partial(task_id="work", cmds=program, pool="one_slot", **SHARED)
    tasks.expand(env_vars=[{"NUMBER": str(number)} for number in range(6)])
