"""Tasks of group `results`: their programs write results around the limits of a termination message."""

from typing import Any

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

FILE = "/airflow/xcom/return.json"
RESOURCES = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}}
SMALL = {"image": "localhost/kpo-platform/busybox:1.35", "command": ["true"], "resources": RESOURCES}
FOUR = {"spec": {"containers": [{"name": f"more-{number}", **SMALL} for number in range(3)]}}


def write(size: int) -> str:
    """Write a JSON string of so many bytes."""
    return f"""printf '"%s"' "$(head -c {size - 2} /dev/zero | tr '\\0' x)" > {FILE}; """


def write_wide(count: int) -> str:
    """Write a JSON string of so many characters of two bytes."""
    return f"""printf '"%s"' "$(for number in $(seq {count}); do printf ü; done)" > {FILE}; """


def define_task(name: str, program: str, **arguments: Any) -> None:
    TeamPodOperator(
        task_id=name,
        image="busybox:1.35",
        cmds=["sh", "-c", program],
        container_resources=RESOURCES,
        **{"xcom": True, "deferrable": False, "retries": 1, **arguments},
    )


with DAG("results", schedule=None, default_args={"team": "alpha"}, max_active_tasks=6):
    for size in (4094, 4095, 4096, 4097):
        define_task(f"one_{size}", write(size))
    for size in (3070, 3071, 3072, 3073):
        define_task(f"four_{size}", write(size), pod_override=FOUR)
    define_task("wide_whole", write_wide(2046))
    define_task("wide_cut", write_wide(2048))
    define_task("deferred_whole", write(4095), deferrable=True, defer_after=0)
    define_task("deferred_cut", write(4096), deferrable=True, defer_after=0)
    define_task("empty", "true")
    define_task("broken", "echo '{' > " + FILE, retries=0)
    define_task("partial", write(100) + "exit 3", retries=0)
    define_task("moved", f"echo 1 > /work/new && mv /work/new {FILE}", retries=0)
    define_task("beside", f"echo 1 > {FILE}.new", retries=0)
    define_task("large", write(9000), xcom="sidecar")
