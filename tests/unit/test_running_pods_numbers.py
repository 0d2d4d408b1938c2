"""Times, limits and counts that docs/running-pods.md states are those of the code."""

from __future__ import annotations

import inspect
import re

import pytest
from airflow.sdk.execution_time.supervisor import WatchedSubprocess

from common.paths import REPOSITORY
from kpo_platform.airflow import api_errors
from kpo_platform.airflow.operators.lifecycle import (
    api_request,
    deferral,
    earlier_pod,
    ending,
    log_flood,
    log_follower,
    patience,
    pod_api,
    pod_logs,
    pod_updates,
    pod_watch,
    quota_wait,
    restart,
    start_check,
    start_record,
    task_end,
    task_result,
)
from kpo_platform.airflow.operators.lifecycle.log_stream import FollowTimes
from kpo_platform.airflow.triggers import finish, orphans, outage, pod_informer, pod_looks, pod_requests, task_stop
from kpo_platform.contract.team import Policy

KILL_S = inspect.signature(WatchedSubprocess.kill).parameters["escalation_delay"].default
"""Seconds after which Airflow kills a process that has got SIGTERM."""

NUMERALS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}

DURATIONS = {
    1: "a second",
    2: "two seconds",
    5: "five seconds",
    60: "a minute",
    120: "two minutes",
    10: "ten seconds",
    300: "five minutes",
    600: "ten minutes",
    900: "15 minutes",
    3600: "an hour",
}

PAUSES_AFTER_REFUSALS = [
    min(FollowTimes.longest_retry, FollowTimes.retry * 2**number)
    for number in range(log_follower._REFUSALS_AFTER_END - 1)
]

TIMES_OF_A_RUN: tuple[tuple[str, float], ...] = (
    (r"ends the pod, after up to (.+?) for the rest of its log", ending.LOG_REST_S),
    (r"rest of its log, or (.+?) for the whole log of a deferred task", ending.LATE_S),
    (r"it looks for the pod for (.+?), as after a stop", pod_api._LATE_CREATION_S),
    (r"if Airflow answers within (.+?)\.", start_record._STOPPED_TIMEOUT_S),
    (r"The task repeats such a request for (.+?):", patience.STARTUP_S),
    (r"A read of Airflow's task state store that fails is repeated for (.+?), too", patience.STARTUP_S),
    (r"when the result is read in the XCom sidecar, the task tries it for (.+?)\.", task_result._READ_TIMEOUT_S),
    (r"It waits (.+?) for an XCom sidecar that has not started", task_result._START_TIMEOUT_S),
    (r"or the API refuses the read, the task repeats it for (.+?)\.", task_result._REFUSAL_TIMEOUT_S),
    (r"the rest of its log, at most (.+?) for all containers", pod_logs._END_S),
    (r"for all containers together, or (.+?) if the pod is gone", pod_logs._GONE_S),
    (r"when nothing could be read of it for (.+?), or", FollowTimes.give_up),
    (r"an outage of the Kubernetes API that does not end within (.+?), or", KILL_S),
    (r"the watch reports nothing for (.+?), in a long wait", pod_updates._SILENCE_S),
    (r"the task waits as long, at most (.+?), before the next watch", api_errors.LONGEST_RETRY_AFTER_S),
    (r"the task reads the pod every (.+?) until the watch reports", pod_updates._SILENCE_S),
    (r"If a pod has not started after (.+?), the task also", start_check._EVENTS_S),
    (r"waits up to (.+?) for the triggerer to delete the old pod", earlier_pod._TRIGGERER_S),
    (r"the interval grows with the time to (.+?)\.", pod_updates._PENDING[1]),
    (r"in the first minute and grows to (.+?);", pod_updates._RUNNING[1]),
    (
        r"watches its pod in the worker for the first (.+?) \(`policy.deferAfter`",
        Policy.model_fields["defer_after"].default,
    ),
    (r"Airflow says that it does not have the connection, for (.+?), the task returns", pod_informer._REFUSED_S),
    (r"its log says when an outage that has lasted (.+?) begins and ends", outage._TOLD_AFTER_S),
    (r"tries the watch again after (.+?)\. A pod without the label", pod_informer._REFUSED_S),
    (r"the triggerer checks all running task pods every (.+?)\.", orphans._INTERVAL_S),
    (r"lists them every (.+?) beside it until its first event", pod_informer._POLL_S[1]),
    (r"is read alone every (.+?)\. ## Full quota", pod_looks._LOOK_S),
)
"""Sentence of docs/running-pods.md, and the seconds that it states."""

NUMBERS_OF_A_RUN: tuple[tuple[str, list[str]], ...] = (
    (r"opened again every (.+?) minutes", [" to ".join(NUMERALS[each // 60] for each in pod_watch._LASTS_S)]),
    (r"its events, every (.+?) seconds", [f"{start_check._EVENTS_S:g} to {start_check._LONGEST_EVENTS_S:g}"]),
    (r"ends a silent watch after (\d+) seconds", [f"{pod_watch._SILENCE_S:g}"]),
    (r"A watch without data for (\d+) seconds is closed", [f"{pod_requests._SILENCE_S:g}"]),
    (
        r"lists the pods every (.+?) seconds and tries",
        [" to ".join(NUMERALS[int(each)] for each in pod_informer._POLL_S)],
    ),
    (r"a watch fails (\w+) times", [NUMERALS[pod_updates._FAILURES_BEFORE_NOTICE]]),
    (r"the answer first, at most (\d+) seconds", [f"{api_request.CONNECT_TIMEOUT_S + api_request.READ_TIMEOUT_S:g}"]),
    (r"after at least (\d+) seconds", [str(restart.RESCHEDULE_DELAY_S)] * 2),
    (r"what is left of the logs has less than (\d+) KiB", [str(finish.LARGEST_LOG // 1024)]),
    (r"KiB, and can be read within (\d+) seconds", [f"{finish.LONGEST_READ_S:g}"]),
    (r"the triggerer comes to the task within (\d+) seconds", [f"{finish.LONGEST_TURN_S:g}"]),
    (r"it has at most ([\d,]+) characters", [f"{task_end._LARGEST_RESULT:,}"]),
    (r"a random time that grows up to (\d+) seconds", [f"{patience._LONGEST_WAIT_S:g}"]),
    (r"container writes more than ([\d,]+) lines in a second", [f"{log_flood.FLOOD_LINES:,}"]),
    (r"up to (\d+) successive lines", [str(log_flood.JOINED_LINES)]),
    (r"has refused the log (\w+) times", [NUMERALS[log_follower._REFUSALS_AFTER_END]]),
    (r"times, within (\d+) seconds if they answer at once", [f"{sum(PAUSES_AFTER_REFUSALS):g}"]),
    (r"the task is deferred again, up to (\w+) times", [NUMERALS[deferral._MAX_REDEFERRALS]]),
    (r"or (\d+) seconds for a deferred task", [f"{task_stop.KILL_S:g}"]),
    (r"with a new pod, up to (\w+) times per try", [NUMERALS[restart._MAX_DISRUPTIONS]]),
    (r"every (\d+) to \d+ seconds, in a long wait", [str(quota_wait._RETRY_INTERVAL_S)]),
    (r"every \d+ to (\d+) seconds, in a long wait", [str(quota_wait._RESCHEDULE_INTERVAL_S)]),
)
"""Sentence of docs/running-pods.md, and the numbers that it states."""


def read_running_pods() -> str:
    """Return the page without its line breaks."""
    return " ".join((REPOSITORY / "docs" / "running-pods.md").read_text(encoding="utf-8").split())


@pytest.mark.parametrize(("sentence", "seconds"), TIMES_OF_A_RUN)
def test_page_states_the_times_of_a_run(sentence: str, seconds: float):
    assert re.findall(sentence, read_running_pods()) == [DURATIONS[int(seconds)]]


@pytest.mark.parametrize(("sentence", "numbers"), NUMBERS_OF_A_RUN)
def test_page_states_the_numbers_of_a_run(sentence: str, numbers: list[str]):
    assert re.findall(sentence, read_running_pods()) == numbers
