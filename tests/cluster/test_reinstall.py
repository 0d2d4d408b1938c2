"""Helm takes the release away and installs it again: what belongs to people is there in between and afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from cluster.support.airflow_runs.dag_run import Run
from cluster.support.airflow_runs.long_runs import (
    read_component_pods,
    read_kept_objects,
    read_persistent_state,
    run_short_dag,
    wait_for_persistent_state,
)
from common.polling import NotYet, wait_for
from common.steps import Steps
from stack.airflow_api import AirflowApi
from stack.install import install_release
from stack.release import NAMESPACE, RELEASE, Stack
from stack.sample_run import connect_airflow


@dataclass(frozen=True)
class Story:
    """What there was before, and a run that is to be found in the history."""

    stack: Stack
    history: Run
    before: dict[str, Any]


@pytest.fixture(scope="module")
def story(stack: Stack, airflow: AirflowApi) -> Iterator[Story]:
    history = run_short_dag(stack, airflow)
    yield Story(stack, history, read_persistent_state(stack, airflow, history))
    install_release(Steps(), stack)


def test_an_uninstall_leaves_namespaces_claims_and_secrets_and_nothing_that_runs(story: Story):
    words = ["uninstall", RELEASE, "--namespace", NAMESPACE, "--wait", "--timeout", "5m"]
    story.stack.helm(words, lambda _: None, timeout_s=310)

    def probe() -> None:
        if left := read_component_pods(story.stack):
            raise NotYet(str(left))

    wait_for("Airflow's pods to be gone", probe, deadline_s=180)
    assert read_kept_objects(story.stack) == story.before["objects"]


def test_an_install_by_the_same_name_finds_all_of_it_and_the_history(story: Story):
    install_release(Steps(), story.stack)
    airflow = connect_airflow(story.stack)  # the API's Service has another address now
    assert wait_for_persistent_state(story.stack, airflow, story.history) == story.before
    run_short_dag(story.stack, airflow)
