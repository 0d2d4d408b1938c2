"""DAGs from before the platform: the stock operator without namespace, service account and security context."""

from airflow import __version__ as airflow_version
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG, task

SCRIPT = 'touch /data/by-stock; echo "hello from $HOSTNAME"; echo \'{"answer": 42}\' > /airflow/xcom/return.json'

with DAG("stock_unchanged", schedule=None):
    hello = KubernetesPodOperator(task_id="hello", image="busybox:1.35", cmds=["sh", "-c", SCRIPT], do_xcom_push=True)
    KubernetesPodOperator.partial(task_id="each", image="busybox:1.35", cmds=["echo"]).expand(
        arguments=[["one"], ["two"]]
    )

    @task.kubernetes(image=f"airflow:{airflow_version}", do_xcom_push=True)
    def double(result: dict[str, int]) -> int:
        return result["answer"] * 2

    double(hello.output)
