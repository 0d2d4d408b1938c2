"""Cases of faults that cannot be played: what they report, and what they leave."""

from __future__ import annotations

from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any, cast

import pytest

from common.errors import ScriptError
from common.polling import NotYet
from faults import case_run, cases, task_processes, unusual_pods
from faults.case_run import CaseRun, Outcome
from faults.cases import Case, Played, play_cases
from faults.fault import Fault, HangUp
from faults.scene import Scene
from stack.airflow_api import AirflowApi, NoResponseError, NotFoundError
from unit.support.http_server import serving


def make_run(**airflow: Any) -> tuple[CaseRun, list[str]]:
    """Build a run without a cluster; returns the commands of kubectl, too."""
    commands: list[str] = []
    stack = SimpleNamespace(kubectl=lambda *words, **_: commands.append(" ".join(words)) or "")
    return CaseRun(cast(Any, stack), cast(Any, SimpleNamespace(**airflow)), cast(Any, None), "run_x", "r"), commands


def raise_error(error: Exception) -> Any:
    raise error


def test_case_that_fails_in_any_way_is_a_problem_of_this_case_only(monkeypatch: pytest.MonkeyPatch):
    outcome = {"sync": Outcome("success")}
    run = SimpleNamespace(wait_for_outcomes=lambda _: outcome, read_log=lambda _: "a log", discard=lambda: None)
    scene = cast(Scene, SimpleNamespace(start=lambda name: run if name != "lost" else raise_error(ScriptError("gone"))))
    played = {
        "broken": Case("", lambda *_: raise_error(KeyError("sync")), outcome),
        "fine": Case("", lambda *_: None, outcome, is_exclusive=True),
        "lost": Case("", lambda *_: None, outcome),
    }
    monkeypatch.setattr(cases, "CASES", played)
    assert play_cases(scene, played) == {
        "broken": Played(outcome, {"sync": "a log"}, "KeyError: 'sync'"),
        "fine": Played(outcome, {"sync": "a log"}),
        "lost": Played({}, {}, "ScriptError: gone"),
    }


def test_failed_clean_up_is_printed_and_the_pods_are_deleted(capsys: pytest.CaptureFixture[str]):
    run, commands = make_run(patch=lambda *_: raise_error(ScriptError("HTTP 500")))
    run.discard()
    assert capsys.readouterr().err == "Cannot clean up run r of run_x: HTTP 500\n"
    assert commands == ["delete pods -n team-alpha -l dag_id=run_x --wait=false --grace-period=0 --force"]


def test_airflow_that_does_not_answer_is_asked_again():
    answers = [NoResponseError("refused"), "a log"]

    def read_log(*_: Any) -> str:
        answer = answers.pop(0)
        return raise_error(answer) if isinstance(answer, Exception) else answer

    run, _ = make_run(read_log=read_log, list_task_instances=lambda *_: [{"task_id": "t", "map_index": -1, **TRY}])
    assert run.read_log("t") == "a log"


@pytest.mark.parametrize(
    ("status", "error"), [(400, ScriptError), (404, NotFoundError), (500, NoResponseError), (503, NoResponseError)]
)
def test_refusals_of_airflow_are_told_from_its_own_errors(status: int, error: type[Exception]):
    with serving(lambda _: (status, {})) as server:
        airflow = AirflowApi(server.url.removeprefix("http://"), "user", "password", "token")
        with pytest.raises(ScriptError) as raised:
            airflow.get("dags")
    assert type(raised.value) is error


TRY = {"try_number": 1, "state": "success", "id": "1"}


def test_fault_without_requests_is_reported_with_the_states(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(unusual_pods, "WAIT_S", 0)
    run, _ = make_run(list_task_instances=lambda *_: [{"task_id": "sync", "map_index": -1, **TRY}])
    proxy = SimpleNamespace(inject=lambda *_: ExitStack())
    faults = [Fault("create pods", HangUp(), times=2), Fault("get pods", HangUp())]
    faults[0].hits, faults[1].hits = 1, 1
    with pytest.raises(ScriptError, match=r"not yet: .*requests='create pods'.*; sync success"), ExitStack() as cleanup:
        unusual_pods._inject(cast(Scene, SimpleNamespace(proxy=proxy)), run, cleanup, faults)
    faults[0].hits = 2
    with ExitStack() as cleanup:
        unusual_pods._inject(cast(Scene, SimpleNamespace(proxy=proxy)), run, cleanup, faults)


def test_process_of_a_stopped_task_is_waited_for(monkeypatch: pytest.MonkeyPatch):
    outputs = ["71\n", ""]
    stack: Any = SimpleNamespace(kubectl=lambda *_, **__: outputs.pop(0))
    monkeypatch.setattr(task_processes, "wait_for", wait_at_once)
    task_processes.wait_until_exited(stack, "id")
    assert outputs == []


def wait_at_once(condition: str, probe: Any, deadline_s: float, **_: Any) -> Any:
    while True:
        try:
            return probe()
        except NotYet:
            continue


def test_outcomes_are_those_of_the_moment_and_not_the_cached_ones():
    states = iter(["running", "success"])
    run, _ = make_run(list_task_instances=lambda *_: [{"task_id": "t", "map_index": -1, **TRY, "state": next(states)}])
    labels = {"task_id": "t", "run_id": "r"}
    pods = [
        {"metadata": {"creationTimestamp": "1", "labels": {**labels, **more}}, "status": {"phase": phase}}
        for phase, more in (("Running", {}), ("Failed", {}), ("Running", {case_run.TWIN: "yes"}))
    ]
    object.__setattr__(run.stack, "get", lambda *_: {"items": pods})
    assert run.list_tasks()["t"]["state"] == "running"
    assert run.read_outcomes() == {"t": Outcome("success", starts=0, ends=0, running=1)}
    assert case_run.wait_for_stable(lambda: {"t": Outcome("success")}) == {"t": Outcome("success")}
