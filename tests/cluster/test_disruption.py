"""Disruptions: a preempted pod is restarted, a pod that fills its volume fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cluster.support.airflow_runs.dag_run import Run, push_dag
from cluster.support.pods.sleeper import POD
from common.polling import NotYet, wait_for
from stack.airflow_api import AirflowApi
from stack.release import Stack

KINDS = ("deferrable", "sync")
URGENT = "disruption-urgent"
SLOT = "kpo-platform.test/slot"
RESTART_MESSAGE = "without using a retry"

StartRun = Callable[[str], Run]


@pytest.fixture(scope="module")
def start(stack: Stack, airflow: AirflowApi) -> Iterator[StartRun]:
    """Starts runs of the DAGs; deletes their pods afterwards."""
    push_dag(stack, airflow, "alpha", "running_pods.py", "pods_filled")
    yield lambda name: Run(stack, airflow, f"pods_{name}", airflow.trigger_run(f"pods_{name}"))
    names = ["filled", *(f"preempted_{kind}" for kind in KINDS)]
    selector = "dag_id in (" + ",".join(f"pods_{name}" for name in names) + ")"
    stack.kubectl("delete", "pods", "-n", "team-alpha", "-l", selector, "--wait=false")


@pytest.fixture
def slot(stack: Stack) -> Iterator[None]:
    """A node with one slot, and a namespace whose pods preempt others."""
    node = stack.get("nodes")["items"][0]["metadata"]["name"]
    patch = ("patch", "node", node, "--subresource=status", "--type=json", "-p")
    path = f"/status/capacity/{SLOT.replace('/', '~1')}"
    stack.kubectl(*patch, json.dumps([{"op": "add", "path": path, "value": "1"}]))
    stack.kubectl("create", "priorityclass", URGENT, "--value=100000")
    stack.kubectl("create", "namespace", URGENT)

    def check_slot() -> None:
        allocatable = stack.get("node", node)["status"]["allocatable"]
        if allocatable.get(SLOT) != "1":
            raise NotYet(f"allocatable is {allocatable}")

    try:
        wait_for("the kubelet to offer the slot", check_slot, deadline_s=60)
        yield
    finally:
        stack.kubectl("delete", "namespace", URGENT, "--ignore-not-found", timeout_s=120)
        stack.kubectl("delete", "priorityclass", URGENT, "--ignore-not-found")
        stack.kubectl(*patch, json.dumps([{"op": "remove", "path": path}]))


def urgent_pod() -> dict[str, Any]:
    """Return a pod that takes the slot by preemption."""
    slots = {"requests": {SLOT: "1"}, "limits": {SLOT: "1"}}
    container = {**POD["spec"]["containers"][0], "command": ["true"], "resources": slots}
    spec = {**POD["spec"], "restartPolicy": "Never", "priorityClassName": URGENT, "containers": [container]}
    return {**POD, "metadata": {"name": "urgent", "namespace": URGENT}, "spec": spec}


@pytest.mark.parametrize("kind", KINDS)
def test_preempted_pod_is_restarted(start: StartRun, stack: Stack, slot: None, kind: str):
    run = start(f"preempted_{kind}")
    preempted = run.wait_for_pod()
    stack.kubectl("apply", "-f", "-", stdin=json.dumps(urgent_pod()))
    log = run.wait_for_log(RESTART_MESSAGE)
    assert "Preempt" in log, log[-2000:]
    assert run.wait_for_pod()["metadata"]["uid"] != preempted["metadata"]["uid"]
    assert succeeded_in_one_try(run)


def succeeded_in_one_try(run: Run) -> bool:
    """Wait for the run's end; return whether its task succeeded in its only try."""
    assert run.wait_for_end() == "success", run.read_log()
    task = run.task_instance()
    return (task["state"], task["try_number"], task["max_tries"]) == ("success", 1, 0)


def test_pod_evicted_for_filling_its_volume_fails(start: StartRun):
    run = start("filled")
    assert run.wait_for_end() == "failed"
    log = run.read_log()
    assert RESTART_MESSAGE not in log
    assert "exceeds the limit" in log, log[-3000:]
