"""One task in a team's pod, waiting for it in the worker and in the triggerer, for the tests of group `executors`."""

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

TELL = (
    "trap 'exit 143' TERM; echo I am $UID_OF_POD; sleep 15 & wait $!; "
    'echo "{\\"uid\\": \\"$UID_OF_POD\\"}" > /airflow/xcom/return.json'
)
ITSELF = {"name": "UID_OF_POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}

for way, deferrable in {"waiting": False, "deferred": True}.items():
    with DAG(f"executors_{way}", schedule=None):
        TeamPodOperator(
            task_id="work",
            image="busybox:1.35",
            cmds=["sh", "-c", TELL],
            env_vars=[ITSELF],
            do_xcom_push=True,
            deferrable=deferrable,
        )
