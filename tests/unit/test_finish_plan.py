"""lifecycle.trigger_finish: which tasks may end in the triggerer."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.listeners import hookimpl
from airflow.providers.cncf.kubernetes.callbacks import KubernetesPodOperatorCallback
from airflow.sdk import DAG, Asset, BaseOperatorLink
from airflow.sdk.listener import get_listener_manager

from kpo_platform import TeamPodOperator
from kpo_platform.airflow.operators.lifecycle import trigger_finish
from kpo_platform.airflow.operators.lifecycle.log_positions import LogProgress
from kpo_platform.airflow.operators.lifecycle.observed_pod import ObservedPod
from kpo_platform.airflow.operators.lifecycle.trigger_finish import plan_finish
from kpo_platform.airflow.operators.pod_link import PodLink
from kpo_platform.airflow.triggers.finish import FinishPlan
from kpo_platform.airflow.triggers.team_pod import TeamPodTrigger
from kpo_platform.pod.log_lines import LogPosition
from kpo_platform.pod.summary import summarize_pod
from unit.support.contracts import CONTRACT, TEAM
from unit.support.pod_statuses import RUNNING, pod
from unit.support.pod_trigger import build_trigger
from unit.support.published_contract import Publish

WRITTEN = LogPosition("2026-11-30T09:00:06.100000000", 1)


expected = partial(FinishPlan, operator="TeamPodOperator")


@pytest.fixture(autouse=True)
def contract(publish: Publish) -> None:
    publish()


def plan(task: Any, progress: LogProgress | None = None) -> FinishPlan | None:
    context: Any = {"ti": SimpleNamespace()}
    api: Any = SimpleNamespace()
    return plan_finish(
        task, context, ObservedPod(api, summarize_pod(pod("Running", RUNNING, aside=RUNNING)), "base"), progress
    )


def build(**arguments: Any) -> Any:
    shared = {"task_id": "t", "team": "alpha", "image": "busybox:1.35", "dag": DAG("d")}
    task = TeamPodOperator(**{**shared, **arguments})
    task.can_finish_in_triggerer = True
    task.__dict__["pod_manager"] = SimpleNamespace(
        _reconcile_requested_log_containers=lambda wanted, names, _: [name for name in names if name in wanted]
    )
    return task


def test_log_continues_where_the_worker_has_stopped():
    progress = LogProgress({"base": WRITTEN})
    assert plan(build(), progress) == expected({"base": WRITTEN})


def test_containers_and_result_are_those_of_the_task():
    task = build(container_logs=["base", "aside"], xcom=True, container_name_log_prefix_enabled=False)
    assert plan(task) == expected({"base": None, "aside": None}, has_result=True, has_prefix=False)


def test_task_without_logs_needs_none():
    assert plan(build(get_logs=False)) == expected({})


def test_link_of_the_tasks_page_is_known_before(publish: Publish):
    publish(pod_link="https://console.test/{name}")
    task = build(get_logs=False)
    task.pod = SimpleNamespace(metadata=SimpleNamespace(name="load-1", namespace="n", uid="u"))
    (link,) = task.operator_extra_links
    assert plan(task) == expected({}, links={link.xcom_key: "https://console.test/load-1"})


def test_link_that_fails_is_a_matter_of_the_worker(publish: Publish, monkeypatch: pytest.MonkeyPatch):
    publish(pod_link="https://console.test/{name}")
    task = build(get_logs=False)

    def fail(*_: Any, **__: Any) -> str:
        raise ValueError("no page")

    monkeypatch.setattr(type(task.operator_extra_links[0]), "get_link", fail)
    assert plan(task) is None


class ReportLink(BaseOperatorLink):
    name = "Report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        return "https://report.test/the-result-that-is-not-known-yet"


class OwnPodLink(PodLink):
    pass


@pytest.mark.parametrize("link", [ReportLink(), OwnPodLink()])
def test_link_of_the_author_needs_a_worker_because_its_value_may_depend_on_the_end(
    link: BaseOperatorLink, publish: Publish
):
    publish(pod_link="https://console.test/{name}")
    task = build(get_logs=False)
    task.operator_extra_links = (*task.operator_extra_links, link)
    assert plan(task) is None


class Callbacks(KubernetesPodOperatorCallback):
    pass


class Own(TeamPodOperator):
    def post_execute(self, context: Any, result: Any = None) -> None:
        raise ValueError


@pytest.mark.parametrize(
    "arguments",
    [
        {"on_finish_action": "keep_pod"},
        {"callbacks": Callbacks},
        {"log_formatter": lambda container, line: line},
        {"on_success_callback": print},
        {"post_execute": print},
        {"outlets": [Asset("a")]},
        {"map_index_template": "{{ task.task_id }}"},
        {"xcom": "sidecar"},
        {"xcom": True, "multiple_outputs": True},
    ],
    ids=lambda arguments: next(iter(arguments)),
)
def test_task_with_more_to_do_at_its_end_needs_a_worker(arguments: dict[str, Any]):
    assert plan(build(**arguments)) is None


@pytest.mark.parametrize("attribute", ["returns_dag_result", "overwrite_rtif_after_execution"])
def test_task_of_which_airflow_stores_more_at_its_end_needs_a_worker(attribute: str):
    task = build()
    setattr(task, attribute, True)
    assert plan(task) is None


def test_state_store_that_is_cleared_at_the_end_needs_a_worker(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS", "True")
    assert plan(build()) is None


def test_subclass_with_code_for_the_end_needs_a_worker():
    task = Own(task_id="t", team="alpha", image="busybox:1.35")
    task.can_finish_in_triggerer = True
    assert plan(task) is None


def test_result_over_which_tasks_are_mapped_needs_a_worker():
    with DAG("d") as dag:
        task = build(xcom=True, dag=dag)
        TeamPodOperator.partial(task_id="each", team="alpha", image="busybox:1.35").expand(arguments=task.output)
    assert plan(task) is None


def test_custom_xcom_backend_needs_a_worker(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trigger_finish, "XCom", object)
    assert plan(build()) is None


def test_listener_needs_a_worker():
    class Listener:
        @hookimpl
        def on_task_instance_success(self, previous_state: Any, task_instance: Any) -> None:
            """Implement the hook."""

    manager, listener = get_listener_manager(), Listener()
    manager.add_listener(listener)
    try:
        assert plan(build()) is None
    finally:
        manager.pm.unregister(listener)
    assert plan(build()) is not None


@pytest.mark.parametrize(
    ("shared_logs", "finish", "can_finish"),
    [(True, "triggerer", True), (True, "worker", False), (False, "triggerer", False)],
)
def test_policy_and_logs_of_the_release_decide_first(
    shared_logs: bool, finish: str, can_finish: bool, publish: Publish, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(CONTRACT, "airflow", {**CONTRACT["airflow"], "sharedLogs": shared_logs})
    publish(alpha={"policy": {**TEAM["policy"], "finish": finish}})
    assert TeamPodOperator(task_id="t", team="alpha", image="busybox:1.35").can_finish_in_triggerer is can_finish


@pytest.mark.parametrize(
    "plan",
    [
        FinishPlan({}),
        FinishPlan({"base": None, "aside": LogPosition("2026", 3, latest="2027")}, has_result=True, has_prefix=False),
        FinishPlan({}, links={"Pod": "https://console.test"}),
    ],
)
def test_stored_plan_is_the_same(plan: FinishPlan):
    assert FinishPlan.parse(plan.serialize()) == plan


@pytest.mark.parametrize("stored", [None, {}, [], "x", {"positions": {"base": {"new": 1}}}])
def test_stored_plan_of_another_release_is_none_if_it_is_not_known(stored: Any):
    assert FinishPlan.parse(stored) is None


def test_trigger_reads_the_plan_of_its_stored_form():
    trigger = build_trigger(finish=FinishPlan({"base": None}).serialize())
    _, arguments = trigger.serialize()
    assert TeamPodTrigger(**arguments).finish == trigger.finish
