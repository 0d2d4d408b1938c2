"""Tasks of group `executors`: one waits for its pod in the worker, one in the triggerer."""

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

SCRIPT = (
    "trap 'exit 143' TERM; echo I am $UID_OF_POD; sleep 15 & wait $!; "
    'echo "{\\"uid\\": \\"$UID_OF_POD\\"}" > /airflow/xcom/return.json'
)
POD_UID = {"name": "UID_OF_POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}

for mode, deferrable in {"waiting": False, "deferred": True}.items():
    with DAG(f"executors_{mode}", schedule=None):
        TeamPodOperator(
            task_id="work",
            image="busybox:1.35",
            cmds=["sh", "-c", SCRIPT],
            env_vars=[POD_UID],
            do_xcom_push=True,
            deferrable=deferrable,
            defer_after=0,
        )
