"""The release by `helm template` and `kubectl apply`, without hooks and without an order, and by Helm with `--wait`.

Argo CD applies in the same way: every part must find its own way up, and applying again must change nothing.
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
"""Whose fields they are that `kubectl apply` sets, so that this test can give them up again."""


@dataclass(frozen=True)
class Story:
    """What there was before, and a run that is to be found in the history."""

    stack: Stack
    history: Run
    before: dict[str, Any]

    def holds_the_same(self) -> bool:
        """Tell whether Airflow has what it had; its API may have another address by now."""
        return wait_for_persistent_state(self.stack, connect_airflow(self.stack), self.history) == self.before

    def runs_a_task(self) -> None:
        """Run one, by the secrets, the connection and the account that were there before."""
        run_short_dag(self.stack, connect_airflow(self.stack))


@pytest.fixture(scope="module")
def story(stack: Stack, airflow: AirflowApi) -> Iterator[Story]:
    history = run_short_dag(stack, airflow)
    try:
        yield Story(stack, history, read_persistent_state(stack, airflow, history))
    finally:
        if applied(stack):
            remove(stack)
        forget(stack)
        install_release(Steps(), stack)


def rendered(stack: Stack) -> str:
    """What `helm template` gives for the local cluster."""
    words = [stack.programs / "helm", "template", RELEASE, CHART, "--namespace", NAMESPACE, "--values", VALUES]
    return capture_output([*words, "--skip-tests"], timeout_s=60)


def apply(stack: Stack) -> None:
    """Apply the rendering to whatever is there."""
    words = ("apply", "--server-side", "--force-conflicts", f"--field-manager={MANAGER}", "-f", "-")
    stack.kubectl(*words, stdin=rendered(stack), timeout_s=180)
    wait_until_stable(stack)


def objects(stack: Stack) -> list[dict[str, Any]]:
    """All that the release is made of, but for the namespaces, which outlive it."""
    return [one for one in yaml.safe_load_all(rendered(stack)) if one and one["kind"] != "Namespace"]


def applied(stack: Stack) -> bool:
    """Tell whether anything is applied by hand: Helm would not take it over."""
    words = ("deployments", "-n", NAMESPACE, "-l", f"app.kubernetes.io/instance={RELEASE}", "--show-managed-fields")
    fields = [field for one in stack.get(*words)["items"] for field in one["metadata"]["managedFields"]]
    return MANAGER in {field["manager"] for field in fields}


def remove(stack: Stack) -> None:
    """Uninstall the release, if Helm knows of one, delete what was applied, and wait for the pods to be gone."""
    words = ["uninstall", RELEASE, "--namespace", NAMESPACE, "--ignore-not-found", "--wait", "--timeout", "5m"]
    stack.helm(words, lambda _: None, timeout_s=310)
    words = ["delete", "--ignore-not-found", "--wait", "-f", "-"]
    stack.kubectl(*words, stdin=yaml.safe_dump_all(objects(stack)), timeout_s=300)
    wait_for("Airflow's pods to be gone", lambda: gone(stack), deadline_s=180)


def forget(stack: Stack) -> None:
    """Take the note off the namespaces that they are applied by hand as well, which would stand in Helm's way later."""
    note = '[{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]'
    for name in NAMESPACES[1:]:
        stack.kubectl("patch", "namespace", name, "--type=json", f"--patch={note}")


def gone(stack: Stack) -> None:
    """No pod of Airflow's components is left, not even one that is about to end."""
    those = f"app.kubernetes.io/component in ({', '.join(COMPONENTS)}),app.kubernetes.io/instance={RELEASE}"
    if pods := stack.get("pods", "-n", NAMESPACE, "-l", those)["items"]:
        raise NotYet(", ".join(pod["metadata"]["name"] for pod in pods))


def helm(stack: Stack, *words: str) -> None:
    """Let Helm do something with the chart of this checkout, and wait as people do."""
    values = ["--namespace", NAMESPACE, "--values", str(VALUES), "--wait", "--timeout", "10m"]
    stack.helm([words[0], RELEASE, CHART, *words[1:], *values], lambda _: None, timeout_s=630)


def apply_changes_nothing(story: Story) -> None:
    """Apply what is there already, and see that it stays."""
    pods = read_component_pods(story.stack)
    apply(story.stack)
    assert read_component_pods(story.stack) == pods
    assert story.holds_the_same()


def test_to_render_and_apply_over_a_running_release_changes_no_pod_and_no_secret(story: Story):
    apply_changes_nothing(story)


def test_kubectl_apply_brings_all_of_it_up_and_finds_what_was_there(story: Story):
    remove(story.stack)
    apply(story.stack)
    assert story.holds_the_same()
    story.runs_a_task()


def test_to_render_and_apply_again_changes_no_pod_and_no_secret(story: Story):
    apply_changes_nothing(story)


def test_helm_install_wait_brings_all_of_it_up_and_finds_what_was_there(story: Story):
    remove(story.stack)
    forget(story.stack)
    helm(story.stack, "install")
    assert story.holds_the_same()
    story.runs_a_task()


def test_helm_upgrade_wait_without_a_change_touches_no_pod_and_with_one_comes_up_again(story: Story):
    pods = read_component_pods(story.stack)
    helm(story.stack, "upgrade")
    assert read_component_pods(story.stack) == pods
    helm(story.stack, "upgrade", "--set", "config.core.parallelism=31")
    wait_until_stable(story.stack)
    now = read_component_pods(story.stack)
    assert {name for name in now if now[name] != pods[name]} == {
        "api-server",
        "dag-processor",
        "scheduler",
        "triggerer",
    }
    assert story.holds_the_same()
