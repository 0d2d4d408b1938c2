"""The deferrable tasks of `scripts/bench deferred` with a pod, for one variant."""

from typing import Any

from airflow.sdk import DAG, get_parsing_context

from kpo_platform import TeamPodOperator

VARIANT = "team"  # the benchmark replaces the word
ARGUMENTS: dict[str, dict[str, Any]] = {
    "team": {},
    "at_once": {"defer_after": 0},
    # TeamPodOperator has another default of the interval.
    "stock": {"engine": "stock", "startup_check_interval_seconds": 5},
}

RESULT = """printf '"%s"' "$(head -c 1022 /dev/zero | tr '\\0' x)" > /airflow/xcom/return.json"""
"""Writes a result of 1,024 bytes."""

TINY = {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"cpu": "200m", "memory": "32Mi"}}
SHARED: dict[str, Any] = {
    "task_id": "work",
    "image": "busybox:1.35",
    "retries": 0,
    "deferrable": True,
    **ARGUMENTS[VARIANT],
}


def list_numbers(count: int) -> list[dict[str, str]]:
    """Return the environment of each of many tasks."""
    return [{"NUMBER": str(number)} for number in range(count)]


def is_wanted(suffix: str) -> bool:
    """Return whether this process needs the DAG: that of a task needs only its own."""
    return get_parsing_context().dag_id in (None, f"deferred_{VARIANT}{suffix}")


def name_dag(suffix: str) -> dict[str, Any]:
    """Return the arguments of a DAG."""
    return {"dag_id": f"deferred_{VARIANT}{suffix}", "schedule": None, "default_args": {"team": "alpha"}}


for suffix, program, xcom in (
    ("", "echo hi", False),
    ("_result", f"echo hi; {RESULT}", True),
    ("_20s", "sleep 20", False),
):
    if is_wanted(suffix):
        with DAG(**name_dag(suffix)):
            TeamPodOperator(cmds=["sh", "-c", program], xcom=xcom, **SHARED)

for suffix, program in (("_many", "echo done $NUMBER"), ("_many_20s", "sleep 20; echo done $NUMBER")):
    if is_wanted(suffix):
        with DAG(**name_dag(suffix)):
            many = TeamPodOperator.partial(cmds=["sh", "-c", program], container_resources=TINY, **SHARED)
            many.expand(env_vars=list_numbers(100))

if is_wanted("_burst"):
    with DAG(**name_dag("_burst")):
        # No node has this label: the pods wait as long as the benchmark needs, and use nothing of the machine.
        burst = TeamPodOperator.partial(
            cmds=["true"],
            container_resources=TINY,
            node_selector={"kpo-platform.test/no-node": "true"},
            get_logs=False,
            **SHARED,
        )
        burst.expand(env_vars=list_numbers(300))
