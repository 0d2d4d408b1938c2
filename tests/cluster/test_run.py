"""A task's run through faults: its work is neither lost nor done twice, and its end is told as it was.

The programs of the tasks write a ledger on the team's volume; all requests of the tasks pass a proxy, which causes some
of the faults. All cases are played first, several at a time; each test checks one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from faults.cases import CASES, Played, play_cases
from faults.logged_lines import LineFaults, find_line_faults
from faults.scene import TASKS, open_scene
from faults.unusual_pods import REASONS
from stack.airflow_api import AirflowApi
from stack.release import Stack

RESTART = "without using a retry"


@pytest.fixture(scope="module")
def played(stack: Stack, airflow: AirflowApi) -> Iterator[dict[str, Played]]:
    """The cases by name, after their end."""
    with open_scene(stack, airflow, ("run_cases.py",)) as scene:
        yield play_cases(scene, CASES)


def check(played: dict[str, Played], name: str) -> dict[str, str]:
    """Check the outcomes of a case; return the log of each task."""
    case = played[name]
    assert (case.outcomes, case.problem) == (CASES[name].expected, ""), "\n\n".join(
        f"{task}: {log[-3000:]}" for task, log in case.logs.items()
    )
    return case.logs


def test_cleared_task_does_not_adopt_the_pod_that_is_deleted(played: dict[str, Played]):
    check(played, "cleared")


def test_cleared_task_does_not_adopt_the_pod_that_its_user_stopped(played: dict[str, Played]):
    check(played, "stopped")


def test_pod_that_ends_without_a_worker_gives_its_result(played: dict[str, Played]):
    check(played, "ended")


def test_lost_answer_of_the_creation_leaves_one_pod(played: dict[str, Played]):
    check(played, "lost_answer")


def test_task_stopped_before_execute_has_no_pod(played: dict[str, Played]):
    check(played, "early")


def test_trigger_that_airflow_fails_leaves_no_running_pod(played: dict[str, Played]):
    check(played, "trigger_timeout")


def test_ordinary_sidecar_does_not_delay_the_end(played: dict[str, Played]):
    check(played, "sidecar")


def test_kept_pod_with_an_ordinary_sidecar_does_not_run_on(played: dict[str, Played]):
    check(played, "kept_sidecar")


@pytest.mark.parametrize("name", ["whole_log", "cut_log"])
def test_log_contains_every_line_once(played: dict[str, Played], name: str):
    logs = check(played, name)
    assert {task: find_line_faults(log) for task, log in logs.items()} == dict.fromkeys(TASKS, LineFaults())


def test_log_of_an_init_container_is_live_and_any_bytes_are_shown(played: dict[str, Played]):
    log = check(played, "init_log")["sync"]
    assert [log.count(text) for text in ("an early line", "a late line", r"caf\xe9")] == [1, 1, 1]


@pytest.mark.parametrize("reason", REASONS)
def test_pod_that_the_kubelet_refuses_is_started_again(played: dict[str, Played], reason: str):
    logs = check(played, f"refused_{reason.lower()}")
    assert {task: RESTART in log for task, log in logs.items()} == dict.fromkeys(TASKS, True)


def test_pod_deleted_while_pending_is_started_again(played: dict[str, Played]):
    logs = check(played, "refused_deleted")
    assert {task: RESTART in log for task, log in logs.items()} == dict.fromkeys(TASKS, True)


def test_program_that_failed_before_its_pod_was_deleted_is_a_failure(played: dict[str, Played]):
    logs = check(played, "collected")
    assert RESTART not in logs["deferred"]


def test_restarted_task_finds_its_own_pod_among_several_by_uid(played: dict[str, Played]):
    check(played, "twin")


def test_eviction_counts_more_than_an_exit_code_to_skip(played: dict[str, Played]):
    logs = check(played, "skip_code")
    assert {task: RESTART in log for task, log in logs.items()} == dict.fromkeys(TASKS, True)


def test_timeout_is_told_although_the_result_is_missing(played: dict[str, Played]):
    reasons = {task: read_reason(log) for task, log in check(played, "late_result").items()}
    assert {task: is_about_the_result(reason) for task, reason in reasons.items()} == dict.fromkeys(TASKS, False), (
        reasons
    )
    assert all(re.search("time", reason, re.IGNORECASE) for reason in reasons.values()), reasons


def test_exit_code_is_told_although_the_result_is_broken(played: dict[str, Played]):
    reasons = {task: read_reason(log) for task, log in check(played, "bad_result").items()}
    assert {task: is_about_the_result(reason) for task, reason in reasons.items()} == dict.fromkeys(TASKS, False), (
        reasons
    )
    assert all(re.search(r"\b3\b", reason) for reason in reasons.values()), reasons


def test_exit_code_is_told_although_the_pod_cannot_be_deleted(played: dict[str, Played]):
    reasons = {task: read_reason(log) for task, log in check(played, "forbidden_cleanup").items()}
    assert all(re.search(r"\b3\b", reason) for reason in reasons.values()), reasons


def test_wait_for_room_outlasts_the_startup_timeout(played: dict[str, Played]):
    check(played, "room")


def read_reason(log: str) -> str:
    """Return the exception that ended the task: that of the last event with exceptions; its causes follow it."""
    events = re.split(r"\n(?!  )", log)
    exceptions = [re.findall(r"^  (\w[\w.]*: .*)$", event, re.MULTILINE) for event in events]
    return [names[0] for names in exceptions if names][-1]


def is_about_the_result(reason: str) -> bool:
    """Return whether a reason is about the XCom instead of the program."""
    return bool(re.search(r"xcom|json", reason, re.IGNORECASE))
