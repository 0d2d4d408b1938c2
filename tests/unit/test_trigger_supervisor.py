"""airflow.guards.triggers.supervisor: Airflow's TriggerRunnerSupervisor with the guard, on a real database."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from airflow.models.dag_version import DagVersion
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk.serde import deserialize
from airflow.utils.session import create_session
from sqlalchemy import select

from unit.support.airflow_database import AirflowDatabase
from unit.support.stored_triggers import CALLBACK, DATE, FILE, POD, pod_trigger, store
from unit.support.triggerer import Triggerer, publish, turn

ASK = "Ask the platform team to add the class and its arguments to triggerer.allow."
PAST = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def failed(class_path: str, cause: str, fix: str = ASK) -> tuple[str, str, dict[str, Any]]:
    text = f"The triggerer refuses the trigger '{class_path}': {cause}. {fix}"
    return "scheduled", "__fail__", {"error": "Trigger failure", "traceback": [text]}


NOT_LISTED = "it is not in the list of allowed triggers"
DATE_ROW = store(DateTimeTrigger(PAST))


def test_refused_row_of_a_task_fails_it_with_a_sentence(triggerer: Triggerer, airflow_database: AirflowDatabase):
    supervisor = triggerer()
    rows: dict[str, tuple[str, Any]] = {
        "program": ("subprocess.getoutput", {"cmd": "true"}),
        "undecryptable": (DATE, "gAAAAAB-not-ours"),
        "other_namespace": store(pod_trigger(pod_namespace="team-beta")),
        "good": DATE_ROW,
    }
    ids = {}
    for dag_id, row in rows.items():
        airflow_database.add_dag(dag_id, "alpha")
        ids[dag_id] = airflow_database.defer(dag_id, *row).trigger_id
    assert list(turn(supervisor)) == [ids["good"]]
    assert {dag_id: airflow_database.read_task(dag_id) for dag_id in ids} == {
        "program": failed("subprocess.getoutput", NOT_LISTED),
        "undecryptable": failed(
            DATE,
            "its arguments cannot be read (InvalidToken)",
            "Start the task again; if Airflow's Fernet key was replaced, keep the old key beside the new one.",
        ),
        "other_namespace": failed(POD, "pod_namespace is 'team-beta', but team 'alpha' has 'team-alpha'"),
        "good": ("deferred", None, None),
    }
    assert airflow_database.list_triggers() == [ids["good"]]
    assert turn(supervisor) == {}


def test_allowed_row_runs_without_the_tasks_extras(triggerer: Triggerer, airflow_database: AirflowDatabase):
    supervisor = triggerer()
    airflow_database.add_dag("nightly", "alpha")
    class_path, arguments = store(pod_trigger(connection_extras={"kube_config": "exec"}))
    with create_session() as session:
        encrypted = Trigger(classpath=class_path, kwargs=deserialize(arguments)).encrypted_kwargs
        session.rollback()
    task = airflow_database.defer("nightly", class_path, encrypted)
    started = turn(supervisor)[task.trigger_id]
    assert deserialize(started) == {**deserialize(arguments), "connection_extras": None}


@pytest.mark.parametrize(
    ("bundle", "file", "team"),
    [
        ("alpha", "beta/dag.py", "alpha"),
        ("science", "dag.py", "beta"),
        ("shared-dags", "beta/dag.py", "beta"),
        ("shared-dags", "dag.py", None),
    ],
)
def test_team_is_that_of_the_bundle_or_folder(
    triggerer: Triggerer, airflow_database: AirflowDatabase, bundle: str, file: str, team: str | None
):
    supervisor = triggerer(bundles={"science": "beta"})
    airflow_database.add_dag("nightly", bundle, file)
    row = store(pod_trigger(pod_namespace="team-beta", kubernetes_conn_id=None))
    task = airflow_database.defer("nightly", *row)
    reasons = {
        "alpha": "pod_namespace is 'team-beta', but team 'alpha' has 'team-alpha'",
        None: "pod_namespace is 'team-beta' of team 'beta', but the task's DAG has no team",
    }
    started = turn(supervisor)
    assert list(started) == ([task.trigger_id] if team == "beta" else [])
    expected = ("deferred", None, None) if team == "beta" else failed(POD, reasons[team])
    assert airflow_database.read_task("nightly") == expected


def test_trigger_is_refused_while_dags_of_two_teams_have_the_id(
    triggerer: Triggerer, airflow_database: AirflowDatabase, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL", "0")
    supervisor = triggerer()
    airflow_database.add_dag("nightly", "shared-dags", "alpha/dag.py")
    airflow_database.add_dag("nightly", "shared-dags", "beta/dag.py")
    row = store(pod_trigger(pod_namespace="team-beta", kubernetes_conn_id=None))
    airflow_database.defer("nightly", *row, run_id="shared-dags-alpha-dag.py")
    later = airflow_database.defer("nightly", *row, run_id="shared-dags-beta-dag.py")
    with create_session() as session:
        latest = session.scalars(select(DagVersion).order_by(DagVersion.version_number.desc())).first()
        assert latest is not None
        query = select(TaskInstance).where(TaskInstance.run_id == "shared-dags-alpha-dag.py")
        session.scalars(query).one().dag_version_id = latest.id  # as the scheduler does while alpha's task runs
    assert list(turn(supervisor)) == [later.trigger_id]
    cause = "DAG 'nightly' exists in the bundles of teams 'alpha' and 'beta'"
    with create_session() as session:
        arguments = {task.run_id: task.next_kwargs for task in session.scalars(select(TaskInstance))}
    assert arguments["shared-dags-alpha-dag.py"] == failed(POD, cause, "Rename one of them.")[2]


def test_dag_of_another_team_needs_a_grant(tmp_path: Path, triggerer: Triggerer, airflow_database: AirflowDatabase):
    supervisor = triggerer()
    airflow_database.add_dag("target", "beta")
    airflow_database.add_dag("nightly", "alpha")
    row = ("airflow.providers.standard.triggers.external_task.DagStateTrigger", {"dag_id": "target", "states": []})
    airflow_database.defer("nightly", *row)
    assert turn(supervisor) == {}
    cause = "the DAG 'target' belongs to team 'beta', but the task runs for team 'alpha'"
    fix = "Ask the platform team to add {from: alpha, to: beta, do: [state]} to isolation.grants."
    assert airflow_database.read_task("nightly") == failed(row[0], cause, fix)
    publish(tmp_path, grants=[{"from": "alpha", "to": "beta", "do": ["state"]}])
    task = airflow_database.defer("nightly", *row)
    assert list(turn(supervisor)) == [task.trigger_id]


def test_start_from_trigger_runs_without_templates(triggerer: Triggerer, airflow_database: AirflowDatabase):
    supervisor = triggerer(triggers=[{"class": FILE}])
    airflow_database.add_dag("plain", "alpha", start_from_trigger=True)
    airflow_database.add_dag("templated", "alpha", "other.py", start_from_trigger=True)
    task = airflow_database.defer("plain", *DATE_ROW)
    airflow_database.defer("templated", FILE, {"filepath": "/data/{{ ds }}"})
    supervisor.load_triggers()
    (workload,) = supervisor.creating_triggers
    assert (workload.id, workload.dag_data, workload.dag_run_data) == (task.trigger_id, None, None)
    turn(supervisor)
    cause = "its arguments are Jinja templates, which the triggerer does not render"
    fix = "Leave out start_from_trigger, so that a worker renders them."
    assert airflow_database.read_task("templated") == failed(FILE, cause, fix)


def test_object_in_the_arguments_to_resume_with_fails_the_task(triggerer: Triggerer, airflow_database: AirflowDatabase):
    supervisor = triggerer()
    airflow_database.add_dag("nightly", "alpha")
    task = airflow_database.defer("nightly", *DATE_ROW)
    hidden = {"__classname__": "airflow.sdk.io.path.ObjectStoragePath", "__version__": 1, "__data__": {"path": "/"}}
    with create_session() as session:
        session.get_one(TaskInstance, UUID(task.task_instance_id)).next_kwargs = {"x": [hidden]}
    assert turn(supervisor) == {}
    found = "has an object of class 'airflow.sdk.io.path.ObjectStoragePath'"
    fix = "Pass only JSON values, dates, times, tuples, sets and UUIDs."
    cause = f"an argument with which the task would resume {found}"
    assert airflow_database.read_task("nightly") == failed(DATE, cause, fix)


@pytest.mark.parametrize(
    ("moment", "error"),
    [
        ({"__classname__": "uuid.UUID", "__version__": 1, "__data__": "zz"}, "ValueError"),
        ({"__classname__": "builtins.set", "__version__": 1, "__data__": [[1]]}, "TypeError"),
    ],
)
def test_plain_arguments_that_are_not_valid_fail_the_task(
    triggerer: Triggerer, airflow_database: AirflowDatabase, moment: Any, error: str
):
    supervisor = triggerer(triggers=[{"class": FILE}])
    airflow_database.add_dag("nightly", "alpha")
    airflow_database.defer("nightly", FILE, {"filepath": moment})
    assert turn(supervisor) == {}
    assert airflow_database.read_task("nightly") == failed(
        FILE, f"its argument 'filepath' is not valid ({error})", "Correct the trigger's serialize()."
    )


def test_refused_callback_ends_as_failed(triggerer: Triggerer, airflow_database: AirflowDatabase):
    from airflow.models.callback import Callback
    from airflow.sdk import AsyncCallback

    supervisor = triggerer(triggers=[{"class": CALLBACK, "arguments": {"callback_path": ["team.notify"]}}])
    with create_session() as session:
        for path in ("asyncio.create_subprocess_shell", "team.notify"):
            callback = Callback.create_from_sdk_def(AsyncCallback(path, kwargs={"cmd": "true"}))
            session.add(callback)
            callback.queue(session=session)
    assert [each["callback_path"] for each in turn(supervisor).values()] == ["team.notify"]
    with create_session() as session:
        states = {each.data["path"]: (each.state, each.output) for each in session.scalars(select(Callback))}
    cause = "its arguments are not those that triggerer.allow has for it"
    text = f"The triggerer refuses the trigger '{CALLBACK}': {cause}. {ASK}"
    assert states == {"asyncio.create_subprocess_shell": ("failed", text), "team.notify": ("queued", None)}
    assert turn(supervisor) == {}
    assert len(airflow_database.list_triggers()) == 1


def test_refused_asset_watcher_is_not_offered_again(
    tmp_path: Path, triggerer: Triggerer, airflow_database: AirflowDatabase, caplog: pytest.LogCaptureFixture
):
    from airflow.models.asset import AssetEvent, AssetModel, AssetWatcherModel

    supervisor = triggerer()
    with create_session() as session:
        trigger = Trigger(classpath=FILE, kwargs={"filepath": "/etc/passwd"})
        asset = AssetModel(name="a", uri="x://a", group="asset")
        session.add_all([trigger, asset])
        session.flush()
        session.add(AssetWatcherModel(name="w", asset_id=asset.id, trigger_id=trigger.id))
        trigger_id = trigger.id
    assert [turn(supervisor) for _ in range(3)] == [{}, {}, {}]
    assert [record.getMessage() for record in caplog.records if record.name.startswith("kpo_platform")] == [
        f"The triggerer refuses the trigger '{FILE}': {NOT_LISTED}. {ASK} (Trigger {trigger_id} of no task.)"
    ]
    with create_session() as session:
        assert session.scalar(select(AssetEvent)) is None
    publish(tmp_path, triggers=[{"class": FILE, "arguments": {"filepath": ["/etc/passwd"]}}])
    assert turn(supervisor) == {trigger_id: {"filepath": "/etc/passwd"}}


def test_invalid_contract_keeps_the_previous_one(
    tmp_path: Path, triggerer: Triggerer, airflow_database: AirflowDatabase
):
    supervisor = triggerer()
    turn(supervisor)
    (tmp_path / "contract.json").write_text("{")
    airflow_database.add_dag("nightly", "alpha")
    airflow_database.defer("nightly", "subprocess.getoutput", {})
    assert turn(supervisor) == {}
    assert airflow_database.read_task("nightly") == failed("subprocess.getoutput", NOT_LISTED)


def test_disabled_isolation_starts_every_row(triggerer: Triggerer, airflow_database: AirflowDatabase):
    supervisor = triggerer(enabled=False)
    airflow_database.add_dag("nightly", "alpha")
    task = airflow_database.defer("nightly", "subprocess.getoutput", {"cmd": "true"})
    assert turn(supervisor) == {task.trigger_id: {"cmd": "true"}}
