"""Runs of scripts/bench sync: their marks, and what comes of a run that fails or is not awaited."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.sync import scene
from benchmarks.sync.marks import parse_time
from benchmarks.sync.pod_times import PodTimes
from benchmarks.sync.scene import BenchRun, Scene
from common.errors import ScriptError
from unit.test_bench_marks import IN_LOG, LOG, START, build_pod

RUN = BenchRun("sync_team", "sync-1", START)
INSTANCE = {
    "task_id": "work",
    "state": "running",
    "queued_when": "2026-11-30T01:39:30.5Z",
    "start_date": "2026-11-30T01:39:30.6Z",
    "end_date": "2026-11-30T01:39:34.4Z",
}
SUCCESS = {"state": "success", "end_date": "2026-11-30T01:39:35Z"}


class FakeAirflow:
    """Airflow's API with a run that has these answers, one after the other."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._answers = list(answers)

    def get(self, path: str) -> dict[str, Any]:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def post(self, path: str, body: dict[str, Any]) -> None:
        self.calls.append(("POST", path, sorted(body)))

    def patch(self, path: str, body: dict[str, Any]) -> None:
        self.calls.append(("PATCH", path, body))

    def list_task_instances(self, dag: str, run: str) -> list[dict[str, Any]]:
        return [INSTANCE]


@pytest.fixture(autouse=True)
def instant(monkeypatch: pytest.MonkeyPatch):
    """Let no wait between two runs take time, and every run be triggered at the same one."""
    monkeypatch.setattr(scene.time, "sleep", lambda _: None)
    monkeypatch.setattr(scene.time, "time", lambda: START)
    monkeypatch.setattr(scene.time, "time_ns", lambda: 1)


def build_scene(airflow: Any, logs: Path) -> Scene:
    return Scene(None, airflow, logs)  # type: ignore[arg-type]


def test_run_has_the_marks_of_log_api_and_watch(tmp_path: Path):
    airflow = FakeAirflow({"state": "running"}, SUCCESS)
    file = tmp_path / "dag_id=sync_team/run_id=sync-1/task_id=work/attempt=1.log"
    file.parent.mkdir(parents=True)
    file.write_text("".join(json.dumps(line) + "\n" for line in LOG))
    pods = PodTimes(lambda: parse_time("2026-11-30T01:39:32Z"))
    pods.add(build_pod("Succeeded", base={"terminated": {}}))
    from_api = {"queued": 0.5, "started": 0.6, "finished": 4.4, "marked": 5.0}
    from_watch = {"created": 2.0, "running": 2.0, "ended": 2.0}
    assert build_scene(airflow, tmp_path).play("sync_team", pods) == IN_LOG | from_api | from_watch
    assert airflow.calls == [("POST", "dags/sync_team/dagRuns", ["dag_run_id", "logical_date"])]


def test_log_without_the_end_of_execute_is_an_error_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scene, "_LOG_S", 0)
    file = tmp_path / "dag_id=sync_team/run_id=sync-1/task_id=work/attempt=1.log"
    file.parent.mkdir(parents=True)
    file.write_text("".join(json.dumps(line) + "\n" for line in LOG[:3]))
    with pytest.raises(ScriptError, match=r"attempt=1\.log lacks returned$"):
        build_scene(FakeAirflow(SUCCESS), tmp_path).read_log_marks(RUN, "work")


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("failed", r"^Run sync-1 of sync_team failed\. .*; tasks: \{'work': 'running'\}$"),
        ("running", r"^Waited 0 s for run sync-1 .* last seen: running; tasks: \{'work': 'running'\}$"),
    ],
)
def test_run_without_success_is_ended_and_its_tasks_are_named(tmp_path: Path, state: str, message: str):
    airflow = FakeAirflow({"state": state})
    with pytest.raises(ScriptError, match=message):
        build_scene(airflow, tmp_path).wait_for_end(RUN, deadline_s=0)
    assert airflow.calls == [("PATCH", "dags/sync_team/dagRuns/sync-1", {"state": "failed"})]
