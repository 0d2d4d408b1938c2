"""A pod template of the platform, and what no argument can say on top of it: here memory that looks like a disk."""

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

# Written as in YAML. Containers, volumes and variables are merged by name; the task's own container is called `base`.
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
