"""airflow.guards.dag_ids: a DAG id stays with the team that has it, in Airflow's own tables."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.dag_processing import collection
from airflow.models.dag import DagModel
from airflow.models.dag_version import DagVersion
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagwarning import DagWarning
from airflow.models.errors import ParseImportError
from airflow.models.serialized_dag import SerializedDagModel
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import LazyDeserializedDAG
from airflow.utils.session import create_session
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from kpo_platform.airflow.guards import contract_file, dag_ids
from unit.support.airflow_database import AirflowDatabase
from unit.support.contracts import CONTRACT, TEAM, write_contract

Enable = Callable[[bool], None]

CONFLICT = (
    "DAG 'report' is not loaded: a DAG of {} has this id, and this file belongs to {}. Rename the DAG. If it has moved "
    "here on purpose, remove the other one, and wait until Airflow has marked that one as stale (about two minutes)."
)


@pytest.fixture
def enable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Enable:
    """Publish a contract of teams alpha and beta, with or without isolation."""

    def write(enabled: bool) -> None:
        isolation = {"enabled": enabled, "bundles": {"data-science": "alpha"}}
        write_contract(
            tmp_path / "contract.json", {**CONTRACT, "teams": {"alpha": TEAM, "beta": TEAM}, "isolation": isolation}
        )

    monkeypatch.setenv("KPO_PLATFORM_CONTRACT", str(tmp_path / "contract.json"))
    monkeypatch.setattr(contract_file, "_last", None)
    write(True)
    return write


@pytest.fixture(autouse=True)
def guarded(airflow_database: AirflowDatabase, enable: Enable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard the function of Airflow during a test, with alpha's and beta's bundles in the database."""
    monkeypatch.setenv("AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL", "0")
    monkeypatch.setattr(collection, dag_ids._FUNCTION, getattr(collection, dag_ids._FUNCTION))
    dag_ids.guard_dag_ids(collection)
    with create_session() as session:
        session.add_all(DagBundleModel(name=name) for name in ("alpha", "beta", "data-science", "shared-dags"))


def parse(bundle: str, file: str, *names: str, error: str | None = None) -> None:
    """Store the DAGs of a file, as the DAG processor does after it has parsed the file."""
    dags = []
    for name in names:
        with DAG(name, schedule=None, description=f"{bundle}/{file}") as dag:
            pass
        dag.fileloc, dag.relative_fileloc = __file__, file
        dags.append(LazyDeserializedDAG.from_dag(dag))
    parsed = file.partition(".zip/")[0] + ".zip" if ".zip/" in file else file
    with create_session() as session:
        collection.update_dag_parsing_results_in_db(
            bundle_name=bundle,
            bundle_version=None,
            dags=dags,
            import_errors={(bundle, parsed): error} if error else {},
            parse_duration=0.1,
            warnings={DagWarning(name, "non-existent pool", f"of {bundle}") for name in names},
            session=session,
            files_parsed={(bundle, parsed)},
        )


def remove(bundle: str, *files: str) -> None:
    """Do what the DAG processor does when a bundle has only these files any more."""
    from airflow.dag_processing.manager import DagFileProcessorManager

    with create_session() as session:
        DagModel.deactivate_deleted_dags(bundle, files, session=session)
        DagFileProcessorManager(max_runs=1).clear_orphaned_import_errors(bundle, set(files), session=session)


def read_dags() -> dict[str, tuple[str | None, str | None, str | None, bool]]:
    """Return bundle, file and description of each DAG, and whether Airflow runs it."""
    with create_session() as session:
        return {
            dag.dag_id: (dag.bundle_name, dag.relative_fileloc, dag.description, not dag.is_stale)
            for dag in session.scalars(select(DagModel))
        }


def read_errors() -> dict[tuple[str | None, str | None], str | None]:
    """Return the import errors by bundle and file."""
    with create_session() as session:
        return {
            (error.bundle_name, error.filename): error.stacktrace for error in session.scalars(select(ParseImportError))
        }


def read_warnings() -> set[tuple[str, str]]:
    with create_session() as session:
        return {(warning.dag_id, warning.message) for warning in session.scalars(select(DagWarning))}


def test_dag_with_the_id_of_another_team_is_an_import_error_and_changes_nothing():
    parse("alpha", "x.py", "report")
    parse("beta", "y.py", "report", "beta_own")
    assert read_dags() == {
        "report": ("alpha", "x.py", "alpha/x.py", True),
        "beta_own": ("beta", "y.py", "beta/y.py", False),
    }
    assert read_errors() == {("beta", "y.py"): CONFLICT.format("team 'alpha'", "team 'beta'")}
    assert read_warnings() == {("report", "of alpha"), ("beta_own", "of beta")}
    with create_session() as session:
        versions = session.execute(select(DagVersion.dag_id, DagVersion.bundle_name, DagVersion.version_number)).all()
    assert sorted(versions) == [("beta_own", "beta", 1), ("report", "alpha", 1)]


@pytest.mark.parametrize(
    ("owner", "taker", "error"),
    [
        (("shared-dags", "alpha/x.py"), ("shared-dags", "beta/x.py"), ("team 'alpha'", "team 'beta'")),
        (("data-science", "x.py"), ("beta", "x.py"), ("team 'alpha'", "team 'beta'")),
        (("alpha", "x.py"), ("shared-dags", "x.py"), ("team 'alpha'", "no team")),
        (("shared-dags", "x.py"), ("alpha", "x.py"), ("no team", "team 'alpha'")),
        (("alpha", "x.py"), ("shared-dags", "alpha/x.py"), None),
        (("alpha", "x.py"), ("data-science", "x.py"), None),
        (("alpha", "x.py"), ("alpha", "y.py"), None),
        (("shared-dags", "x.py"), ("shared-dags", "etl/x.py"), None),
    ],
)
def test_team_of_bundle_and_folder_decides(
    owner: tuple[str, str], taker: tuple[str, str], error: tuple[str, str] | None
):
    parse(*owner, "report")
    parse(*taker, "report")
    assert read_errors() == ({taker: CONFLICT.format(*error)} if error else {})
    assert read_dags()["report"][:2] == (owner if error else taker)


def test_dag_moves_to_another_team_once_its_old_file_is_removed():
    parse("alpha", "x.py", "report")
    parse("beta", "y.py", "report")
    remove("alpha", "z.py")
    parse("beta", "y.py", "report")
    assert read_dags() == {"report": ("beta", "y.py", "beta/y.py", True)}
    assert read_errors() == {}
    parse("alpha", "x.py", "report")
    assert read_dags() == {"report": ("beta", "y.py", "beta/y.py", True)}


def test_dag_moves_only_when_airflow_writes_a_version_for_it(monkeypatch: pytest.MonkeyPatch):
    """Otherwise tasks would start from beta's file with alpha's version, and so with alpha's rights."""
    monkeypatch.setenv("AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL", "30")
    parse("alpha", "x.py", "report")
    remove("alpha", "z.py")
    parse("beta", "y.py", "report")
    assert read_dags() == {"report": ("alpha", "x.py", "alpha/x.py", False)}
    with create_session() as session:
        session.execute(update(SerializedDagModel).values(last_updated=datetime.now(UTC) - timedelta(seconds=31)))
    parse("beta", "y.py", "report")
    assert read_dags() == {"report": ("beta", "y.py", "beta/y.py", True)}
    with create_session() as session:
        assert session.scalars(select(DagVersion.bundle_name)).all() == ["beta"]


def test_import_error_of_the_owner_does_not_free_the_id_until_its_file_is_removed():
    parse("alpha", "x.py", "report")
    parse("alpha", "x.py", error="SyntaxError")
    parse("beta", "y.py", "report")
    assert read_dags() == {"report": ("alpha", "x.py", "alpha/x.py", False)}
    assert read_errors() == {
        ("alpha", "x.py"): "SyntaxError",
        ("beta", "y.py"): CONFLICT.format("team 'alpha'", "team 'beta'"),
    }
    remove("alpha", "z.py")
    parse("beta", "y.py", "report")
    assert read_dags() == {"report": ("beta", "y.py", "beta/y.py", True)}


def test_renamed_dag_is_loaded_and_the_import_error_is_cleared():
    parse("alpha", "x.py", "report")
    parse("beta", "y.py", "report")
    parse("beta", "y.py", "beta_report")
    assert read_dags()["beta_report"] == ("beta", "y.py", "beta/y.py", True)
    assert read_errors() == {}


def test_import_error_of_a_dag_in_an_archive_is_cleared_with_the_archive():
    parse("alpha", "x.py", "report")
    parse("beta", "y.zip/dag.py", "report")
    assert read_errors() == {("beta", "y.zip"): CONFLICT.format("team 'alpha'", "team 'beta'")}
    parse("beta", "y.zip/dag.py", "beta_report")
    assert read_errors() == {}


def test_other_errors_of_the_file_are_kept():
    parse("alpha", "x.py", "report", "other")
    parse("beta", "y.py", "report", error="KeyError: 'x'")
    conflict = CONFLICT.format("team 'alpha'", "team 'beta'")
    assert read_errors() == {("beta", "y.py"): f"KeyError: 'x'\n{conflict}"}


def test_dag_of_unknown_origin_belongs_to_whoever_parses_it_first():
    """Rows that Airflow 2 has left have no file, and the bundle of the migration."""
    with create_session() as session:
        session.add(DagModel(dag_id="report", bundle_name="shared-dags", is_stale=False))
    parse("beta", "y.py", "report")
    assert read_dags() == {"report": ("beta", "y.py", "beta/y.py", True)}


def test_without_isolation_the_last_file_wins(enable: Enable):
    enable(False)
    parse("alpha", "x.py", "report")
    parse("beta", "y.py", "report")
    assert read_dags() == {"report": ("beta", "y.py", "beta/y.py", True)}


def test_failure_of_the_guard_is_logged_and_the_dags_are_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "contract.json").write_text("{")
    monkeypatch.setattr(contract_file, "_last", None)
    parse("beta", "y.py", "report")
    assert read_dags() == {"report": ("beta", "y.py", "beta/y.py", True)}
    assert [record.message for record in caplog.records if record.name == dag_ids.__name__] == [
        "DAG ids are not kept for their teams: the parsed DAGs cannot be checked."
    ]


def test_nothing_is_stored_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch):
    def fail(*_: Any, **__: Any) -> None:
        raise OperationalError("SELECT", {}, Exception("no database"))

    monkeypatch.setattr(dag_ids, "_read_present_dags", fail)
    with pytest.raises(OperationalError):
        parse("beta", "y.py", "report")
    assert read_dags() == {}


def test_guard_is_installed_once_and_where_the_function_has_been_imported():
    def update_dag_parsing_results_in_db(
        bundle_name: Any, dags: Any, import_errors: Any, warnings: Any, session: Any, files_parsed: Any = None
    ) -> None: ...

    module = SimpleNamespace(update_dag_parsing_results_in_db=update_dag_parsing_results_in_db)
    importer = SimpleNamespace(update_dag_parsing_results_in_db=update_dag_parsing_results_in_db)
    dag_ids.guard_dag_ids(module, importer, None)
    guarded = module.update_dag_parsing_results_in_db
    dag_ids.guard_dag_ids(module, importer, None)
    assert module.update_dag_parsing_results_in_db is importer.update_dag_parsing_results_in_db is guarded
    assert guarded is not update_dag_parsing_results_in_db


@pytest.mark.parametrize(
    ("store", "parameters"),
    [
        (None, "bundle_name, dags, files_parsed, import_errors, session, warnings"),
        (lambda bundle_name, dags, session: None, "files_parsed, import_errors, warnings"),
    ],
)
def test_another_airflow_keeps_its_function_and_gets_a_line_in_the_log(
    store: Any, parameters: str, caplog: pytest.LogCaptureFixture
):
    module = SimpleNamespace(update_dag_parsing_results_in_db=store)
    dag_ids.guard_dag_ids(module)
    assert module.update_dag_parsing_results_in_db is store
    assert [record.message for record in caplog.records] == [
        "DAG ids are not kept for their teams: this version of Airflow has no update_dag_parsing_results_in_db with "
        f"the parameters {parameters}."
    ]
