"""The task of `scripts/bench sync` without a pod."""

from airflow.sdk import DAG, task

with DAG("sync_python", schedule=None):

    @task(task_id="work", do_xcom_push=False)
    def work() -> None:
        """Do nothing."""

    work()
