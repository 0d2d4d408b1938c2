"""Tasks of group `deferred`: many that wait in the triggerer at once."""

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

TINY = {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"cpu": "200m", "memory": "32Mi"}}
SHARED = {"image": "busybox:1.35", "container_resources": TINY, "defer_after": 0, "retries": 0}
"""Without the first seconds in the worker, so that every task is deferred."""


def list_variables(count: int) -> list[dict[str, str]]:
    return [{"NUMBER": str(number)} for number in range(count)]


for name, count, seconds in (("restarts", 50, 300), ("moved", 12, 150), ("unwatched", 3, 30), ("removed", 2, 900)):
    program = f"echo started $NUMBER; sleep {seconds}; echo finished $NUMBER"
    with DAG(f"deferred_{name}", schedule=None):
        tasks = TeamPodOperator.partial(task_id="work", cmds=["sh", "-c", program], **SHARED)
        tasks.expand(env_vars=list_variables(count))

with DAG("deferred_burst", schedule=None):
    # No node has this label: the test plays the kubelet of these pods.
    burst = TeamPodOperator.partial(
        task_id="work", node_selector={"kpo-platform.test/no-node": "true"}, get_logs=False, **SHARED
    )
    burst.expand(env_vars=list_variables(300))
