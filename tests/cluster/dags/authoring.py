"""Tasks of group `authoring`, whose pods are rendered, run from a laptop, and run by Airflow."""

from airflow import __version__ as airflow_version
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG, task

from kpo_platform import TeamPodOperator

BUSYBOX = {"image": "busybox:1.35", "cmds": ["sh", "-c"]}
COUNT = "echo counted; echo '{\"rows\": 12}' > /airflow/xcom/return.json"

OWNER = {"owner": "data team"}

with DAG("authoring", schedule=None, params={"stage": "test"}, default_args=OWNER, max_active_tasks=2):
    count = TeamPodOperator(task_id="count", arguments=[COUNT], xcom=True, **BUSYBOX)
    many = TeamPodOperator(
        task_id="many",
        arguments=["echo {{ params.stage }} {{ ti.xcom_pull('count')['rows'] }} of {{ run_id }}"],
        env_vars={"STAGE": "{{ params.stage }}", "SIZE": 3},
        labels={"stage": "{{ params.stage }}"},
        annotations={"example.test/why": "to compare"},
        tolerations=[{"key": "batch", "operator": "Exists"}],
        volumes=[{"name": "scratch", "emptyDir": {}}],
        volume_mounts=[{"name": "scratch", "mountPath": "/scratch"}],
        pod_override={"spec": {"terminationGracePeriodSeconds": 5}},
        **BUSYBOX,
    )
    each = TeamPodOperator.partial(task_id="each", **BUSYBOX).expand(arguments=[["echo one"], ["echo two"]])
    stock = KubernetesPodOperator(task_id="stock", arguments=["echo stock"], **BUSYBOX)

    @task.team_pod(image=f"airflow:{airflow_version}", env_vars={"STAGE": "test"})
    def function(rows: int) -> None:
        assert rows == 7

    count >> many
    function(7)

with DAG("laptop", schedule=None):
    TeamPodOperator(task_id="fails", arguments=["echo no such table; exit 3"], **BUSYBOX)
    TeamPodOperator(
        task_id="sleeps", arguments=["trap 'exit 143' TERM; echo started; echo waiting; sleep 300 & wait"], **BUSYBOX
    )
