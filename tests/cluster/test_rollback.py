"""Back to the chart of an earlier commit, and forward again, while tasks with both kinds of results run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.support.airflow_runs.long_runs import LongRun, start_long_run, wait_until_stable
from cluster.support.earlier_chart import extract_chart
from common.steps import Steps
from stack.airflow_api import AirflowApi
from stack.install import install_release
from stack.release import Stack

# The last commit whose operator knows results in XCom sidecars only. The first release's tag replaces it.
EARLIER = "a87e8687ebc1d408b8e09f4c67d7e21d38467fc9"
LOST = "lost its container airflow-xcom-sidecar before its result was read. The task is not tried again"
"""What the earlier operator says of a result in a termination message."""


REFUSED = "The triggerer refuses the trigger"
"""What the earlier triggerer says of the present one's trigger."""


@pytest.fixture(scope="module")
def earlier_chart(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The earlier chart; afterwards this checkout's chart is installed."""
    yield extract_chart(EARLIER, tmp_path_factory.mktemp("earlier")) / "helm" / "kpo-platform"
    install_release(Steps(), stack)


def read_ends(run: LongRun) -> dict[str, tuple[str, Any]]:
    """Return state and result of every task."""
    airflow, dag, run_id = run.run.airflow, run.run.dag, run.run.id
    return {
        task: (state, airflow.read_xcom(dag, run_id, task) if state == "success" else None)
        for task, state in run.run.task_states().items()
    }


def read_logs(run: LongRun, task: str) -> str:
    """Return the logs of all tries of a task; one that restarts in another worker has several."""
    tries = run.task_states()[task, "-1"][1]
    return "".join(run.run.read_log(task, number) for number in range(1, tries + 1))


def test_rollback_ends_deferred_tasks_and_those_with_messages(stack: Stack, airflow: AirflowApi, earlier_chart: Path):
    run = start_long_run(stack, airflow, "result_kinds")
    try:
        pods = {pod["metadata"]["labels"]["task_id"]: pod["metadata"]["name"] for pod in run.run.list_pods()}
        install_release(Steps(), stack, packaged=earlier_chart)
        wait_until_stable(stack)
        run.wait_for_sync(2)
        run.finish_tasks()
        run.run.wait_for_end()
        failed = dict.fromkeys(("sync_message", "deferred", "deferred_message"), ("failed", None))
        assert read_ends(run) == {"sync": ("success", {"pod": pods["sync"]}), **failed}
        assert LOST in read_logs(run, "sync_message")
        assert [REFUSED in read_logs(run, task) for task in ("deferred", "deferred_message")] == [True, True]
    finally:
        run.fail_run()


def test_upgrade_serves_the_sidecars_of_tasks_that_run(stack: Stack, airflow: AirflowApi, earlier_chart: Path):
    install_release(Steps(), stack, packaged=earlier_chart)
    wait_until_stable(stack)
    run = start_long_run(stack, airflow, "result_kinds")
    try:
        pods = {pod["metadata"]["labels"]["task_id"]: pod for pod in run.run.list_pods()}
        containers = {tuple(each["name"] for each in pod["spec"]["containers"]) for pod in pods.values()}
        assert containers == {("base", "airflow-xcom-sidecar")}
        install_release(Steps(), stack)
        wait_until_stable(stack)
        run.wait_for_sync(2)
        run.finish_tasks()
        run.run.wait_for_end()
        assert read_ends(run) == {task: ("success", {"pod": pod["metadata"]["name"]}) for task, pod in pods.items()}
    finally:
        run.fail_run()
