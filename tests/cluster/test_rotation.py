"""Keys are replaced by the commands in docs/secrets.md while tasks run: no task is lost, no old key opens anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.fernet import Fernet, InvalidToken

from cluster.support.airflow_runs.long_runs import SYNC, TASKS, LongRun, run_short_dag, start_long_run
from cluster.support.docs.commands import read_commands, run_commands
from cluster.support.services.embedded_database import query_database
from common.errors import ScriptError
from common.polling import NotYet, wait_for
from stack.airflow_api import AirflowApi
from stack.pod_watch import ObservedPods, watch_pods
from stack.release import RELEASE, Stack
from stack.sample_run import connect_airflow

NAME = "rotation"
PASSWORD = "of-a-test"
STORED = (
    f"SELECT password FROM connection WHERE conn_id = '{NAME}' UNION ALL SELECT val FROM variable WHERE key = '{NAME}'"
)


@dataclass(frozen=True)
class Story:
    """What the chapters share; Airflow is signed in to since before the keys were replaced."""

    stack: Stack
    airflow: AirflowApi
    seen: ObservedPods
    long_run: LongRun
    folder: Path


@pytest.fixture(scope="module")
def story(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    airflow = connect_airflow(stack)
    with watch_pods(stack) as seen:
        airflow.post("connections", {"connection_id": NAME, "conn_type": "http", "password": PASSWORD})
        airflow.post("variables", {"key": NAME, "value": PASSWORD})
        long_run = start_long_run(stack, airflow)
        try:
            yield Story(stack, airflow, seen, long_run, tmp_path_factory.mktemp("rotation"))
        finally:
            airflow.discard_token()
            long_run.fail_run()
            airflow.delete(f"connections/{NAME}")
            airflow.delete(f"variables/{NAME}")


def key(stack: Stack, name: str) -> str:
    return stack.read_secret(f"{RELEASE}-{name}")[name]


def stored(stack: Stack) -> list[bytes]:
    """The connection's password and the variable's value as they stand in the database."""
    return [line.encode() for line in query_database(stack, STORED).splitlines()]


def opened_by(key: str, stored: list[bytes]) -> list[str]:
    """What a Fernet key makes of what is stored; a dash for what it does not open."""

    def one(token: bytes) -> str:
        try:
            return Fernet(key).decrypt(token).decode()
        except InvalidToken:
            return "-"

    return [one(token) for token in stored]


def test_another_jwt_secret_ends_the_old_sign_ins_and_no_task(story: Story):
    before = key(story.stack, "jwt-secret")
    (replace,) = read_commands("secrets.md", "JWT secret rotation")
    run_commands(story.stack, replace, story.folder)
    assert key(story.stack, "jwt-secret") != before
    assert len(key(story.stack, "jwt-secret")) == 88  # 64 bytes in base64
    with pytest.raises(ScriptError, match=r"with 40[13]"):
        story.airflow.get("pools/team-alpha")
    story.airflow.discard_token()
    assert story.airflow.get("pools/team-alpha")["name"] == "team-alpha"
    assert story.long_run.running_pods() == story.long_run.uids


def test_the_task_in_the_worker_was_started_again_with_its_pod_and_ends_well(story: Story):
    story.long_run.wait_for_sync(2)
    story.long_run.finish_tasks("sync")
    wait_for("task sync to end", lambda: sync_ended(story.long_run), deadline_s=180, interval_s=1)


def sync_ended(long_run: LongRun) -> None:
    if (seen := long_run.task_states())[SYNC][0] != "success":
        raise NotYet(str(seen))


def test_another_fernet_key_opens_what_the_old_one_encrypted_and_the_old_one_no_more(story: Story):
    before = key(story.stack, "fernet-key")
    assert opened_by(before, stored(story.stack)) == [PASSWORD, PASSWORD]
    (replace,) = read_commands("secrets.md", "Fernet key rotation")
    run_commands(story.stack, replace, story.folder)
    after = key(story.stack, "fernet-key")
    assert opened_by(after, stored(story.stack)) == [PASSWORD, PASSWORD]
    assert opened_by(before, stored(story.stack)) == ["-", "-"]
    assert story.long_run.running_pods() == {task: uid for task, uid in story.long_run.uids.items() if task != SYNC}


def test_the_tasks_that_ran_through_both_end_well_in_their_first_pods(story: Story):
    story.long_run.finish_tasks()
    assert story.long_run.run.wait_for_end() == "success", story.long_run.task_states()
    assert {task: state for task, (state, _) in story.long_run.task_states().items()} == dict.fromkeys(TASKS, "success")
    assert story.long_run.observed_pod_uids(story.seen) == {task: {uid} for task, uid in story.long_run.uids.items()}


def test_a_new_task_runs_with_the_connection_as_it_is_encrypted_now(story: Story):
    run_short_dag(story.stack, story.airflow)
