"""The processes in which LocalExecutor runs tasks, in the pod of the scheduler."""

from __future__ import annotations

from typing import Literal

from common.errors import ScriptError
from common.polling import NotYet, wait_for
from stack.release import NAMESPACE, Stack

Signal = Literal["TERM", "KILL"]

SCHEDULER = "airflow-scheduler-0"

# Airflow sets the title of a task's process to "airflow worker -- ID OF THE TASK INSTANCE". The id is read from stdin,
# because a process with the id in its arguments would find itself.
_KILL = """
read -r id signal
for file in /proc/[0-9]*/cmdline; do
    title=$(tr -d '\\0' 2>/dev/null <"$file")
    case "$title" in
        "airflow worker -- $id"*) process=${file#/proc/}; kill "-$signal" "${process%/cmdline}" && echo "$process" ;;
    esac
done
"""


def kill_task(stack: Stack, task_instance: str, signal: Signal, deadline_s: float = 60) -> None:
    """Send a signal to the process of a task, once it exists.

    Args:
        stack: the cluster.
        task_instance: the id of the task instance.
        signal: the signal's name.
        deadline_s: seconds to wait for the process.

    Raises:
        ScriptError: there was no process in time.
    """

    def probe() -> None:
        words = ("exec", "-i", "-n", NAMESPACE, SCHEDULER, "-c", "scheduler", "--", "sh", "-c", _KILL)
        try:
            output = stack.kubectl(*words, stdin=f"{task_instance} {signal}\n")
        except ScriptError as error:
            raise NotYet(str(error)) from None
        if not output.strip():
            raise NotYet("it does not run")

    wait_for(f"the process of task instance {task_instance}", probe, deadline_s, interval_s=0.5)


def read_scheduler_address(stack: Stack) -> str:
    """Return the IP address from which the tasks in LocalExecutor send their requests."""
    return str(stack.get("pod", SCHEDULER, "-n", NAMESPACE)["status"]["podIP"])
