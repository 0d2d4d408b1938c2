"""Key rotation with the commands in docs/secrets.md while tasks run.

No task is lost, and the old keys are invalid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.fernet import Fernet, InvalidToken

from cluster.support.airflow_runs.long_runs import SYNC, TASKS, LongRun, run_short_dag, start_long_run
from cluster.support.docs.commands import read_commands, run_commands
from common.errors import ScriptError
from common.polling import NotYet, wait_for
from stack.airflow_api import AirflowApi
from stack.embedded_database import query_database
from stack.pod_watch import ObservedPods, watch_pods
from stack.release import RELEASE, Stack
from stack.sample_run import connect_airflow

NAME = "rotation"
PASSWORD = "of-a-test"
ENCRYPTED_VALUES = (
    f"SELECT password FROM connection WHERE conn_id = '{NAME}' UNION ALL SELECT val FROM variable WHERE key = '{NAME}'"
)


@dataclass(frozen=True)
class RotationTest:
    """State that the tests share; the client logged in before the rotation."""

    stack: Stack
    airflow: AirflowApi
    observed: ObservedPods
    long_run: LongRun
    folder: Path


@pytest.fixture(scope="module")
def setup(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RotationTest]:
    airflow = connect_airflow(stack)
    with watch_pods(stack) as observed:
        airflow.post("connections", {"connection_id": NAME, "conn_type": "http", "password": PASSWORD})
        airflow.post("variables", {"key": NAME, "value": PASSWORD})
        long_run = start_long_run(stack, airflow)
        try:
            yield RotationTest(stack, airflow, observed, long_run, tmp_path_factory.mktemp("rotation"))
        finally:
            airflow.discard_token()
            long_run.fail_run()
            airflow.delete(f"connections/{NAME}")
            airflow.delete(f"variables/{NAME}")


def read_key(stack: Stack, name: str) -> str:
    return stack.read_secret(f"{RELEASE}-{name}")[name]


def read_encrypted_values(stack: Stack) -> list[bytes]:
    """Return the connection's password and the variable's value as stored in the database."""
    return [line.encode() for line in query_database(stack, ENCRYPTED_VALUES).splitlines()]


def decrypt_values(key: str, values: list[bytes]) -> list[str]:
    """Decrypt values with a Fernet key; a dash replaces a value that it cannot decrypt."""

    def decrypt(token: bytes) -> str:
        try:
            return Fernet(key).decrypt(token).decode()
        except InvalidToken:
            return "-"

    return [decrypt(token) for token in values]


def test_new_jwt_secret_ends_old_logins_but_no_task(setup: RotationTest):
    before = read_key(setup.stack, "jwt-secret")
    (commands,) = read_commands("secrets.md", "JWT secret rotation")
    run_commands(setup.stack, commands, setup.folder)
    assert read_key(setup.stack, "jwt-secret") != before
    assert len(read_key(setup.stack, "jwt-secret")) == 88  # 64 bytes in base64
    with pytest.raises(ScriptError, match=r"with 40[13]"):
        setup.airflow.get("pools/team-alpha")
    setup.airflow.discard_token()
    assert setup.airflow.get("pools/team-alpha")["name"] == "team-alpha"
    assert setup.long_run.running_pods() == setup.long_run.uids


def test_restarted_task_adopts_its_pod_and_succeeds(setup: RotationTest):
    setup.long_run.wait_for_sync(2)
    setup.long_run.finish_tasks("sync")
    wait_for("task sync to end", lambda: check_sync_ended(setup.long_run), deadline_s=180, interval_s=1)


def check_sync_ended(long_run: LongRun) -> None:
    if (observed := long_run.task_states())[SYNC][0] != "success":
        raise NotYet(str(observed))


def test_new_fernet_key_replaces_the_old_one_for_stored_values(setup: RotationTest):
    before = read_key(setup.stack, "fernet-key")
    assert decrypt_values(before, read_encrypted_values(setup.stack)) == [PASSWORD, PASSWORD]
    (commands,) = read_commands("secrets.md", "Fernet key rotation")
    run_commands(setup.stack, commands, setup.folder)
    after = read_key(setup.stack, "fernet-key")
    assert decrypt_values(after, read_encrypted_values(setup.stack)) == [PASSWORD, PASSWORD]
    assert decrypt_values(before, read_encrypted_values(setup.stack)) == ["-", "-"]
    assert setup.long_run.running_pods() == {task: uid for task, uid in setup.long_run.uids.items() if task != SYNC}


def test_tasks_succeed_in_their_first_pods_after_both_rotations(setup: RotationTest):
    setup.long_run.finish_tasks()
    assert setup.long_run.run.wait_for_end() == "success", setup.long_run.task_states()
    assert {task: state for task, (state, _) in setup.long_run.task_states().items()} == dict.fromkeys(TASKS, "success")
    assert setup.long_run.observed_pod_uids(setup.observed) == {
        task: {uid} for task, uid in setup.long_run.uids.items()
    }


def test_new_task_runs_with_the_re_encrypted_connection(setup: RotationTest):
    run_short_dag(setup.stack, setup.airflow)
