"""Task logs survive every pod of Airflow, and old ones are deleted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cluster.support.airflow_runs.dag_run import Run
from cluster.support.airflow_runs.log_runs import run_logging_dags
from common.polling import NotYet, wait_for
from stack.airflow_api import AirflowApi
from stack.release import NAMESPACE, RELEASE, Stack

STATEFULSETS = ("statefulset/{}-scheduler", "statefulset/{}-triggerer", "statefulset/{}-postgresql")
DEPLOYMENTS = ("deployment/{}-api-server", "deployment/{}-dag-processor")
OLD_LOG = "/opt/airflow/logs/dag_id=gone/run_id=gone/task_id=work/attempt=1.log"


@pytest.fixture(scope="module")
def runs(stack: Stack, airflow: AirflowApi) -> dict[str, Run]:
    """Two finished runs: one waited in the worker, one was deferred."""
    return run_logging_dags(stack, airflow, "logs", "its logs outlive all pods")


def wait_for_components(stack: Stack) -> None:
    """Wait until every component of Airflow is ready again."""
    for name in (*STATEFULSETS, *DEPLOYMENTS):
        words = ("rollout", "status", name.format(RELEASE), "-n", NAMESPACE, "--timeout=400s")
        stack.kubectl(*words, timeout_s=410)


def wait_for_text(read: Callable[[], str], expected: str) -> str:
    """Wait until a log contains a text, and return the log."""

    def probe() -> str:
        text = read()
        if expected not in text:
            raise NotYet(f"it ends with {text[-400:]!r}")
        return text

    return wait_for(f"the log to contain {expected!r}", probe, 120, interval_s=2)


def test_log_is_unchanged_after_the_replacement_of_every_pod(stack: Stack, airflow: AirflowApi, runs: dict[str, Run]):
    lines = {name: f"a line of the {name} one" for name in runs}
    before = {name: wait_for_text(run.read_log, lines[name]) for name, run in runs.items()}
    pods = "app.kubernetes.io/component in (scheduler,triggerer,api-server,dag-processor,postgresql)"
    stack.kubectl("delete", "pods", "-n", NAMESPACE, "-l", pods, "--timeout=200s", timeout_s=210)
    wait_for_components(stack)
    assert {name: wait_for_text(run.read_log, lines[name]) for name, run in runs.items()} == before


def test_log_is_deleted_30_days_after_its_last_line(stack: Stack, runs: dict[str, Run]):
    pod = (f"{RELEASE}-scheduler-0", "-n", NAMESPACE)
    command = f"mkdir -p $(dirname {OLD_LOG}) && echo old > {OLD_LOG} && touch -d '31 days ago' {OLD_LOG}"
    stack.kubectl("exec", *pod, "-c", "scheduler", "--", "sh", "-c", command)
    # The groomer runs at its start, and then once an hour.
    stack.kubectl("exec", *pod, "-c", "log-groomer", "--", "sh", "-c", "kill 1")

    def probe() -> None:
        output = stack.kubectl("exec", *pod, "-c", "scheduler", "--", "sh", "-c", f"ls {OLD_LOG} || true")
        if output.strip():
            raise NotYet("the old log exists")

    wait_for("the old log to be deleted", probe, 120, interval_s=2)
    assert "a line of the sync one" in runs["sync"].read_log()
