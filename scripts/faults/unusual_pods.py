"""Cases of pods with unusual starts and ends, and of requests that fail."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from common.errors import ScriptError
from common.polling import NotYet, wait_for
from faults.case_run import NAMESPACE, TWIN, WAIT_S, CaseRun, Json, patch_pod_status
from faults.fault import Action, Answer, CutBody, Fault, HangUp
from faults.ledger import END
from faults.scene import TASKS, Scene
from faults.stopped_tasks import hold_reentry, hold_requests
from stack.release import Stack

REASONS = ("OutOfcpu", "OutOfmemory", "OutOfpods", "UnexpectedAdmissionError", "NodeAffinity", "Preempting")
"""Reasons for which a kubelet refuses a pod."""

_OPEN = "kpo-platform.test/open-"
_HOLD_S = 120.0
_FULL_S = 45.0
_QUOTA = "test-no-room"


def lose_answers(scene: Scene, run: CaseRun, cleanup: ExitStack) -> None:
    """Lose the answer of the first creation of each task's pod."""
    _inject(scene, run, cleanup, _faults(run, "create pods", HangUp(is_delivered=True), times=1))


def cut_logs(scene: Scene, run: CaseRun, cleanup: ExitStack) -> None:
    """Cut the log streams of both tasks four times: twice by a closed connection, twice by an early end."""
    cuts = [CutBody(1500, is_clean) for is_clean in (False, True)]
    _inject(scene, run, cleanup, [fault for cut in cuts for fault in _faults(run, "get pods/log", cut, times=2)])


def read_log_of_init_container(_: Scene, run: CaseRun, __: ExitStack) -> None:
    """Wait for the init container's first line in the task's log, before the init container ends."""

    def probe() -> None:
        if "an early line" not in (log := run.read_log("sync")):
            raise NotYet(log[-300:])
        if "a late line" in log or any(pod["status"].get("phase") != "Pending" for pod in run.list_pods("sync")):
            raise ScriptError("The log of the init container came after its end.")

    wait_for("the log of the init container", probe, _HOLD_S, interval_s=1)


def forbid_deletion(scene: Scene, run: CaseRun, cleanup: ExitStack) -> None:
    """Refuse to delete the tasks' pods."""
    _inject(scene, run, cleanup, _faults(run, "delete pods", Answer(403)))


def delete_failed_pod(scene: Scene, run: CaseRun, cleanup: ExitStack) -> None:
    """Delete the failed pod of a deferred task after its trigger has seen the failure."""
    hold = hold_reentry(scene, run, cleanup)
    hold.wait_until_reached(_HOLD_S, run.describe_states)
    for pod in run.list_pods("deferred"):
        _delete_pod(scene.stack, pod)
    hold.release()


def add_twin(scene: Scene, run: CaseRun, _: ExitStack) -> None:
    """Create a pod with the labels of the task's pod, then restart the task's process."""
    run.wait_for_starts("sync")
    pod = run.wait_for_pod("sync", "Running")
    scene.stack.kubectl("create", "-f", "-", stdin=json.dumps(_build_twin(pod)))
    run.kill("sync", "TERM")


def evict_pods(scene: Scene, run: CaseRun, _: ExitStack) -> None:
    """Evict the first pod of each task."""
    run.wait_for_starts(*TASKS)
    for task in TASKS:
        metadata = {"name": run.wait_for_pod(task, "Running")["metadata"]["name"], "namespace": NAMESPACE}
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{metadata['name']}/eviction"
        scene.stack.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))


def refuse_pods(reason: str) -> Callable[[Scene, CaseRun, ExitStack], None]:
    """Return a case whose first pods get the status of pods that a kubelet refuses."""
    status = {"phase": "Failed", "reason": reason, "message": f"Pod was rejected: {reason}"}

    def act(scene: Scene, run: CaseRun, _: ExitStack) -> None:
        _replace_pending_pods(scene, run, lambda pod: patch_pod_status(scene.stack, pod, status))

    return act


def delete_pending_pods(scene: Scene, run: CaseRun, _: ExitStack) -> None:
    """Delete the first pods while they are pending."""
    _replace_pending_pods(scene, run, lambda pod: _delete_pod(scene.stack, pod))


def exhaust_quota(scene: Scene, run: CaseRun, cleanup: ExitStack) -> None:
    """Exhaust the quota, from before the first requests for pods, for longer than the tasks' startup timeout."""
    holds = [hold_requests(scene, "create pods", f"{run.dag}.{task}", cleanup) for task in TASKS]
    with _full_quota(scene.stack):
        for hold in holds:
            hold.wait_until_reached(_HOLD_S, run.describe_states)
            hold.release()
        time.sleep(_FULL_S)


def _replace_pending_pods(scene: Scene, run: CaseRun, remove: Callable[[Json], None]) -> None:
    """Remove the first pod of each task, wait for the next ones, and let these run by a label of the node."""
    label = _OPEN + run.dag.rpartition("_")[2]
    first = {task: run.wait_for_pod(task, "Pending") for task in TASKS}
    for pod in first.values():
        remove(pod)
    for task, pod in first.items():
        run.wait_for_pod(task, "Pending", other_than=pod["metadata"]["uid"])
    node = scene.stack.get("nodes")["items"][0]["metadata"]["name"]
    scene.stack.kubectl("label", "node", node, f"{label}=yes", "--overwrite")
    try:
        run.wait_for_events(END, TASKS)
    finally:
        scene.stack.kubectl("label", "node", node, f"{label}-")


def _delete_pod(stack: Stack, pod: Json) -> None:
    """Delete a pod at once, as a collector of garbage does with an ended one."""
    words = ("delete", "pod", pod["metadata"]["name"], "-n", NAMESPACE, "--grace-period=0", "--force")
    stack.kubectl(*words)


def _inject(scene: Scene, run: CaseRun, cleanup: ExitStack, faults: list[Fault]) -> None:
    """Inject faults until the cleanup, and wait until each has affected the requests that it is meant for."""
    cleanup.enter_context(scene.proxy.inject(*faults))

    def probe() -> None:
        if missing := [str(fault) for fault in faults if fault.hits < (fault.times or 1)]:
            raise NotYet(f"not yet: {missing}; {run.describe_states()}")

    wait_for(f"the faults of {run.dag} to affect requests", probe, WAIT_S, interval_s=0.5)


def _faults(run: CaseRun, requests: str, action: Action, times: int | None = None) -> list[Fault]:
    """Return a fault for each task of a run."""
    return [Fault(requests, action, times, task=f"{run.dag}.{task}") for task in TASKS]


def _build_twin(pod: Json) -> Json:
    metadata = {"name": f"{pod['metadata']['name'][:50]}-twin", "namespace": NAMESPACE}
    container = {**pod["spec"]["containers"][0], "command": ["sleep", "600"], "args": [], "env": [], "volumeMounts": []}
    spec = {"restartPolicy": "Never", "securityContext": pod["spec"]["securityContext"], "containers": [container]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**metadata, "labels": {**pod["metadata"]["labels"], TWIN: "yes"}},
        "spec": {**spec, "automountServiceAccountToken": False},
    }


@contextmanager
def _full_quota(stack: Stack) -> Iterator[None]:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": _QUOTA, "namespace": NAMESPACE},
        "spec": {"hard": {"pods": "0"}},
    }

    def probe() -> None:
        # Before the controller has counted the pods, the API server refuses them for another reason.
        if "pods" not in (status := stack.get("resourcequota", _QUOTA, "-n", NAMESPACE).get("status", {})).get(
            "hard", {}
        ):
            raise NotYet(str(status))

    stack.kubectl("apply", "-f", "-", stdin=json.dumps(quota))
    try:
        wait_for("the quota to be counted", probe, _HOLD_S)
        yield
    finally:
        stack.kubectl("delete", "resourcequota", "-n", NAMESPACE, _QUOTA, "--ignore-not-found")
