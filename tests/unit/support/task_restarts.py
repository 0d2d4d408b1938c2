"""The processes of a task of team alpha, one after another, with what Airflow keeps between them."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowTaskTimeout, TaskDeferred

from kpo_platform import TeamPodOperator
from kpo_platform.airflow.operators.lifecycle import patience, pod_logs, pod_updates
from kpo_platform.airflow.operators.lifecycle.log_follower import LogFollower
from kpo_platform.airflow.operators.lifecycle.pod_manager import TeamPodManager
from unit.support.http_server import Request, serving
from unit.support.published_contract import Publish
from unit.support.task_pods import TaskPods

Json = dict[str, Any]
Act = Callable[[Any, Any], Any]


class Killed(BaseException):
    """The process was killed: nothing of it runs any more."""


class Store(dict[str, Any]):
    """Airflow's task state store."""

    def set(self, key: str, value: Any) -> None:
        """Store a value as JSON would keep it."""
        self[key] = json.loads(json.dumps(value))


class ForgetfulStore(Store):
    """Airflow's task state store, whose next reads fail."""

    failures = 0

    def get(self, *arguments: Any) -> Any:
        """Return a value."""
        self.failures -= 1
        if self.failures >= 0:
            raise OSError("no answer")
        return super().get(*arguments)


class Lines(list[str]):
    """A logger that collects its lines."""

    def info(self, text: str, *values: Any, **_: Any) -> None:
        """Collect a line."""
        self.append(text % values if values else text)

    warning = error = exception = info

    def log(self, level: int, text: str, *values: Any) -> None:
        """Collect a line."""
        self.info(text, *values)

    def debug(self, text: str, *values: Any) -> None:
        """Drop a line."""


@dataclass
class TaskProcess:
    """A task whose processes a test runs.

    Attributes:
        pods: the Kubernetes API.
        arguments: the task's arguments.
        state: Airflow's state of the task, as a stopped process reads it; an exception is raised.
        store: the task state store; None as in ``dag.test``.
        ti: fields of the task instance.
        lines: the task's log.
        xcoms: what was pushed.
        deferral: the last deferral.
        operator: the operator of the last process.
        reschedules: how often the task was rescheduled.
        reschedule_delay_s: the delay of the last reschedule, in whole seconds.
        started_at: the task's ``start_date``.
        context: the context of the last process.
        at_state_read: is called when a stopped process asks Airflow for the task's state.
    """

    pods: TaskPods
    arguments: Json = field(default_factory=dict)
    state: Any = "running"
    store: Store | None = field(default_factory=Store)
    ti: Json = field(default_factory=lambda: {"id": "ti-1", "try_number": 1, "max_tries": 1})
    lines: Lines = field(default_factory=Lines)
    xcoms: Json = field(default_factory=dict)
    deferral: TaskDeferred | None = None
    operator: Any = None
    reschedules: int = 0
    reschedule_delay_s: int = 0
    started_at: datetime = datetime(2026, 11, 29, 9, tzinfo=UTC)
    context: Any = None
    at_state_read: Callable[[], object] = lambda: None

    def run(self, act: Act | None = None) -> str:
        """Run a process, by default ``execute``, and describe how it ended."""
        self.operator = self._create_operator()
        self.context = self._build_context()
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGALRM)}
        signal.signal(signal.SIGTERM, lambda *_: self.operator.on_kill())
        signal.signal(signal.SIGUSR1, _raise(Killed))
        signal.signal(signal.SIGALRM, _raise(AirflowTaskTimeout))
        try:
            return repr(self._call(act or _execute))
        except TaskDeferred as deferral:
            self.deferral = deferral
            return "deferred"
        except AirflowRescheduleException as reschedule:
            self.reschedules += 1
            self.reschedule_delay_s = round((reschedule.reschedule_date - datetime.now(UTC)).total_seconds())
            return "rescheduled"
        except Killed:
            return "killed"
        except (Exception, AirflowTaskTimeout) as error:
            return f"{type(error).__name__}: {error}".rstrip(": ")
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def resume(self, status: str, **event: Any) -> str:
        """Run the process after the trigger's event, and describe how it ended; a timeout is that of the execution."""
        assert self.deferral is not None
        trigger: Any = self.deferral.trigger
        message = "trigger: execution_timeout" if status == "timeout" else f"trigger: {status}"
        known = {"name": trigger.pod_name, "namespace": trigger.pod_namespace, "message": message}
        fired = {"status": status, **known, **trigger.trigger_kwargs, **event}
        return self.run(lambda task, context: task.resume_execution("trigger_reentry", {"event": fired}, context))

    def retry(self, **fields: Any) -> None:
        """Begin the next try."""
        number = self.ti["try_number"] + 1
        self.ti = {**self.ti, "id": f"ti-{number}", "try_number": number, **fields}
        self.reschedules = 0

    def _call(self, act: Act) -> Any:
        """Call as Airflow's task runner does."""
        try:
            return act(self.operator, self.context)
        except AirflowTaskTimeout:
            self.operator.on_kill()
            raise

    def _create_operator(self) -> TeamPodOperator:
        operator = TeamPodOperator(**{"task_id": "t", "team": "alpha", "image": "busybox:1.35", **self.arguments})
        operator.startup_check_interval_seconds = 0.01  # type: ignore[assignment]
        return operator

    def _build_context(self) -> Any:
        task = self

        class Ti(SimpleNamespace):
            @staticmethod
            def get_task_states(**_: Any) -> Any:
                task.at_state_read()
                if isinstance(task.state, Exception):
                    raise task.state
                return {"r": {"t": task.state}}

        names = {"dag_id": "d", "task_id": "t", "run_id": "r", "map_index": -1, "context_carrier": None}
        ti = Ti(**names, **self.ti, task=self.operator, start_date=self.started_at, xcom_push=self._push)
        context = {"task": self.operator, "ti": ti, "run_id": "r", "dag": SimpleNamespace()}
        return {**context, "task_state_store": self.store, "task_reschedule_count": self.reschedules}

    def _push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value


def send(number: signal.Signals) -> None:
    """Send a signal to the main thread, in which the task runs."""
    signal.pthread_kill(threading.main_thread().ident or 0, number)


def send_at(request_part: str, *numbers: signal.Signals, pause_s: float = 0.3) -> Callable[[Request], None]:
    """Return a hook that sends a signal at the first requests that have this text in "METHOD PATH".

    Args:
        request_part: the text.
        numbers: the signals, one at each such request.
        pause_s: how long the answer is delayed.
    """
    pending = list(numbers)

    def hook(request: Request) -> None:
        if pending and request_part in f"{request.method} {request.path}":
            send(pending.pop(0))
            threading.Event().wait(pause_s)

    return hook


def _execute(task: Any, context: Any) -> Any:
    return task.execute(context)


def _raise(kind: type[BaseException]) -> Callable[..., None]:
    def handler(*_: Any) -> None:
        raise kind

    return handler


@pytest.fixture
def task_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, publish: Publish) -> Iterator[TaskProcess]:
    """A task of team alpha whose pods run, with short waits and a fake XCom sidecar."""
    publish()
    process = TaskProcess(TaskPods())
    with serving(process.pods) as server:
        extra = {"kube_config": Path(server.kubeconfig(tmp_path)).read_text()}
        monkeypatch.setenv("AIRFLOW_CONN_K8S_DEFAULT", json.dumps({"conn_type": "kubernetes", "extra": extra}))
        monkeypatch.setattr(pod_updates, "_SHORTEST_S", 0.01)
        monkeypatch.setattr(patience, "_FIRST_WAIT_S", 0.02)
        monkeypatch.setattr(patience, "_LONGEST_WAIT_S", 0.05)
        for owner in (TeamPodOperator, PodManager):
            monkeypatch.setattr(owner, "log", process.lines)
        for manager in (PodManager, TeamPodManager):
            monkeypatch.setattr(manager, "extract_xcom_kill", lambda *_, **__: None)
            monkeypatch.setattr(manager, "extract_xcom_json", lambda _, pod: _read_result(process.pods, pod))
        followers = _collect_followers(monkeypatch)
        yield process
        for follower in followers:  # those of a stopped process would write into the log of the next test
            follower.close()


def _collect_followers(monkeypatch: pytest.MonkeyPatch) -> list[LogFollower]:
    followers: list[LogFollower] = []

    def follow(*args: Any, **options: Any) -> LogFollower:
        followers.append(LogFollower(*args, **options))
        return followers[-1]

    monkeypatch.setattr(pod_logs, "LogFollower", follow)
    return followers


def _read_result(pods: TaskPods, pod: Any) -> str:
    pods.before(Request("EXEC", pod.metadata.name))
    if pods.result is None or pods.read_phase(pod.metadata.name) != "Running":
        raise RuntimeError("airflow-xcom-sidecar container is not running!")
    return json.dumps(pods.result)
