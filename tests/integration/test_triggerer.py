"""Airflow's triggerer as a process of its own: attacks fail their tasks, and the tasks of other teams go on."""

from __future__ import annotations

import datetime
import subprocess
import time
from pathlib import Path
from typing import Any

from airflow.providers.standard.triggers.temporal import DateTimeTrigger

from integration.support.airflow_process import run_airflow
from unit.support.airflow_database import AirflowDatabase
from unit.support.contracts import write_contract
from unit.support.stored_triggers import (
    CALLBACK,
    DATE,
    EXEC_KUBECONFIG,
    POD,
    build_two_teams,
    pod_trigger,
    store,
)

_WAIT_S = 60
_GOOD = 20
_MALFORMED = 100


def build_attacks(program: str) -> list[tuple[str, Any]]:
    """Build triggers that would run a program, or end the triggerer."""
    _, pod = store(pod_trigger())
    _, date = store(DateTimeTrigger(datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)))
    kubeconfig = {
        "users": [{"name": "u", "user": {"exec": {**EXEC_KUBECONFIG["users"][0]["user"], "args": [program]}}}]
    }
    return [
        ("subprocess.getoutput", {"cmd": f"touch {program}"}),
        ("os.system", {"command": f"touch {program}"}),
        (
            CALLBACK,
            {"callback_path": "asyncio.create_subprocess_shell", "callback_kwargs": {"cmd": f"touch {program}"}},
        ),
        (POD, {**pod, "config_dict": kubeconfig}),
        (POD, {**pod, "pod_namespace": "team-beta"}),
        (POD, {**pod, "kubernetes_conn_id": "k8s_beta"}),
        (POD, {**pod, "on_finish_action": "bogus"}),
        (POD, {**pod, "trigger_kwargs": {"x": "a\0b"}}),
        (POD, {**pod, "trigger_kwargs": {"x": 2**70}}),
        (DATE, "gAAAAABnot-encrypted-with-our-key"),
        (DATE, {"moment": {**date["moment"], "__data__": {"timestamp": 1e300, "tz": None}}}),
        (DATE, {"moment": {"__classname__": "airflow.sdk.definitions.asset.Asset", "__version__": 1, "__data__": {}}}),
    ]


def wait_for_end(database: AirflowDatabase, process: subprocess.Popen[bytes]) -> float:
    """Wait until no task of team beta is deferred; return the seconds since the start of its first one."""
    start = time.monotonic()
    while any(state == "deferred" for state, _, _ in database.read_tasks("good").values()):
        assert process.poll() is None, "the triggerer has ended"
        assert time.monotonic() - start < _WAIT_S, "the triggers did not fire"
        time.sleep(0.2)
    return time.monotonic() - start


def test_hundred_malformed_triggers_do_not_delay_twenty_good_ones(tmp_path: Path, airflow_database: AirflowDatabase):
    write_contract(tmp_path / "contract.json", build_two_teams().model_dump(by_alias=True))
    program = tmp_path / "ran"
    attacks = build_attacks(str(program))
    bad_ids = [f"bad_{number}" for number in range(_MALFORMED)]
    good_ids = [f"good_{number}" for number in range(_GOOD)]
    airflow_database.add_dag("bad", "alpha", task_ids=bad_ids)
    airflow_database.add_dag("good", "beta", "other.py", task_ids=good_ids)
    for number, task_id in enumerate(bad_ids):
        airflow_database.defer("bad", *attacks[number % len(attacks)], task_id=task_id)
    moment = datetime.datetime.now(datetime.UTC)
    for task_id in good_ids:
        airflow_database.defer("good", *store(DateTimeTrigger(moment)), task_id=task_id)
    with run_airflow(tmp_path, "triggerer", "--skip-serve-logs") as process:
        wait_for_end(airflow_database, process)
        deadline = time.monotonic() + 10
        while airflow_database.list_triggers() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert process.poll() is None
    good = airflow_database.read_tasks("good").values()
    assert {(state, method) for state, method, _ in good} == {("scheduled", None)}
    assert all("event" in arguments for _, _, arguments in good)
    bad = airflow_database.read_tasks("bad").values()
    assert {(state, method) for state, method, _ in bad} == {("scheduled", "__fail__")}
    assert airflow_database.list_triggers() == []
    assert not program.exists()


def test_triggerer_without_a_readable_contract_does_not_start(tmp_path: Path, airflow_database: AirflowDatabase):
    (tmp_path / "contract.json").write_text("{")
    with run_airflow(tmp_path, "triggerer", "--skip-serve-logs") as process:
        assert process.wait(_WAIT_S) == 1
    assert "The triggerer cannot start: Cannot read the contract: " in (tmp_path / "triggerer.log").read_text()
