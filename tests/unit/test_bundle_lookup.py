"""The team of a DAG file is the same for the operator, the cluster policy and the guards, in each kind of bundle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

import pytest
from airflow.dag_processing.bundles.base import BaseDagBundle
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk import DAG

from kpo_platform.airflow.bundle_lookup import DagFolders, find_bundle, read_dag_folders
from kpo_platform.airflow.guards.origin import Origin
from kpo_platform.airflow.team_lookup import find_owner
from unit.support.contracts import CONTRACT, TEAM, build_teams, write_contract

LOCAL = "airflow.dag_processing.bundles.local.LocalDagBundle"
GIT = "airflow.providers.git.bundles.git.GitDagBundle"
TEAM_GIT = "kpo_platform.airflow.bundles.git.TeamGitDagBundle"
REPOSITORY = {"repo_url": "https://git.test/dags.git", "tracking_ref": "main"}
TEAMS = build_teams({"bundles": {"data-science": "alpha", "mono": "beta"}}, alpha="k8s", beta="k8s", versions="k8s")

DAG_FILE = """
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG
from kpo_platform import TeamPodOperator

with DAG("nightly", schedule=None):
    KubernetesPodOperator(task_id="stock", image="busybox:1.35")
    TeamPodOperator(task_id="team_pod", image="busybox:1.35")
"""


class StoredBundle(BaseDagBundle):
    """A bundle of another source, which keeps its files in the bundle's own folder, such as S3DagBundle."""

    def __init__(self, *, bucket: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bucket = bucket

    @property
    def path(self) -> Path:
        """Return the folder."""
        return self.base_dir

    def get_current_version(self) -> None:
        """Return no version."""

    def refresh(self) -> None:
        """Do nothing."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Configure bundles of all kinds in a folder."""
    stored = f"{__name__}.{StoredBundle.__name__}"
    bundles = [
        ("alpha", TEAM_GIT, {**REPOSITORY, "subdir": "beta"}),
        ("mono", GIT, REPOSITORY),
        ("git-shared", GIT, {**REPOSITORY, "subdir": "alpha/dags"}),
        ("data-science", LOCAL, {"path": str(tmp_path / "science")}),
        ("beta", LOCAL, {"path": str(tmp_path / "science" / "b")}),
        ("shared-dags", LOCAL, {"path": f"{tmp_path}/alpha/shared/"}),
        ("dags-folder", LOCAL, {}),
        ("bucket", stored, {"bucket": "b"}),
    ]
    configuration = [{"name": name, "classpath": path, "kwargs": arguments} for name, path, arguments in bundles]
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps(configuration))
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH", str(tmp_path / "bundles"))
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(tmp_path / "dags"))
    monkeypatch.setattr("airflow.settings.DAGS_FOLDER", str(tmp_path / "dags"))
    read_dag_folders.cache_clear()
    yield tmp_path
    read_dag_folders.cache_clear()


@pytest.mark.parametrize(
    ("bundle", "version", "file", "team"),
    [
        ("alpha", None, "x.py", "alpha"),
        ("alpha", "1a2b", "beta/x.py", "alpha"),
        ("mono", "1a2b", "alpha/x.py", "beta"),
        ("git-shared", None, "x.py", None),
        ("git-shared", "1a2b", "x.py", None),
        ("git-shared", "1a2b", "etl/beta/alpha/x.py", "beta"),
        ("data-science", None, "beta/x.py", "alpha"),
        ("beta", None, "x.py", "beta"),
        ("shared-dags", None, "x.py", None),
        ("shared-dags", None, "etl/beta/x.py", "beta"),
        ("dags-folder", None, "x.py", None),
        ("dags-folder", None, "alpha/beta/x.py", "alpha"),
        ("bucket", None, "x.py", None),
        ("bucket", None, "versions/beta/x.py", "versions"),
    ],
)
def test_operator_policy_and_guards_find_the_same_team(
    folder: Path, bundle: str, version: str | None, file: str, team: str | None
):
    path = DagBundlesManager().get_bundle(bundle, version).path
    dag = DAG("nightly", schedule=None)
    dag.fileloc = str(path / file)
    assert find_bundle(dag.fileloc) == (bundle, file)
    assert find_owner(dag, TEAMS) == Origin(bundle, file).find_team(TEAMS) == team


def test_tasks_of_a_bundle_with_a_team_by_value_run_for_the_team(folder: Path, monkeypatch: pytest.MonkeyPatch):
    beta = {**TEAM, "namespace": "team-beta"}
    content = {**CONTRACT, "teams": {"alpha": TEAM, "beta": beta}, "isolation": {"bundles": {"data-science": "beta"}}}
    write_contract(folder / "contract.json", content)
    monkeypatch.setenv("KPO_PLATFORM_CONTRACT", str(folder / "contract.json"))
    path = DagBundlesManager().get_bundle("data-science").path
    path.mkdir()
    (path / "nightly.py").write_text(DAG_FILE)
    bag = BundleDagBag(dag_folder=path / "nightly.py", bundle_path=path, bundle_name="data-science")
    assert bag.import_errors == {}
    dag: Any = bag.dags["nightly"]
    assert {task.task_id: task.namespace for task in dag.tasks} == {"stock": "team-beta", "team_pod": "team-beta"}
    assert dag.get_task("team_pod").team == "beta"
    assert (
        Origin("data-science", dag.relative_fileloc).find_team(
            build_teams({"bundles": {"data-science": "beta"}}, alpha="k8s", beta="k8s")
        )
        == "beta"
    )


def test_dags_folder_outside_of_bundles_has_a_folder_per_team(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", "[]")
    read_dag_folders.cache_clear()
    dag = DAG("nightly", schedule=None)
    dag.fileloc = f"{folder}/dags/alpha/x.py"
    assert find_owner(dag, TEAMS) == "alpha"


@pytest.mark.parametrize("file", ["/elsewhere/alpha/x.py", "/bundles", "/bundlesalpha/x.py"])
def test_file_outside_of_bundles_and_dags_folder_has_no_bundle(file: str):
    assert DagFolders(PurePath("/bundles")).find_bundle(PurePath(file)) == (None, None)
