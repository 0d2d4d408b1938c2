"""Tasks in a team's pods, long and short, for the tests of group `replicas`."""

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

ENDS_AT_ONCE = "trap 'exit 143' TERM; "
LONG = {
    "image": "busybox:1.35",
    "cmds": ["sh", "-c", ENDS_AT_ONCE + "echo started; sleep 150 & wait $!; echo finished"],
}

for way, deferrable in {"waiting": False, "deferred": True}.items():
    with DAG(f"replicas_{way}", schedule=None):
        TeamPodOperator(task_id="work", deferrable=deferrable, retries=0, **LONG)

with DAG("replicas_quick", schedule=None):
    quick = TeamPodOperator.partial(task_id="work", image="busybox:1.35", cmds=["echo"], retries=0)
    quick.expand(arguments=[["one"], ["two"], ["three"]])
