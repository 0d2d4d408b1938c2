"""Task logs: who keeps them, and what becomes of old ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chart.rendering import Object, list_containers, pods_by_component, render
from chart.test_scripts import script

NOW = 2_000_000_000.0
DAY = 86_400


def groomers(values: Object) -> dict[str, Object]:
    """The sidecars that remove old logs, by component."""
    return {
        component: container
        for component, pod in pods_by_component(render(values)).items()
        for container in list_containers(pod)
        if container["name"] == "log-groomer"
    }


def test_every_pod_that_keeps_logs_removes_old_ones_beside_its_work() -> None:
    found = groomers({})
    assert sorted(found) == ["scheduler", "triggerer"]
    for component, container in found.items():
        assert container["restartPolicy"] == "Always"
        assert {one["name"]: one["value"] for one in container["env"]}["RETENTION_DAYS"] == "30"
        assert {"name": "logs", "mountPath": "/opt/airflow/logs"} in container["volumeMounts"]
        assert pods_by_component(render({}))[component]["spec"]["initContainers"][-1]["name"] == "log-groomer"


def test_logs_may_be_kept_for_ever() -> None:
    assert groomers({"logGroomerSidecar": {"retentionDays": 0}}) == {}


def log(folder: Path, name: str, age_days: float) -> Path:
    """A log whose last line is so old, in a folder that has been so for as long."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("line\n")
    for path in (file, *file.parents):
        if path != folder and path.is_relative_to(folder):
            os.utime(path, (NOW - age_days * DAY,) * 2)
    return file


def test_a_log_goes_with_its_age_and_its_folder_when_nobody_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groom = script("clean_logs", monkeypatch).groom
    old = log(tmp_path, "dag_id=a/run_id=1/task_id=t/attempt=1.log", 31)
    young = log(tmp_path, "dag_id=b/run_id=1/task_id=t/attempt=1.log", 29)
    abandoned = tmp_path / "dag_id=c" / "run_id=1"
    abandoned.mkdir(parents=True)
    os.utime(abandoned, (NOW - 2 * DAY,) * 2)
    about_to_be_used = tmp_path / "dag_id=d" / "run_id=1"
    about_to_be_used.mkdir(parents=True)
    os.utime(about_to_be_used, (NOW,) * 2)
    assert groom(tmp_path, NOW, 30) == 1
    assert not old.exists() and young.read_text() == "line\n"
    assert not abandoned.exists() and about_to_be_used.exists()
    assert groom(tmp_path, NOW + 1, 30) == 0


def test_sidecars_on_one_volume_do_not_end_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groom = script("clean_logs", monkeypatch).groom
    log(tmp_path, "dag_id=a/run_id=1/task_id=t/attempt=1.log", 31)
    walk = os.walk

    def walked_when_another_grooms(folder: Path, topdown: bool) -> Iterator[tuple[str, list[str], list[str]]]:
        listed = list(walk(folder, topdown=topdown))
        with monkeypatch.context() as other:
            other.setattr(os, "walk", walk)
            assert groom(tmp_path, NOW, 30) == 1
        yield from listed

    monkeypatch.setattr(os, "walk", walked_when_another_grooms)
    assert groom(tmp_path, NOW, 30) == 0
    assert list(tmp_path.iterdir()) == []
