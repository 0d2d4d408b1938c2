"""A deferrable task of the stock operator, without team settings."""

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG

with DAG("triggers_stock", schedule=None, default_args={"retries": 0}):
    KubernetesPodOperator(
        task_id="work",
        image="busybox:1.35",
        cmds=["sh", "-c", "sleep 5; echo a pod of a stock operator"],
        deferrable=True,
        get_logs=True,
    )
