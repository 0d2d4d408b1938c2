"""Uninstall and reinstall of the release: users' data survives both."""

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
class ReinstallTest:
    """The state before the uninstall, and a run of the history."""

    stack: Stack
    history: Run
    before: dict[str, Any]


@pytest.fixture(scope="module")
def setup(stack: Stack, airflow: AirflowApi) -> Iterator[ReinstallTest]:
    history = run_short_dag(stack, airflow)
    yield ReinstallTest(stack, history, read_persistent_state(stack, airflow, history))
    install_release(Steps(), stack)


def test_uninstall_keeps_namespaces_claims_and_secrets_only(setup: ReinstallTest):
    words = ["uninstall", RELEASE, "--namespace", NAMESPACE, "--wait", "--timeout", "5m"]
    setup.stack.helm(words, lambda _: None, timeout_s=310)

    def probe() -> None:
        if remaining := read_component_pods(setup.stack):
            raise NotYet(str(remaining))

    wait_for("Airflow's pods to be deleted", probe, deadline_s=180)
    assert read_kept_objects(setup.stack) == setup.before["objects"]


def test_install_with_the_same_name_uses_the_existing_data(setup: ReinstallTest):
    install_release(Steps(), setup.stack)
    airflow = connect_airflow(setup.stack)  # the address of the API's Service has changed
    assert wait_for_persistent_state(setup.stack, airflow, setup.history) == setup.before
    run_short_dag(setup.stack, airflow)
