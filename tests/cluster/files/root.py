"""A program that requires root and the capability CHOWN: it changes a file's owner."""

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

SCRIPT = """
set -eu
touch /work/file && chown 1234 /work/file
echo "{\\"uid\\": $(id -u), \\"owner\\": \\"$(stat -c %u /work/file)\\"}" > /airflow/xcom/return.json
"""

with DAG("root", schedule=None, default_args={"team": "old"}):
    TeamPodOperator(
        task_id="root",
        image="busybox:1.35",
        cmds=["sh", "-c", SCRIPT],
        xcom=True,
        container_security_context={"runAsUser": 0, "capabilities": {"add": ["CHOWN"]}},
    )
