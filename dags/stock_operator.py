"""A DAG from before there were teams, not a letter of it changed.

In the team's repository it keeps the team's agreements all the same: docs/cluster-policy.md.
"""

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG

with DAG("stock_operator", schedule=None, tags=["sample"], doc_md=__doc__):
    KubernetesPodOperator(
        task_id="hello",
        name="hello",
        image="busybox:1.35",
        cmds=["sh", "-c"],
        arguments=["echo hello > /data/from-stock; echo hello from the stock operator"],
        get_logs=True,
    )
