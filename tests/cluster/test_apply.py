"""The release installed with `helm template` and `kubectl apply`, and with Helm's `--wait`.

Argo CD applies in the same way: every component must start independently, and a second apply must change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from cluster.support.airflow_runs.dag_run import Run
from cluster.support.airflow_runs.long_runs import (
    COMPONENTS,
    NAMESPACES,
    read_component_pods,
    read_persistent_state,
    run_short_dag,
    wait_for_persistent_state,
    wait_until_stable,
)
from common.command import capture_output
from common.polling import NotYet, wait_for
from common.steps import Steps
from stack.airflow_api import AirflowApi
from stack.install import install_release
from stack.release import CHART, NAMESPACE, RELEASE, VALUES, Stack
from stack.sample_run import connect_airflow

MANAGER = "by-hand"
"""The field manager of `kubectl apply`, so that this test can release its fields."""


@dataclass(frozen=True)
class ApplyTest:
    """The state before the test, and a run of the history."""

    stack: Stack
    history: Run
    before: dict[str, Any]

    def has_same_state(self) -> bool:
        """Return whether Airflow has the same state; the address of its API may have changed."""
        return wait_for_persistent_state(self.stack, connect_airflow(self.stack), self.history) == self.before

    def run_task(self) -> None:
        """Run a task with the Secrets, the connection and the account from before."""
        run_short_dag(self.stack, connect_airflow(self.stack))


@pytest.fixture(scope="module")
def setup(stack: Stack, airflow: AirflowApi) -> Iterator[ApplyTest]:
    history = run_short_dag(stack, airflow)
    try:
        yield ApplyTest(stack, history, read_persistent_state(stack, airflow, history))
    finally:
        if has_applied_fields(stack):
            remove_release(stack)
        reset_managed_fields(stack)
        install_release(Steps(), stack)


def render_release(stack: Stack) -> str:
    """Return the output of `helm template` for the local cluster."""
    words = [stack.programs / "helm", "template", RELEASE, CHART, "--namespace", NAMESPACE, "--values", VALUES]
    return capture_output([*words, "--skip-tests"], timeout_s=60)


def apply_release(stack: Stack) -> None:
    """Apply the rendered objects."""
    words = ("apply", "--server-side", "--force-conflicts", f"--field-manager={MANAGER}", "-f", "-")
    stack.kubectl(*words, stdin=render_release(stack), timeout_s=180)
    wait_until_stable(stack)


def release_objects(stack: Stack) -> list[dict[str, Any]]:
    """Return the objects of the release, without namespaces, which outlive it."""
    return [item for item in yaml.safe_load_all(render_release(stack)) if item and item["kind"] != "Namespace"]


def has_applied_fields(stack: Stack) -> bool:
    """Return whether `kubectl apply` owns fields, because Helm does not adopt such objects."""
    words = ("deployments", "-n", NAMESPACE, "-l", f"app.kubernetes.io/instance={RELEASE}", "--show-managed-fields")
    fields = [field for item in stack.get(*words)["items"] for field in item["metadata"]["managedFields"]]
    return MANAGER in {field["manager"] for field in fields}


def remove_release(stack: Stack) -> None:
    """Uninstall Helm's release, delete applied objects, and wait until all pods are deleted."""
    words = ["uninstall", RELEASE, "--namespace", NAMESPACE, "--ignore-not-found", "--wait", "--timeout", "5m"]
    stack.helm(words, lambda _: None, timeout_s=310)
    words = ["delete", "--ignore-not-found", "--wait", "-f", "-"]
    stack.kubectl(*words, stdin=yaml.safe_dump_all(release_objects(stack)), timeout_s=300)
    wait_for("Airflow's pods to be deleted", lambda: check_pods_gone(stack), deadline_s=180)


def reset_managed_fields(stack: Stack) -> None:
    """Reset the managed fields of the namespaces, which would conflict with Helm later."""
    patch = '[{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]'
    for name in NAMESPACES[1:]:
        stack.kubectl("patch", "namespace", name, "--type=json", f"--patch={patch}")


def check_pods_gone(stack: Stack) -> None:
    """Raise NotYet while any pod of Airflow exists, even a terminating one."""
    selector = f"app.kubernetes.io/component in ({', '.join(COMPONENTS)}),app.kubernetes.io/instance={RELEASE}"
    if pods := stack.get("pods", "-n", NAMESPACE, "-l", selector)["items"]:
        raise NotYet(", ".join(pod["metadata"]["name"] for pod in pods))


def run_helm(stack: Stack, *words: str) -> None:
    """Run a Helm command with this checkout's chart and `--wait`."""
    values = ["--namespace", NAMESPACE, "--values", str(VALUES), "--wait", "--timeout", "10m"]
    stack.helm([words[0], RELEASE, CHART, *words[1:], *values], lambda _: None, timeout_s=630)


def check_apply_changes_nothing(setup: ApplyTest) -> None:
    """Apply the release again, and check that nothing changes."""
    pods = read_component_pods(setup.stack)
    apply_release(setup.stack)
    assert read_component_pods(setup.stack) == pods
    assert setup.has_same_state()


def test_apply_over_a_running_release_changes_nothing(setup: ApplyTest):
    check_apply_changes_nothing(setup)


def test_kubectl_apply_installs_the_release_with_existing_data(setup: ApplyTest):
    remove_release(setup.stack)
    apply_release(setup.stack)
    assert setup.has_same_state()
    setup.run_task()


def test_second_apply_changes_nothing(setup: ApplyTest):
    check_apply_changes_nothing(setup)


def test_helm_install_wait_succeeds_with_existing_data(setup: ApplyTest):
    remove_release(setup.stack)
    reset_managed_fields(setup.stack)
    run_helm(setup.stack, "install")
    assert setup.has_same_state()
    setup.run_task()


def test_helm_upgrade_wait_restarts_pods_only_after_a_change(setup: ApplyTest):
    pods = read_component_pods(setup.stack)
    run_helm(setup.stack, "upgrade")
    assert read_component_pods(setup.stack) == pods
    run_helm(setup.stack, "upgrade", "--set", "config.core.parallelism=31")
    wait_until_stable(setup.stack)
    pods_after = read_component_pods(setup.stack)
    assert {name for name in pods_after if pods_after[name] != pods[name]} == {
        "api-server",
        "dag-processor",
        "scheduler",
        "triggerer",
    }
    assert setup.has_same_state()
