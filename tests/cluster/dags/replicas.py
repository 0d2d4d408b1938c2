"""Long and short tasks of group `replicas`."""

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

EXIT_ON_TERM = "trap 'exit 143' TERM; "
LONG = {
    "image": "busybox:1.35",
    "cmds": ["sh", "-c", EXIT_ON_TERM + "echo started; sleep 150 & wait $!; echo finished"],
}

for mode, deferrable in {"waiting": False, "deferred": True}.items():
    with DAG(f"replicas_{mode}", schedule=None):
        TeamPodOperator(task_id="work", deferrable=deferrable, retries=0, **LONG)

with DAG("replicas_quick", schedule=None):
    quick = TeamPodOperator.partial(task_id="work", image="busybox:1.35", cmds=["echo"], retries=0)
    quick.expand(arguments=[["one"], ["two"], ["three"]])
