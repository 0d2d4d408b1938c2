"""A template of the platform, and `pod_override` for pod fields without an argument: here a volume in memory."""

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

# Written as in YAML. Containers, volumes and variables are merged by name; the task's container is named `base`.
FAST_DISK = {
    "spec": {
        "containers": [{"name": "base", "volumeMounts": [{"name": "fast", "mountPath": "/fast"}]}],
        "volumes": [{"name": "fast", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}],
    }
}

with DAG("template_and_override", schedule=None, default_args={"team": "alpha"}, tags=["sample"], doc_md=__doc__):
    TeamPodOperator(
        task_id="sort",
        image="busybox:1.35",
        cmds=["sh", "-c", "echo sorted > /fast/file && mount | grep ' /fast ' && cat /fast/file"],
        template="default",
        pod_override=FAST_DISK,
    )
