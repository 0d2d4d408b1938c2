"""``engine="stock"``: the stock operator runs the team's pod, with the same requests to Kubernetes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowException, TaskDeferred
from kubernetes.client import ApiException

from kpo_platform import TeamPodOperator
from kpo_platform.airflow.operators.lifecycle.pod_run import RestartSafePodOperator
from kpo_platform.errors import PodError
from kpo_platform.pod.identity import START_LABEL
from unit.support.http_server import Server, serving, status
from unit.support.pod_server import Pods
from unit.support.published_contract import Publish

SHARED: dict[str, Any] = {
    "task_id": "t",
    "image": "busybox:1.35",
    "random_name_suffix": False,
    "kubernetes_conn_id": "k8s_default",
    "log_events_on_failure": True,
    "startup_check_interval_seconds": 1,
    "startup_timeout_seconds": 300,
    "schedule_timeout_seconds": 86400,
    "deferrable": False,
}
"""Arguments of both operators: what a task says, and what a team says for it."""

EARLIER = {"name": "t", "namespace": "team-alpha", "uid": "u-0", "labels": {"try_number": "1"}}


@dataclass
class Run:
    """What a task did.

    Attributes:
        requests: method, path and body of each request; the pod to create is not compared.
        outcome: the task's result or exception.
        state: what it has stored in Airflow's task state store.
    """

    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    outcome: str = ""
    state: dict[str, Any] = field(default_factory=dict)


class Store(dict[str, Any]):
    """Airflow's task state store."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


RunTask = Callable[..., Run]


@pytest.fixture
def pods() -> Pods:
    return Pods(log="hello")


@pytest.fixture
def server(pods: Pods, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, publish: Publish) -> Iterator[Server]:
    publish()
    with serving(pods) as server:
        extra = {"kube_config": Path(server.kubeconfig(tmp_path)).read_text()}
        connection = {"conn_type": "kubernetes", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_K8S_DEFAULT", json.dumps(connection))
        yield server


def create_task(engine: str, **arguments: Any) -> KubernetesPodOperator:
    """Create a task with an engine of TeamPodOperator, or a KubernetesPodOperator ("none")."""
    if engine == "none":
        return KubernetesPodOperator(namespace="team-alpha", **{**SHARED, **arguments})
    return TeamPodOperator(team="alpha", engine=engine, **{**SHARED, **arguments})


def describe(act: Callable[[], Any]) -> str:
    """Return an action's result or exception as text; of a deferral its trigger, without the time."""
    try:
        return repr(act())
    except TaskDeferred as deferral:
        arguments = {**deferral.trigger.serialize()[1], "trigger_start_time": None, "connection_extras": None}
        return f"{arguments} {deferral.method_name} {deferral.timeout}"
    except (AirflowException, ApiException) as error:
        text = f"{type(error)} {error}".partition("remote_pod")[0]  # what follows are the pod and the time
        return text.partition("HTTP response headers")[0].strip()


@pytest.fixture
def run_task(server: Server, pods: Pods) -> RunTask:
    """Run a task with an engine against the fake API server."""

    def run(engine: str, act: Callable[[Any, Any], Any], earlier: bool = False, **arguments: Any) -> Run:
        task, store = create_task(engine, **arguments), Store()
        pods.pod = {"metadata": EARLIER, "spec": {"containers": []}, "status": pods._status()} if earlier else None
        server.seen.clear()
        ti = SimpleNamespace(
            id="u",
            dag_id="d",
            task_id="t",
            map_index=-1,
            try_number=1,
            context_carrier=None,
            xcom_push=lambda **_: None,
        )
        context = {"task": task, "ti": ti, "run_id": "r", "dag": SimpleNamespace(), "task_state_store": store}
        outcome = describe(lambda: act(task, context))
        requests = [(seen.method, seen.path, None if seen.method == "POST" else seen.body) for seen in server.seen]
        return Run(requests, outcome, store)

    return run


def execute(task: Any, context: Any) -> Any:
    return task.execute(context)


def stop_after_start(task: Any, context: Any) -> Any:
    """Create the pod, then receive SIGTERM."""
    task.pod = task.get_or_create_pod(task.build_pod_request_obj(context), context)
    return task.on_kill()


def resume(status: str) -> Callable[[Any, Any], Any]:
    """Defer, then resume by this event of the trigger."""

    def act(task: Any, context: Any) -> Any:
        with pytest.raises(TaskDeferred):
            task.execute(context)
        event = {"status": status, "name": "t", "namespace": "team-alpha", "message": "m"}
        return task.trigger_reentry(context, event)

    return act


CASES: dict[str, tuple[Callable[[Any, Any], Any], dict[str, Any]]] = {
    "success": (execute, {}),
    "failure": (execute, {"code": 3}),
    "failure-kept": (execute, {"code": 3, "on_finish_action": "delete_succeeded_pod"}),
    "without-log": (execute, {"get_logs": False}),
    "full-quota": (
        execute,
        {"rejection": status(403, "exceeded quota: team-quota"), "schedule_timeout_seconds": 1},
    ),
    "stopped": (stop_after_start, {"code": None}),
    "stopped-kept": (stop_after_start, {"code": None, "on_kill_action": "keep_pod"}),
    "ended-earlier": (execute, {"earlier": True}),
    "ended-earlier-kept": (execute, {"earlier": True, "on_finish_action": "keep_pod"}),
    "running-earlier": (stop_after_start, {"earlier": True, "code": None}),
    "without-reattachment": (execute, {"earlier": True, "reattach_on_restart": False}),
    "deferred": (execute, {"deferrable": True, "code": None}),
    "ended-before-deferral": (execute, {"deferrable": True, "earlier": True, "on_finish_action": "keep_pod"}),
    "resumed": (resume("success"), {"deferrable": True}),
    "resumed-failed": (resume("failed"), {"deferrable": True, "code": 3}),
    "resumed-timeout": (resume("timeout"), {"deferrable": True, "code": 3}),
}


def run_case(name: str, engine: str, run_task: RunTask, pods: Pods) -> Run:
    act, settings = CASES[name]
    arguments = dict(settings)
    pods.code, rejection = arguments.pop("code", 0), arguments.pop("rejection", None)
    pods.hook = lambda request: rejection if request.method == "POST" else None
    return run_task(engine, act, **arguments)


@pytest.mark.filterwarnings("ignore:.reattach_on_restart. is deprecated")
@pytest.mark.parametrize("case", CASES)
def test_stock_engine_sends_the_stock_operators_requests(case: str, run_task: RunTask, pods: Pods):
    stock = run_case(case, "none", run_task, pods)
    assert stock.requests
    assert run_case(case, "stock", run_task, pods) == stock


def test_stock_engine_sets_the_teams_labels_and_variables_but_no_start(run_task: RunTask, pods: Pods):
    run_case("success", "stock", run_task, pods)
    (pod,) = pods.created
    labels, (base, *_) = {*pod["metadata"]["labels"]}, pod["spec"]["containers"]
    assert {"kpo-platform/team", "app.kubernetes.io/part-of", "owner", "cost-center", "trace-id"} <= labels
    assert START_LABEL not in labels
    variables = {"KPO_IDEMPOTENCY_KEY", "KPO_TRY_NUMBER", "TRACEPARENT"}
    assert variables <= {variable["name"] for variable in base["env"]}


def test_team_engine_sends_other_requests(run_task: RunTask, pods: Pods):
    assert run_case("ended-earlier", "team", run_task, pods) != run_case("ended-earlier", "none", run_task, pods)


def test_every_overridden_stock_method_is_switched():
    overridden = {
        name: member
        for name, member in vars(RestartSafePodOperator).items()
        if hasattr(KubernetesPodOperator, name) and not name.startswith("_abc") and not name.startswith("__")
    }
    assert {"execute", "trigger_reentry", "on_kill", "get_or_create_pod", "invoke_defer_method"} <= set(overridden)
    switched = {
        name
        for name, member in overridden.items()
        if isinstance(member, FunctionType | cached_property)
        and hasattr(getattr(member, "func", member), "__wrapped__")
    }
    assert switched == set(overridden)


@pytest.mark.parametrize("engine", ["fast", "Stock", "", "{{ params.engine }}", 5, True])
def test_another_engine_is_refused(engine: Any, publish: Publish):
    publish()
    with pytest.raises(PodError) as refusal:
        TeamPodOperator(task_id="t", team="alpha", image="busybox:1.35", engine=engine)
    assert str(refusal.value).startswith(f"engine={engine!r} is not valid. ")


def test_engine_comes_from_the_call_or_default_args(publish: Publish):
    publish()
    shared: dict[str, Any] = {"team": "alpha", "image": "busybox:1.35"}
    with DAG("d", schedule=None, default_args={"engine": "stock"}):
        inherited = TeamPodOperator(task_id="inherited", **shared)
        overridden = TeamPodOperator(task_id="overridden", engine="team", **shared)
        decorated = task.team_pod(task_id="decorated", **shared)(lambda: None)().operator
        mapped = TeamPodOperator.partial(task_id="mapped", **shared).expand(cmds=[["a"]])
    chosen = TeamPodOperator.partial(task_id="chosen", **shared).expand(engine=["stock"])
    tasks = [inherited, overridden, decorated, mapped.unmap({"cmds": ["a"]}), chosen.unmap({"engine": "stock"})]
    assert [each.engine for each in tasks] == ["stock", "team", "stock", "stock", "stock"]
    assert TeamPodOperator(task_id="default", **shared).engine == "team"


def test_engine_in_default_args_is_checked(publish: Publish):
    publish()
    with (
        DAG("d", schedule=None, default_args={"engine": "fast"}),
        pytest.raises(PodError, match="engine='fast' is not"),
    ):
        TeamPodOperator(task_id="t", team="alpha", image="busybox:1.35")
