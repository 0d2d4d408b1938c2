"""The processes in which LocalExecutor runs tasks, in the pod of the scheduler."""

from __future__ import annotations

from typing import Literal

from common.errors import ScriptError
from common.polling import NotYet, wait_for
from stack.release import NAMESPACE, Stack

Signal = Literal["TERM", "KILL", "0"]
"""The signals of the kills; 0 only looks for the process."""

SCHEDULER = "airflow-scheduler-0"

# Airflow sets the title of a task's process to "airflow worker -- ID OF THE TASK INSTANCE". The id is read from stdin,
# because a process with the id in its arguments would find itself.
_KILL = """
read -r id signal
for file in /proc/[0-9]*/cmdline; do
    title=$(tr -d '\\0' 2>/dev/null <"$file")
    case "$title" in
        "airflow worker -- $id"*) process=${file#/proc/}; process=${process%/cmdline}
            kill "-$signal" "$process" && echo "$process" ;;
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
        if not _send(stack, task_instance, signal):
            raise NotYet("it does not run")

    wait_for(f"the process of task instance {task_instance}", probe, deadline_s, interval_s=0.5)


def wait_for_process(stack: Stack, task_instance: str, deadline_s: float = 60) -> None:
    """Wait until the process of a task runs; arguments and exceptions as of `kill_task`."""
    kill_task(stack, task_instance, "0", deadline_s)


def wait_until_exited(stack: Stack, task_instance: str, deadline_s: float = 120) -> None:
    """Wait until no process of a task runs: a stopped one may still create or end its pod.

    Args:
        stack: the cluster.
        task_instance: the id of the task instance.
        deadline_s: seconds to wait.

    Raises:
        ScriptError: a process still runs.
    """

    def probe() -> None:
        if processes := _send(stack, task_instance, "0"):
            raise NotYet(f"process {', '.join(processes)} runs")

    wait_for(f"the process of task instance {task_instance} to exit", probe, deadline_s, interval_s=1)


def _send(stack: Stack, task_instance: str, signal: str) -> list[str]:
    """Send a signal, or 0 for none, to the processes of a task; return their ids."""
    words = ("exec", "-i", "-n", NAMESPACE, SCHEDULER, "-c", "scheduler", "--", "sh", "-c", _KILL)
    try:
        return stack.kubectl(*words, stdin=f"{task_instance} {signal}\n").split()
    except ScriptError as error:
        raise NotYet(str(error)) from None


def read_scheduler_address(stack: Stack) -> str:
    """Return the IP address from which the tasks in LocalExecutor send their requests."""
    return str(stack.get("pod", SCHEDULER, "-n", NAMESPACE)["status"]["podIP"])
