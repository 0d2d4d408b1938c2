"""Tasks of team alpha that refer to team beta only after rendering."""

from pathlib import Path

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG

BETA = {"params": {"namespace": "team-beta", "file": str(Path(__file__).with_name("beta_pod.yaml"))}}
IMAGE = {"image": "busybox:1.35", "cmds": ["echo"]}

with DAG("late_reference", schedule=None, **BETA):
    KubernetesPodOperator(task_id="rendered", namespace="{{ params.namespace }}", **IMAGE)
    KubernetesPodOperator(task_id="file", pod_template_file="{{ params.file }}", **IMAGE)
    KubernetesPodOperator.partial(task_id="mapped", **IMAGE).expand(namespace=["{{ params.namespace }}"])
    KubernetesPodOperator(task_id="label", labels={"kpo-platform/team": "{{ 'beta' }}"}, retries=3, **IMAGE)
