"""The tasks of `scripts/bench sync` with a pod, for one engine of TeamPodOperator."""

from typing import Any

from airflow.sdk import DAG, get_parsing_context

from kpo_platform import TeamPodOperator

ENGINE = "team"  # the benchmark replaces the word
SLEEPS = (20, 22, 24, 60, 62, 64, 120, 122, 124)
"""Seconds; a little apart, so that the tasks of a run do not end at the same moment."""

RESULT = """printf '"%s"' "$(head -c 1022 /dev/zero | tr '\\0' x)" > /airflow/xcom/return.json"""
"""Writes a result of 1,024 bytes."""

# The lines are written in blocks: a write for each line would measure the container runtime, which takes some 5,000
# writes a second.
WRITE_BURST = """
    awk -v from="$((burst * 100000))" -v pad="$pad" 'BEGIN {
        for (i = 1; i <= 100000; i++) {
            block = block sprintf("number %07d %s\\n", from + i, pad)
            if (i % 250 == 0) { printf "%s", block; block = "" }
        }
    }'
"""
PAD = "pad=$(head -c 90 /dev/zero | tr '\\0' x)"
# The kubelet looks every 10 s whether a log has to be rotated, so the lines must not be written all at once.
LINES = f"{PAD}; for burst in 0 1 2 3 4 5 6 7 8 9; do {WRITE_BURST} sleep 5; done"
BACKLOG = f"{PAD}; for burst in 0 1; do {WRITE_BURST} done"
"""Fits into a log that is not rotated."""

SMALL = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}}
FAST = {"requests": {"cpu": "100m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "64Mi"}}

# TeamPodOperator has another default of this argument.
ENGINE_ARGUMENTS: dict[str, Any] = {} if ENGINE == "team" else {"engine": ENGINE, "startup_check_interval_seconds": 5}


def define_task(name: str, program: str, *, xcom: bool, **arguments: Any) -> None:
    """Define a task whose pod runs a shell program."""
    TeamPodOperator(
        task_id=name,
        image="busybox:1.35",
        cmds=["sh", "-c", program],
        xcom=xcom,
        retries=0,
        **ENGINE_ARGUMENTS,
        **{"deferrable": False, **arguments},
    )


def define_dag(suffix: str, programs: dict[str, str], *, xcom: bool = False, **arguments: Any) -> None:
    """Define a DAG with a task per program; a task's process needs only its own DAG of this file."""
    dag_id = f"sync_{ENGINE}{suffix}"
    if get_parsing_context().dag_id in (None, dag_id):
        with DAG(dag_id, schedule=None, default_args={"team": "alpha"}):
            for name, program in programs.items():
                define_task(name, program, xcom=xcom, **arguments)


def build_long_program(seconds: int) -> str:
    """Build a program that writes a line per second, and a result at its end."""
    return f'for number in $(seq {seconds}); do echo "line $number"; sleep 1; done; {RESULT}'


define_dag("", {"work": "echo hi"})
define_dag("_result", {"work": f"echo hi; {RESULT}"}, xcom=True)
define_dag(
    "_long",
    {f"sleep_{seconds}": build_long_program(seconds) for seconds in SLEEPS},
    xcom=True,
    container_resources=SMALL,
)
define_dag("_lines", {"work": LINES}, container_resources=FAST)
# A deferred task reads the log once its pod has ended.
define_dag("_backlog", {"work": BACKLOG}, container_resources=FAST, deferrable=True, defer_after=0)
