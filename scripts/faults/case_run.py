"""A run of one of the DAGs in tests/cluster/dags/run_*.py, as cases of faults use it."""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

from common.errors import ScriptError
from common.polling import NotYet, wait_for
from faults.ledger import END, START, Ledger, read_ledger
from faults.proxy import FaultProxy
from faults.task_processes import Signal, kill_task
from local_cluster.cluster_paths import default_paths
from stack.airflow_api import AirflowApi, NoResponseError, NotFoundError
from stack.release import Stack

NAMESPACE = "team-alpha"
TWIN = "kpo-platform.test/twin"
"""The label of a pod that a case adds to those of a task."""

_ENDED = ("Succeeded", "Failed")
WAIT_S = 180.0
_MAX_AGE_S = 1.0
_LOG_SERVER_S = 30.0
_NO_LOG = "Could not read served logs"  # what Airflow shows instead of the log of a finished task

Json = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """The end of a task and of its work.

    Attributes:
        state: Airflow's state of the task.
        attempts: the number of tries.
        starts: how often its program started.
        ends: how often its program did its work to the end.
        running: the number of its pods that still run, without `TWIN`.
    """

    state: str
    attempts: int = 1
    starts: int = 1
    ends: int = 1
    running: int = 0


class TaskCache:
    """The task instances of a run, which many threads wait for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._time = 0.0
        self._tasks: dict[str, Json] = {}

    def read(self, list_instances: Callable[[], list[Json]]) -> dict[str, Json]:
        """Return the task instances by name; list them again if they are older than a second."""
        with self._lock:
            if time.monotonic() - self._time > _MAX_AGE_S:
                self._tasks = {_name_instance(instance): instance for instance in list_instances()}
                self._time = time.monotonic()
            return self._tasks


@dataclass(frozen=True)
class CaseRun:
    """A DAG run.

    Attributes:
        stack: the cluster.
        airflow: Airflow's API.
        proxy: the proxy that the requests of its tasks pass.
        dag: the DAG's id.
        id: the run's id.
    """

    stack: Stack
    airflow: AirflowApi
    proxy: FaultProxy
    dag: str
    id: str
    _tasks: TaskCache = field(default_factory=TaskCache, repr=False, compare=False)

    def list_tasks(self) -> dict[str, Json]:
        """Return the task instances by name, such as `work` or `work[3]`, at most a second old."""
        return self._tasks.read(lambda: self.airflow.list_task_instances(self.dag, self.id))

    def read_ledger(self) -> Ledger:
        """Return what the programs have written, also while the API server is away."""
        return read_ledger(default_paths().volumes, NAMESPACE, self.id)

    def list_pods(self, task: str = "") -> list[Json]:
        """Return the existing pods of a task, or of all tasks, the oldest first."""
        selector = f"dag_id={self.dag}" + (f",task_id={task}" if task else "")
        pods = self.stack.get("pods", "-n", NAMESPACE, "-l", selector)["items"]
        label = re.sub("[:+]", "", self.id)  # the characters that labels do not allow
        owned = [pod for pod in pods if pod["metadata"]["labels"].get("run_id", "").startswith(label)]
        return sorted(owned, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def wait_for_pod(self, task: str, phase: str, other_than: str = "", deadline_s: float = WAIT_S) -> Json:
        """Wait for a pod in a phase, and return it.

        Args:
            task: the task.
            phase: the pod's phase.
            other_than: the uid of a pod that does not count.
            deadline_s: seconds to wait.
        """

        def probe() -> Json:
            pods = self.list_pods(task)
            for pod in pods:
                if pod["status"].get("phase") == phase and pod["metadata"]["uid"] != other_than:
                    return pod
            raise NotYet(f"{[pod['status'].get('phase') for pod in pods]}; {self.describe_states()}")

        return wait_for(f"a pod of {self.dag}.{task} to be {phase}", probe, deadline_s, interval_s=1)

    def wait_for_events(self, event: str, tasks: Iterable[str], count: int = 1, deadline_s: float = WAIT_S) -> None:
        """Wait until the program of each task has written an event to the ledger this many times."""

        def probe() -> None:
            counts = self.read_ledger().count(event)
            if missing := [task for task in tasks if counts[task] < count]:
                raise NotYet(f"not yet: {missing}; {self.describe_states()}")

        wait_for(f"the programs of {self.dag} to write {event!r}", probe, deadline_s, interval_s=0.5)

    def wait_for_starts(self, *tasks: str, count: int = 1) -> None:
        """Wait until the program of each task has started this many times."""
        self.wait_for_events(START, tasks, count)

    def wait_for_state(self, task: str, *states: str, deadline_s: float = WAIT_S) -> Json:
        """Wait until a task is in one of the states; return the task instance."""

        def probe() -> Json:
            try:
                instance = self.list_tasks()[task]
            except NoResponseError as error:
                raise NotYet(str(error)) from None
            if instance["state"] not in states:
                raise NotYet(str(instance["state"]))
            return instance

        return wait_for(f"{self.dag}.{task} to be {' or '.join(states)}", probe, deadline_s, interval_s=0.5)

    def kill(self, task: str, signal: Signal) -> None:
        """Send a signal to the process of a task."""
        kill_task(self.stack, self.read_id(task), signal)

    def read_id(self, task: str) -> str:
        """Return the id of a task's present try."""
        return str(self.list_tasks()[task]["id"])

    def mark_failed(self, task: str) -> None:
        """Mark a task as failed, as users do to stop it."""
        self.airflow.patch(f"{self._path}/taskInstances/{task}", {"new_state": "failed"})

    def clear(self, *tasks: str) -> None:
        """Clear tasks, as users do to run them again."""
        body = {"dag_run_id": self.id, "task_ids": list(tasks), "dry_run": False, "only_failed": False}
        self.airflow.post(f"dags/{self.dag}/clearTaskInstances", {**body, "reset_dag_runs": True})

    def read_result(self, task: str) -> Any:
        """Return the XCom value of a task; None if it has none."""
        try:
            return wait_for_answer(lambda: self.airflow.read_xcom(self.dag, self.id, task))
        except NotFoundError:
            return None

    def read_log(self, task: str) -> str:
        """Return the logs of all tries of a task."""
        attempts = int(self.list_tasks()[task]["try_number"])
        return "\n".join(self._read_log_of(task, attempt) for attempt in range(1, attempts + 1))

    def _read_log_of(self, task: str, attempt: int) -> str:
        log = ""

        def probe() -> str:
            nonlocal log
            log = wait_for_answer(lambda: self.airflow.read_log(self.dag, self.id, task, attempt))
            if _NO_LOG in log:
                raise NotYet(log[-300:])
            return log

        try:
            return wait_for("the log server of Airflow", probe, _LOG_SERVER_S, interval_s=2)
        except NotFoundError:
            return ""
        except ScriptError:
            return log

    def wait_for_outcomes(self, deadline_s: float) -> dict[str, Outcome]:
        """Wait for the run's end; return the outcome of each task, also of those that have not ended in time."""
        try:
            self.airflow.wait_for_run(self.dag, self.id, deadline_s)
        except ScriptError:
            return self.read_outcomes()
        return wait_for_stable(self.read_outcomes)

    def read_outcomes(self) -> dict[str, Outcome]:
        """Return the present outcome of each task."""
        instances = wait_for_answer(lambda: self.airflow.list_task_instances(self.dag, self.id))
        ledger = self.read_ledger()
        starts, ends = ledger.count(START), ledger.count(END)
        labels = (pod["metadata"]["labels"] for pod in self.list_pods() if pod["status"].get("phase") not in _ENDED)
        running = Counter(each["task_id"] for each in labels if TWIN not in each)
        return {
            task: Outcome(str(instance["state"]), int(instance["try_number"]), starts[task], ends[task], running[task])
            for task, instance in ((_name_instance(instance), instance) for instance in instances)
        }

    def discard(self) -> None:
        """Fail the run if it has not ended, then delete its pods; in the other order, Airflow would restart them.

        An error is printed: what came of the run counts more.
        """
        words = ("delete", "pods", "-n", NAMESPACE, "-l", f"dag_id={self.dag}", "--wait=false")
        steps: tuple[Callable[[], object], ...] = (
            lambda: wait_for_answer(lambda: self.airflow.patch(self._path, {"state": "failed"})),
            lambda: self.stack.kubectl(*words, "--grace-period=0", "--force"),
        )
        for step in steps:
            try:
                step()
            except ScriptError as error:
                print(f"Cannot clean up run {self.id} of {self.dag}: {error}", file=sys.stderr)

    def describe_states(self) -> str:
        """Return the state of each task as text."""
        try:
            return ", ".join(f"{task} {instance['state']}" for task, instance in self.list_tasks().items())
        except ScriptError as error:
            return str(error)

    def describe_state(self, task: str) -> str:
        """Return the state of a task as text."""
        try:
            return f"{task} {self.list_tasks()[task]['state']}"
        except ScriptError as error:
            return str(error)

    @property
    def _path(self) -> str:
        return f"dags/{self.dag}/dagRuns/{quote(self.id)}"


def wait_for_answer(function: Callable[[], T], deadline_s: float = 120) -> T:
    """Call Airflow until it answers: its services may lack endpoints for seconds after an outage of the API server."""

    def probe() -> T:
        try:
            return function()
        except NoResponseError as error:
            raise NotYet(str(error)) from None

    return wait_for("Airflow to answer", probe, deadline_s, interval_s=1)


def wait_for_stable(read: Callable[[], dict[str, Outcome]]) -> dict[str, Outcome]:
    """Read outcomes until no pod runs, at most for a minute: pods may take their grace period to end."""

    def probe() -> dict[str, Outcome]:
        outcomes = read()
        if any(outcome.running for outcome in outcomes.values()):
            raise NotYet("pods run")
        return outcomes

    try:
        return wait_for("all pods to end", probe, deadline_s=60, interval_s=2)
    except ScriptError:
        return read()


def patch_pod_status(stack: Stack, pod: Json, status: Json) -> None:
    """Write a pod's status, as the kubelet does."""
    words = ("patch", "pod", pod["metadata"]["name"], "-n", NAMESPACE, "--subresource=status", "--type=merge", "-p")
    stack.kubectl(*words, json.dumps({"status": status}))


def _name_instance(instance: Json) -> str:
    index = instance["map_index"]
    return str(instance["task_id"]) if index < 0 else f"{instance['task_id']}[{index}]"
