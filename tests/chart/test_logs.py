"""Retention of task logs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chart.pod_scripts import load_script
from chart.rendering import Object, list_containers, map_pods_by_component, render

NOW = 2_000_000_000.0
DAY = 86_400


def find_groomers(values: Object) -> dict[str, Object]:
    """Return the log groomer sidecars by component."""
    return {
        component: container
        for component, pod in map_pods_by_component(render(values)).items()
        for container in list_containers(pod)
        if container["name"] == "log-groomer"
    }


def test_every_pod_with_a_log_volume_has_a_groomer() -> None:
    groomers = find_groomers({})
    assert sorted(groomers) == ["scheduler", "triggerer"]
    for component, container in groomers.items():
        assert container["restartPolicy"] == "Always"
        assert {item["name"]: item["value"] for item in container["env"]}["RETENTION_DAYS"] == "30"
        assert {"name": "logs", "mountPath": "/opt/airflow/logs"} in container["volumeMounts"]
        assert map_pods_by_component(render({}))[component]["spec"]["initContainers"][-1]["name"] == "log-groomer"


def test_retention_0_disables_the_groomer() -> None:
    assert find_groomers({"logGroomerSidecar": {"retentionDays": 0}}) == {}


def write_log(folder: Path, name: str, age_days: float) -> Path:
    """Write a log and set its age and that of its folders."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("line\n")
    for path in (file, *file.parents):
        if path != folder and path.is_relative_to(folder):
            os.utime(path, (NOW - age_days * DAY,) * 2)
    return file


def test_old_logs_and_folders_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean_logs = load_script("clean_logs", monkeypatch).clean_logs
    old_log = write_log(tmp_path, "dag_id=a/run_id=1/task_id=t/attempt=1.log", 31)
    new_log = write_log(tmp_path, "dag_id=b/run_id=1/task_id=t/attempt=1.log", 29)
    old_folder = tmp_path / "dag_id=c" / "run_id=1"
    old_folder.mkdir(parents=True)
    os.utime(old_folder, (NOW - 2 * DAY,) * 2)
    new_folder = tmp_path / "dag_id=d" / "run_id=1"
    new_folder.mkdir(parents=True)
    os.utime(new_folder, (NOW,) * 2)
    assert clean_logs(tmp_path, NOW, 30) == 1
    assert not old_log.exists() and new_log.read_text() == "line\n"
    assert not old_folder.exists() and new_folder.exists()
    assert clean_logs(tmp_path, NOW + 1, 30) == 0


def test_log_deleted_by_another_sidecar_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean_logs = load_script("clean_logs", monkeypatch).clean_logs
    write_log(tmp_path, "dag_id=a/run_id=1/task_id=t/attempt=1.log", 31)
    walk = os.walk

    def walk_while_another_cleans(folder: Path, topdown: bool) -> Iterator[tuple[str, list[str], list[str]]]:
        entries = list(walk(folder, topdown=topdown))
        with monkeypatch.context() as other:
            other.setattr(os, "walk", walk)
            assert clean_logs(tmp_path, NOW, 30) == 1
        yield from entries

    monkeypatch.setattr(os, "walk", walk_while_another_cleans)
    assert clean_logs(tmp_path, NOW, 30) == 0
    assert list(tmp_path.iterdir()) == []
