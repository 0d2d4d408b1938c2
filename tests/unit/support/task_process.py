"""Processes of one task instance against a fake cluster; their time passes in the cluster's."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager
from airflow.sdk.definitions._internal.abstractoperator import AbstractOperator
from airflow.sdk.exceptions import AirflowRescheduleException, TaskDeferred
from kubernetes.client import Configuration

from kpo_platform import TeamPodOperator
from kpo_platform.airflow.operators.lifecycle.pod_watch import PodWatch
from kpo_platform.airflow.operators.lifecycle.start_record import build_pod_name, build_start_id
from unit.support.cluster_server import Cluster
from unit.support.cluster_time import collect_followers, collect_watchers, end_threads, replace_time
from unit.support.http_server import serving
from unit.support.published_contract import Publish
from unit.support.task_log import Log
from unit.support.watch_events import WatchEvents
from unit.support.xcom_sidecar import replace_exec

STARTED = "Pod has reached Running phase"


class Killed(BaseException):
    """SIGKILL: nothing of the process runs any more."""


@dataclass
class Steps:
    """What a process does: requests of its main thread, news of its pod, and writes to Airflow.

    Attributes:
        kill_after: the step after which the process is killed, from 1; 0 if it is not.
        count: the steps so far.
    """

    kill_after: int = 0
    count: int = 0

    def take(self, act: Callable[[], Any]) -> Any:
        if threading.current_thread() is not threading.main_thread():
            return act()
        result = act()
        self.count += 1
        if self.count == self.kill_after:
            raise Killed
        return result


@dataclass
class Store:
    """Airflow's task state store."""

    steps: Steps
    values: dict[str, Any] = field(default_factory=dict)

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def set(self, key: str, value: Any) -> None:
        self.steps.take(lambda: self.values.update({key: json.loads(json.dumps(value))}))


@dataclass
class Run:
    """What one process of the task did.

    Attributes:
        outcome: the result, or the exception as "Type: text".
        log: the lines of the task's log, without `STARTED`.
        requests: its requests to the API server without repetitions, the pod's name as POD, later ones POD-2 …
        error: the exception.
    """

    outcome: Any
    log: list[str]
    requests: list[str]
    error: BaseException | None = None


@dataclass
class Task:
    """A task instance and its processes.

    Attributes:
        arguments: the arguments of the operator.
        states: the state that Airflow tells of the task.
        xcoms: what the last process has pushed.
        former_xcoms: the keys that Airflow has cleared before the last process.
        deferral: the last deferral.
    """

    cluster: Cluster
    log: Log
    steps: Steps
    arguments: dict[str, Any]
    operator_class: type = TeamPodOperator
    id: str = "ti-1"
    try_number: int = 1
    max_tries: int = 1
    reschedules: int = 0
    state: str = "running"
    xcoms: dict[str, Any] = field(default_factory=dict)
    former_xcoms: list[str] = field(default_factory=list)
    store: Store | None = None
    operator: Any = None
    deferral: TaskDeferred | None = None

    def __post_init__(self) -> None:
        self.store = Store(self.steps)

    @property
    def pod(self) -> str:
        return self.pod_name()

    def pod_name(self, restart: int = 0) -> str:
        return build_pod_name("t", build_start_id(self.id, restart))

    def build(self) -> Any:
        team = {"team": "alpha"} if issubclass(self.operator_class, TeamPodOperator) else {"namespace": "team-alpha"}
        self.operator = self.operator_class(
            **{"task_id": "t", "image": "busybox:1.35", "kubernetes_conn_id": "k8s_default", **team, **self.arguments}
        )
        return self.operator

    def context(self) -> Any:
        class Ti(SimpleNamespace):
            get_task_states = staticmethod(lambda **_: {"r": {"t": self.state}})

        ti = Ti(
            id=self.id,
            dag_id="d",
            task_id="t",
            run_id="r",
            map_index=-1,
            try_number=self.try_number,
            max_tries=self.max_tries,
            context_carrier=None,
            _ti_context_from_server=SimpleNamespace(xcom_keys_to_clear=self.former_xcoms),
            xcom_push=lambda key, value: self.steps.take(lambda: self.xcoms.update({key: value})),
            task=self.operator,
        )
        return {
            "task": self.operator,
            "ti": ti,
            "run_id": "r",
            "dag": SimpleNamespace(),
            "task_state_store": self.store,
            "task_reschedule_count": self.reschedules,
        }

    def run(self, act: Callable[[Any, Any], Any] = lambda task, context: task.execute(context)) -> Run:
        """Run a process of the task, by default ``execute``, to its end."""
        self.log.lines.clear()
        self.former_xcoms = [*self.xcoms]
        self.xcoms.clear()
        first, error, outcome = len(self.cluster.requests), None, None
        self.steps.count = 0
        self.build()
        try:
            outcome = act(self.operator, self.context())
        except BaseException as raised:
            if isinstance(raised, KeyboardInterrupt):
                raise
            end_threads(self.cluster)
            error, outcome = raised, f"{type(raised).__name__}: {raised}".strip(": ")
        if isinstance(error, AirflowRescheduleException):
            self.reschedules, outcome = self.reschedules + 1, "rescheduled"
        if isinstance(error, TaskDeferred):
            self.deferral, outcome = error, "deferred"
        log = [line for line in self.log.lines if line != STARTED]
        return Run(outcome, log, self._shorten(self.cluster.requests[first:]), error)

    def run_to_end(self) -> list[Run]:
        """Run the processes that Airflow would start until one ends with something else than a reschedule."""
        runs = [self.run()]
        while runs[-1].outcome == "rescheduled":
            self.cluster.sleep(10)
            runs.append(self.run())
        return runs

    def resume(self, status: str, **event: Any) -> Run:
        """Run the process that handles an event of the task's trigger."""
        trigger: Any = self.deferral.trigger if self.deferral else None
        known = {"name": trigger.pod_name, "namespace": trigger.pod_namespace, "message": f"trigger: {status}"}
        fired = {"status": status, **known, "last_log_time": trigger.last_log_time, **trigger.trigger_kwargs, **event}
        return self.run(lambda task, context: task.resume_execution("trigger_reentry", {"event": fired}, context))

    def retry(self) -> Run:
        """Run the first process of the next try."""
        self.try_number, self.id, self.reschedules = self.try_number + 1, f"ti-{self.try_number + 1}", 0
        return self.run()

    def _shorten(self, requests: list[str]) -> list[str]:
        names = list(dict.fromkeys(word.split("/")[1] for each in requests for word in each.split() if "pods/" in word))
        short: list[str] = []
        for text in requests:
            for number, name in enumerate(names, 1):
                text = text.replace(f"pods/{name}", f"POD{f'-{number}' if number > 1 else ''}")
            if short[-1:] != [text]:
                short.append(text)
        return short


StartTask = Callable[..., Task]


@pytest.fixture
def fake_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, publish: Publish) -> Iterator[Cluster]:
    """Serve a cluster, and let time pass only in it."""
    publish()
    cluster = Cluster(watches=WatchEvents())
    with serving(cluster) as server:
        extra = {"kube_config": Path(server.kubeconfig(tmp_path)).read_text()}
        monkeypatch.setenv("AIRFLOW_CONN_K8S_DEFAULT", json.dumps({"conn_type": "kubernetes", "extra": extra}))
        replace_time(cluster, monkeypatch)
        # Every object of a pod has a configuration of its own, whose copies take half the time of a task's process.
        monkeypatch.setattr(Configuration, "__deepcopy__", lambda self, memo: self)
        collect_followers(cluster, monkeypatch)
        collect_watchers(cluster, monkeypatch)
        yield cluster
        end_threads(cluster)


@pytest.fixture
def start_task(fake_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> StartTask:
    """Create a task instance with these arguments of TeamPodOperator; by default sync, and without a result.

    It looks at a pending pod every second; every interval is the operator's own with ``None``.
    """
    log, steps = Log(), Steps()
    monkeypatch.setattr(AbstractOperator, "log", property(lambda self: log))
    monkeypatch.setattr(PodManager, "log", property(lambda self: log))
    request = urllib3.PoolManager.request
    monkeypatch.setattr(
        urllib3.PoolManager, "request", lambda *args, **options: steps.take(lambda: request(*args, **options))
    )
    take = PodWatch.take
    monkeypatch.setattr(PodWatch, "take", lambda watch: steps.take(lambda: take(watch)))
    replace_exec(fake_cluster, steps.take, monkeypatch)

    def start(**arguments: Any) -> Task:
        all_arguments = {"deferrable": False, "startup_check_interval_seconds": 1, **arguments}
        return Task(fake_cluster, log, steps, {name: each for name, each in all_arguments.items() if each is not None})

    return start
