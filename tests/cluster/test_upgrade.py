"""From the chart as it was before its last change to the chart of this checkout, while tasks run: nothing is lost.

A setting changes as well, so that every component of Airflow starts again whatever the last change was.
"""

from __future__ import annotations

import tarfile
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
from common.command import capture_output
from common.errors import ScriptError
from common.paths import REPOSITORY
from common.steps import Steps
from stack.airflow_api import AirflowApi
from stack.install import install_release
from stack.pod_watch import ObservedPods, watch_pods
from stack.release import NAMESPACE, RELEASE, Stack

CHART = ("helm", "rbac", "pod_templates", "platform")
VALUES = "scripts/stack/values-local.yaml"
# A stop that runs out of time while a task still waits in the worker.
SHORT = {"scheduler": {"terminationGracePeriodSeconds": 15}}
CHANGED = {**SHORT, "config": {"core": {"parallelism": 31}}}


@dataclass(frozen=True)
class Story:
    """What there was before the upgrade, and what is after it."""

    stack: Stack
    airflow: AirflowApi
    seen: ObservedPods
    history: Run
    before: dict[str, Any]
    pods: dict[str, str]
    long_run: LongRun


def earlier_checkout(folder: Path) -> Path:
    """Give a folder with the chart as it was before its last change, and with the values of that time."""
    commits = capture_output(["git", "rev-list", "-2", "HEAD", "--", *CHART], cwd=REPOSITORY).split()
    if len(commits) < 2:
        raise ScriptError("This checkout has no commit before the last change of the chart; fetch the whole history.")
    archive = folder / "earlier.tar"
    capture_output(["git", "archive", "--output", archive, commits[1], "--", *CHART, VALUES], cwd=REPOSITORY)
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="tar")
    return folder


def upgrade_to_earlier(stack: Stack, folder: Path, values: Path) -> None:
    """Make the release what the earlier chart makes of it."""
    earlier = earlier_checkout(folder)
    words = ["upgrade", "--install", RELEASE, earlier / "helm" / "kpo-platform", "--namespace", NAMESPACE]
    given = ["--values", earlier / VALUES, "--values", values, "--wait", "--timeout", "10m"]
    stack.helm([*words, *given], lambda _: None, timeout_s=630)


@pytest.fixture(scope="module")
def story(stack: Stack, airflow: AirflowApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("earlier")
    short, changed = folder / "short.yaml", folder / "changed.yaml"
    short.write_text(yaml.safe_dump(SHORT))
    changed.write_text(yaml.safe_dump(CHANGED))
    upgrade_to_earlier(stack, folder, short)
    wait_until_stable(stack)
    try:
        history = run_short_dag(stack, airflow)
        with watch_pods(stack) as seen:
            long_run = start_long_run(stack, airflow)
            try:
                before = Story(
                    stack,
                    airflow,
                    seen,
                    history,
                    read_persistent_state(stack, airflow, history),
                    {name: uid for name, (_, uid) in read_component_pods(stack).items()},
                    long_run,
                )
                install_release(Steps(), stack, changed)
                wait_until_stable(stack)
                yield before
            finally:
                long_run.fail_run()
    finally:
        install_release(Steps(), stack)


def test_every_component_of_airflow_started_again_and_the_tasks_pods_ran_on(story: Story):
    now = {name: uid for name, (_, uid) in read_component_pods(story.stack).items()}
    assert {name for name, uid in now.items() if uid != story.pods[name]} == set(COMPONENTS) - {"postgresql"}
    assert story.long_run.running_pods() == story.long_run.uids


def test_history_logs_connection_secrets_and_claims_are_as_they_were(story: Story):
    assert wait_for_persistent_state(story.stack, story.airflow, story.history) == story.before


def test_the_tasks_end_well_in_their_first_pods_and_only_the_one_in_the_worker_was_started_again(story: Story):
    story.long_run.wait_for_sync(2)
    story.long_run.finish_tasks()
    assert story.long_run.run.wait_for_end() == "success", story.long_run.task_states()
    tasks = story.long_run.task_states()
    assert {task: state for task, (state, _) in tasks.items()} == dict.fromkeys(TASKS, "success")
    assert {number for task, (_, number) in tasks.items() if task[0] != "sync"} == {1}
    assert story.long_run.observed_pod_uids(story.seen) == {task: {uid} for task, uid in story.long_run.uids.items()}
