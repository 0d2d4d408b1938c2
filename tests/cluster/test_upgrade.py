"""Upgrade from a fixed earlier version of the chart to this checkout while tasks run.

A setting changes too, so that every component of Airflow restarts whatever the last change was.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.support.airflow_runs.dag_run import Run
from cluster.support.airflow_runs.long_runs import (
    COMPONENTS,
    TASKS,
    LongRun,
    read_component_pods,
    read_persistent_state,
    run_short_dag,
    start_long_run,
    wait_for_persistent_state,
    wait_until_stable,
)
from cluster.support.earlier_chart import extract_chart
from common.command import CommandError, capture_output
from common.polling import NotYet, wait_for
from common.steps import Steps
from stack.airflow_api import AirflowApi
from stack.install import get_registry_login, install_release, run_bootstrap
from stack.pod_watch import ObservedPods, watch_pods
from stack.release import NAMESPACE, RELEASE, Stack
from stack.sample_run import connect_airflow

# The main branch of 2026-11-26, from which platform teams upgrade. The first release's tag replaces it.
EARLIER = "318e2c0e52365eb7e8414a5390794946a3b7c100"
CHART_VALUES = "scripts/road/values-local.yaml"
# The shutdown times out while a task still waits in the worker.
SHORT = {"scheduler": {"terminationGracePeriodSeconds": 15}}
CHANGED = {**SHORT, "config": {"core": {"parallelism": 31}}}


@dataclass(frozen=True)
class UpgradeTest:
    """The state before the upgrade, and the runs."""

    stack: Stack
    airflow: AirflowApi
    observed: ObservedPods
    history: Run
    state: dict[str, Any]
    pods: dict[str, str]
    long_run: LongRun


def uninstall_everything(stack: Stack) -> None:
    """Delete the release with the Secrets and claims that an uninstall keeps, so that the next install makes them."""
    words = ["uninstall", RELEASE, "--namespace", NAMESPACE, "--wait", "--timeout", "5m"]
    stack.helm(words, lambda _: None, timeout_s=310)
    stack.kubectl("delete", "pods,secrets,pvc", "-n", NAMESPACE, "--all", "--timeout=170s", timeout_s=180)


def install_earlier(stack: Stack, folder: Path, values: Path) -> None:
    """Install the earlier chart, and run its own `platformctl bootstrap`."""
    earlier = extract_chart(EARLIER, folder)
    words = ["install", RELEASE, earlier / "helm" / "kpo-platform", "--namespace", NAMESPACE]
    options = ["--values", earlier / CHART_VALUES, "--values", values, "--wait", "--timeout", "10m"]
    stack.helm([*words, *options], lambda _: None, timeout_s=630)
    program = "from kpo_platform.cli.main import main; main()"
    env = {**stack.environment, "PYTHONPATH": str(earlier / "platform")}
    platformctl = [sys.executable, "-c", program, "bootstrap", "--yes", "--registry-config", "-"]
    capture_output(platformctl, env=env, stdin=get_registry_login(stack), timeout_s=300)


@pytest.fixture(scope="module")
def setup(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpgradeTest]:
    folder = tmp_path_factory.mktemp("earlier")
    short, changed = folder / "short.yaml", folder / "changed.yaml"
    short.write_text(yaml.safe_dump(SHORT))
    changed.write_text(yaml.safe_dump(CHANGED))
    try:
        uninstall_everything(stack)
        install_earlier(stack, folder, short)
        wait_until_stable(stack)
        airflow = connect_airflow(stack)
        history = run_short_dag(stack, airflow)
        with watch_pods(stack) as observed:
            long_run = start_long_run(stack, airflow)
            try:
                test = UpgradeTest(
                    stack,
                    airflow,
                    observed,
                    history,
                    read_persistent_state(stack, airflow, history),
                    {name: uid for name, (_, uid) in read_component_pods(stack).items()},
                    long_run,
                )
                install_release(Steps(), stack, changed)
                wait_until_stable(stack)
                yield test
            finally:
                long_run.fail_run()
    finally:
        install_release(Steps(), stack)
        run_bootstrap(Steps(), stack, Path(sys.executable).parent)


def test_every_component_restarts_and_task_pods_survive(setup: UpgradeTest):
    uids = {name: uid for name, (_, uid) in read_component_pods(setup.stack).items()}
    # PostgreSQL too: its start script has changed since the earlier version.
    assert {name for name, uid in uids.items() if uid != setup.pods[name]} == set(COMPONENTS)
    assert setup.long_run.running_pods() == setup.long_run.uids


def test_history_connection_secrets_and_claims_are_unchanged(setup: UpgradeTest):
    assert wait_for_persistent_state(setup.stack, setup.airflow, setup.history) == setup.state


def test_tasks_succeed_in_their_first_pods(setup: UpgradeTest):
    setup.long_run.wait_for_sync(2)
    setup.long_run.finish_tasks()
    assert setup.long_run.run.wait_for_end() == "success", setup.long_run.task_states()
    tasks = setup.long_run.task_states()
    assert {task: state for task, (state, _) in tasks.items()} == dict.fromkeys(TASKS, "success")
    assert {number for task, (_, number) in tasks.items() if task[0] != "sync"} == {1}
    assert setup.long_run.observed_pod_uids(setup.observed) == {
        task: {uid} for task, uid in setup.long_run.uids.items()
    }


def test_bootstrap_and_doctor_succeed_after_the_upgrade(setup: UpgradeTest, programs: Path):
    run_bootstrap(Steps(), setup.stack, programs)

    def probe() -> str:
        try:
            return capture_output([programs / "platformctl", "doctor"], env=setup.stack.environment, timeout_s=120)
        except CommandError as error:
            raise NotYet(str(error)) from error  # a Job of the upgrade still runs

    output = wait_for("doctor to complete its checks", probe, deadline_s=300)
    assert {line[0] for line in output.splitlines()} == {"✔"}
