"""A DAG with the stock operator and no reference to a team.

In a team's repository or folder its pod gets the team's settings without an edit: docs/cluster-policy.md.
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
