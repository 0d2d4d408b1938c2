"""triggers.task_stop: the note of an event about a pod that may run tells a user's stop from a hand-over."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from kpo_platform.airflow.triggers import task_stop
from unit.support.namespace_server import NamespaceServer
from unit.support.pod_statuses import ended
from unit.support.pod_trigger import TRIGGER, build_running, build_trigger, fire, lose, serve_pods
from unit.support.task_log import Log
from unit.support.task_states import TaskStates, build_instance

UNKNOWN = (
    "warning: Cannot find out whether to delete pod a: no answer. If the task was stopped, delete the pod with kubectl."
)
BEGINS = (None, "scheduled", "queued", "running")
"""None: a scheduler has lost the task that it had queued."""


@pytest.fixture(autouse=True)
def log(trigger_log: Log) -> Log:
    return trigger_log


@pytest.mark.parametrize("noted", [TRIGGER, TRIGGER + 2])
@pytest.mark.parametrize("state", BEGINS)
def test_running_pod_whose_event_another_triggerer_has_fired_is_kept(
    noted: int, state: str | None, task_states: TaskStates, log: Log
):
    """The worker that gets the event defers again with this pod, or has done so and got another event."""
    task_states.state, task_states.xcoms = state, {task_stop.FIRED: noted}
    lose(server := serve_pods(build_running()))
    assert ("a" in server.pods, log.lines) == (True, [f"Pod a is kept: the task is {state}."])


@pytest.mark.parametrize("noted", [TRIGGER - 1, None, "x", True, [9]])
@pytest.mark.parametrize("state", BEGINS)
def test_event_of_an_earlier_deferral_does_not_keep_the_pod_of_a_cleared_task(
    noted: Any, state: str | None, task_states: TaskStates
):
    task_states.state, task_states.xcoms = state, {task_stop.FIRED: noted}
    lose(server := serve_pods(build_running()))
    assert server.pods == {}


@pytest.mark.parametrize("name", ["airflow.sdk.Asset", "airflow.example_dags.tutorial.DAG", "no_module.Thing"])
def test_object_that_a_task_names_in_the_note_is_not_created(name: str, task_states: TaskStates, log: Log):
    """The triggerer runs for all teams, and Airflow would import the module."""
    task_states.state = "scheduled"
    task_states.xcoms = {task_stop.FIRED: {"__classname__": name, "__version__": 0, "__data__": {}}}
    loaded = set(sys.modules)
    lose(server := serve_pods(build_running()))
    assert (server.pods, log.lines) == ({}, ["Deleting pod a in namespace n."])
    assert name.rpartition(".")[0] not in sys.modules.keys() - loaded


def test_pod_is_kept_if_airflow_does_not_tell_whether_an_event_was_fired(task_states: TaskStates, log: Log):
    task_states.state, task_states.failures = "queued", {"GetXCom": 1000}
    lose(server := serve_pods(build_running()))
    assert ("a" in server.pods, log.lines) == (True, [UNKNOWN])


def fire_in_triggerer(server: NamespaceServer, trigger: Any) -> Any:
    trigger.task_instance, trigger.trigger_id = build_instance(), TRIGGER
    return fire(server, trigger)


def refuse_the_pods(trigger: Any) -> None:
    def wait(_: Any) -> Any:
        raise RuntimeError("no connection")

    trigger._wait = wait


def test_event_about_a_pod_that_may_run_is_noted_before_it_is_fired(task_states: TaskStates):
    refuse_the_pods(trigger := build_trigger())
    assert fire_in_triggerer(serve_pods(build_running()), trigger)["status"] == "error"
    assert task_states.xcoms == {task_stop.FIRED: TRIGGER}
    trigger = build_trigger(trigger_kwargs={"_execution_deadline": 1})
    task_states.xcoms = {}
    assert fire_in_triggerer(serve_pods(build_running()), trigger)["status"] == "timeout"
    assert task_states.xcoms == {task_stop.FIRED: TRIGGER}


@pytest.mark.parametrize("code", [0, 3])
def test_event_about_an_ended_pod_is_not_noted(code: int, task_states: TaskStates):
    fire_in_triggerer(serve_pods(build_running(ended(code))), build_trigger())
    assert task_states.requests == []


@pytest.mark.parametrize(("failures", "is_noted"), [(2, True), (1000, False)])
def test_event_is_fired_even_if_it_cannot_be_noted(failures: int, is_noted: bool, task_states: TaskStates, log: Log):
    task_states.failures = {"SetXCom": failures}
    refuse_the_pods(trigger := build_trigger())
    assert fire_in_triggerer(serve_pods(build_running()), trigger)["status"] == "error"
    noted = f"warning: Cannot store the XCom {task_stop.FIRED}: no answer."
    assert (task_stop.FIRED in task_states.xcoms, noted in log.lines) == (is_noted, not is_noted)
