"""Messages of the commands that read DAG files, whole sentences."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from unit.support.contracts import CONTRACT
from unit.support.platformctl import Cluster, CommandResult, Platformctl

TWO_DAGS = """
from airflow.sdk import DAG
from kpo_platform import TeamPodOperator

for name in ("first", "second"):
    with DAG(name, schedule=None):
        TeamPodOperator(task_id="same", image="busybox:1.35")
"""
NO_POD = """
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG

class Idle(KubernetesPodOperator):
    def execute(self, context):
        return None

with DAG("idle", schedule=None):
    Idle(task_id="nothing", image="busybox:1.35")
"""
ONE_DAG = """
from airflow.sdk import DAG

dag = DAG("twice", schedule=None)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A DAGs folder of team alpha, with a contract beside it."""
    (tmp_path / "contract.json").write_text(json.dumps(CONTRACT))
    alpha = tmp_path / "dags" / "alpha"
    alpha.mkdir(parents=True)
    return alpha


def render(platformctl: Platformctl, folder: Path, *words: str) -> CommandResult:
    options = ("--folder", str(folder.parent), "--contract", str(folder.parents[1] / "contract.json"))
    return platformctl("render", *(word.replace("FOLDER", str(folder)) for word in words), *options)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (
            ["two", "same", "--xcom", "other"],
            64,
            "Invalid value for '--xcom': expected TASK=JSON, such as hello='{\"answer\": 42}'.",
        ),
        (
            ["gone.py", "same"],
            64,
            "File gone.py does not exist. Pass a DAG file, or the id of a DAG in --folder.",
        ),
        (
            ["FOLDER/../../outside.py", "same"],
            64,
            "FOLDER/../../outside.py is not in FOLDER/... Pass the folder of its DAGs with --folder.",
        ),
        (
            ["FOLDER/two.py", "same"],
            64,
            "FOLDER/two.py has several DAGs with a task 'same'. Pass the id of one of them: first, second.",
        ),
        (
            ["unknown", "same"],
            3,
            "Some DAG files cannot be imported. Run platformctl lint for details. "
            "alpha/broken.py: ModuleNotFoundError: No module named 'nowhere'",
        ),
        (
            ["idle", "nothing"],
            64,
            "Task 'nothing' creates no pod: its operator ended without one. Name another task.",
        ),
    ],
)
def test_refused_request_names_cause_and_fix(
    platformctl: Platformctl, offline_in_process: None, folder: Path, words: list[str], code: int, message: str
):
    (folder / "two.py").write_text(TWO_DAGS)
    (folder / "idle.py").write_text(NO_POD)
    (folder / "broken.py").write_text("from airflow.sdk import DAG\n\nimport nowhere\n")
    (folder.parents[1] / "outside.py").write_text(ONE_DAG)
    result = render(platformctl, folder, *words)
    text = result.err.splitlines()[-1].replace(f"{folder.parent}.", "FOLDER/...").replace(str(folder), "FOLDER")
    assert (result.code, result.out, text) == (code, "", f"Error: {message}")


def test_missing_airflow_names_the_package_to_install(
    platformctl: Platformctl, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = render(platformctl, folder, "two", "same")
    assert (result.code, result.out, result.err) == (
        3,
        "",
        "Error: Cannot read DAG files: Airflow is not installed. Run pip install 'kpo-platform[airflow]'.\n",
    )


def test_dag_id_in_two_files_is_a_finding(platformctl: Platformctl, offline_in_process: None, folder: Path):
    for name in ("one.py", "other.py"):
        (folder / name).write_text(ONE_DAG)
    result = platformctl("lint", str(folder.parent), "--contract", str(folder.parents[1] / "contract.json"))
    assert (result.code, result.out) == (
        1,
        f"{folder}/other.py:1: error KPO-DAG001 DAG twice: The DAG 'twice' is also in one.py. "
        "Give one of them another ID.\n",
    )


def test_admin_secret_without_a_password_is_named(platformctl: Platformctl, cluster: Cluster):
    del cluster.platform.objects["/api/v1/namespaces/airflow/secrets/airflow-admin"]["data"]["password"]
    result = platformctl(*cluster.bootstrap, "--yes", "--team", "beta")
    assert (result.code, result.out, result.err.splitlines()[-1]) == (
        3,
        "",
        "Error: Secret airflow/airflow-admin has no valid username and password. Set both keys to the administrator's.",
    )
