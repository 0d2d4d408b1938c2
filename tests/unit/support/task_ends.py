"""Ends of a task's processes: what they tell, the author's callbacks, and ``execution_timeout``."""

from __future__ import annotations

import signal
from asyncio import CancelledError
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.callbacks import KubernetesPodOperatorCallback
from airflow.sdk.exceptions import AirflowException, AirflowTaskTimeout

from unit.support.task_process import Run, StartTask, Task

EXIT_3 = (
    "AirflowException: The program failed with exit code 3: hello. That is the last line of its log: look there for "
    "the cause. [KPO-END111: "
    "docs/troubleshooting.md#kpo-end111] Pod: POD."
)
"""The error of a program whose last line is ``hello``."""

UNSEEN_EXIT_3 = "AirflowException: Pod POD failed. The program failed: container base ended with exit code 3."
"""The same error, told by a process that knows the end only from Airflow's store."""

EXITS: list[tuple[BaseException, str]] = [
    (SystemExit(1), "SystemExit: 1"),
    (SystemExit(), "SystemExit"),
    (CancelledError(), "CancelledError"),
]
"""What the author's code raises when it exits, and how the task's error tells it."""

NAMES = (
    "on_pod_manifest_created",
    "on_pod_creation",
    "on_pod_starting",
    "on_pod_completion",
    "on_pod_teardown",
    "on_pod_cleanup",
)


def tell(task: Task, run: Run) -> Any:
    return run.outcome.replace(task.pod, "POD") if isinstance(run.outcome, str) else run.outcome


def build_callback(call: Callable[[str, dict[str, Any]], None]) -> type[KubernetesPodOperatorCallback]:
    """Build callbacks that pass their names and arguments on."""

    def build(name: str) -> Any:
        return staticmethod(lambda **arguments: call(name, arguments))

    members = {name: build(name) for name in (*NAMES, "progress_callback", "on_sync_client_creation")}
    return type("Callback", (KubernetesPodOperatorCallback,), members)


def raise_in(wanted: str, error: BaseException) -> type[KubernetesPodOperatorCallback]:
    """Build callbacks of which one raises this error."""

    def call(name: str, arguments: dict[str, Any]) -> None:
        if name == wanted:
            raise error

    return build_callback(call)


def fail_in(wanted: str) -> type[KubernetesPodOperatorCallback]:
    return raise_in(wanted, RuntimeError(f"{wanted} of the author"))


def start_last_try(start_task: StartTask, **arguments: Any) -> Task:
    """Create a task that has no other try."""
    task = start_task(retries=0, **arguments)
    task.max_tries = 0
    return task


@pytest.fixture
def alarm() -> Iterator[None]:
    """Let SIGALRM raise as Airflow's timeout does."""

    def stop(*_: Any) -> None:
        raise AirflowTaskTimeout("Timeout, PID: 1")

    former = signal.signal(signal.SIGALRM, stop)
    yield
    signal.signal(signal.SIGALRM, former)


def run_until(seconds: float, task: Task) -> Run:
    """Run the task with an ``execution_timeout`` of these seconds."""
    cluster, sent = task.cluster, []

    def tick() -> None:
        if cluster.now >= seconds and not sent:
            sent.append(True)
            signal.raise_signal(signal.SIGALRM)

    cluster.on_tick = tick
    return run_with_timeout(task)


def run_with_timeout(task: Task) -> Run:
    """Run the task, and call ``on_kill`` as Airflow does if its ``execution_timeout`` is over."""
    run = task.run()
    try:
        raise run.error or AssertionError
    except AirflowTaskTimeout:
        task.operator.on_kill()
    except AirflowException:
        pass  # the program's own end
    return run


def refuse_to_store(task: Task, is_refused: Callable[[str, Any], bool]) -> None:
    """Let Airflow refuse some values."""
    store: Any = task.store
    keep = store.set

    def write(key: str, value: Any) -> None:
        if is_refused(key, value):
            raise RuntimeError("HTTP 500")
        keep(key, value)

    store.set = write
