"""Task logs outlive every pod of Airflow, and old ones go by themselves."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cluster.support.airflow_runs.dag_run import Run
from cluster.support.airflow_runs.log_runs import run_logging_dags
from common.polling import NotYet, wait_for
from stack.airflow_api import AirflowApi
from stack.release import NAMESPACE, RELEASE, Stack

PARTS = ("statefulset/{}-scheduler", "statefulset/{}-triggerer", "statefulset/{}-postgresql")
DEPLOYMENTS = ("deployment/{}-api-server", "deployment/{}-dag-processor")
OLD = "/opt/airflow/logs/dag_id=gone/run_id=gone/task_id=work/attempt=1.log"


@pytest.fixture(scope="module")
def runs(stack: Stack, airflow: AirflowApi) -> dict[str, Run]:
    """A run whose task waited in its own process, and one that was deferred; both have ended."""
    return run_logging_dags(stack, airflow, "logs", "its logs outlive all pods")


def settle(stack: Stack) -> None:
    """Wait until every part of Airflow is at work again."""
    for name in (*PARTS, *DEPLOYMENTS):
        words = ("rollout", "status", name.format(RELEASE), "-n", NAMESPACE, "--timeout=400s")
        stack.kubectl(*words, timeout_s=410)


def readable(read: Callable[[], str], words: str) -> str:
    """Wait until a log can be read, and give it."""

    def probe() -> str:
        text = read()
        if words not in text:
            raise NotYet(f"it reads {text[-400:]!r}")
        return text

    return wait_for(f"the log to have {words!r}", probe, 120, interval_s=2)


def test_a_log_is_the_same_after_every_pod_of_airflow_was_replaced(
    stack: Stack, airflow: AirflowApi, runs: dict[str, Run]
):
    words = {name: f"a line of the {name} one" for name in runs}
    before = {name: readable(run.read_log, words[name]) for name, run in runs.items()}
    pods = "app.kubernetes.io/component in (scheduler,triggerer,api-server,dag-processor,postgresql)"
    stack.kubectl("delete", "pods", "-n", NAMESPACE, "-l", pods, "--timeout=200s", timeout_s=210)
    settle(stack)
    assert {name: readable(run.read_log, words[name]) for name, run in runs.items()} == before


def test_a_log_goes_30_days_after_its_last_line_and_a_young_one_stays(stack: Stack, runs: dict[str, Run]):
    pod = (f"{RELEASE}-scheduler-0", "-n", NAMESPACE)
    make = f"mkdir -p $(dirname {OLD}) && echo old > {OLD} && touch -d '31 days ago' {OLD}"
    stack.kubectl("exec", *pod, "-c", "scheduler", "--", "sh", "-c", make)
    # It looks around when it starts, and then once an hour.
    stack.kubectl("exec", *pod, "-c", "log-groomer", "--", "sh", "-c", "kill 1")

    def probe() -> None:
        listed = stack.kubectl("exec", *pod, "-c", "scheduler", "--", "sh", "-c", f"ls {OLD} || true")
        if listed.strip():
            raise NotYet("the old log is still there")

    wait_for("the old log to go", probe, 120, interval_s=2)
    assert "a line of the sync one" in runs["sync"].read_log()
