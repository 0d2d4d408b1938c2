"""One task per kind of refusal."""

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

with DAG("bad", schedule=None, default_args={"cmds": ["true"]}):
    TeamPodOperator(task_id="typo", image="busybox:1.35", startup_timout_seconds=5)
    TeamPodOperator(task_id="elsewhere", image="busybox:1.35", team="beta")
    TeamPodOperator(task_id="size", image="busybox:1.35", size="hueg")
    TeamPodOperator(task_id="namespace", image="busybox:1.35", namespace="team-beta")
    TeamPodOperator(task_id="unpinned", image="busybox")
    TeamPodOperator(
        task_id="nfs",
        image="busybox:1.35",
        volumes=[{"name": "share", "nfs": {"server": "nfs.test", "path": "/"}}],
    )
    TeamPodOperator(task_id="root", image="busybox:1.35", container_security_context={"runAsUser": 0})
    TeamPodOperator(
        task_id="password",
        image="busybox:1.35",
        env_vars={
            "DB_PASSWORD": "correct-horse",
        },
    )
    KubernetesPodOperator(task_id="stock", image="busybox:1.35", namespace="team-beta")
