"""Kubernetes does not let a task remove or mark its former pod: that keeps no finished pod's task from a new one."""

from __future__ import annotations

import pytest

from unit.support.cluster_server import Cluster
from unit.support.fake_kubelet import Program
from unit.support.pod_store import refuse
from unit.support.task_faults import at, stop_while_running
from unit.support.task_process import StartTask, Task

MAY_NOT_DELETE = refuse(403, "Forbidden", 'pods "p" is forbidden: User "u" cannot delete resource "pods"')
MAY_NOT_PATCH = refuse(403, "Forbidden", 'pods "p" is forbidden: User "u" cannot patch resource "pods"')


def evict_all(cluster: Cluster, count: int) -> None:
    """Evict this number of pods, one after another, while their programs run."""
    evicted: set[str] = set()

    def tick() -> None:
        for pod in cluster.pods.values():
            if pod.containers[0].is_running and len(evicted | {pod.name}) <= count:
                evicted.add(pod.name)
                pod.evict(cluster.now)

    cluster.on_tick = tick


# A disrupted pod


@pytest.mark.parametrize("refusals", [1, 1000], ids=["once", "always"])
@pytest.mark.parametrize(
    ("method", "arguments"), [("DELETE", {}), ("PATCH", {"on_finish_action": "keep_pod"})], ids=["delete", "keep"]
)
@pytest.mark.parametrize("evictions", [1, 3])
def test_each_disruption_counts_once_and_has_a_new_pod_although_the_old_one_is_left(
    evictions: int, method: str, arguments: dict[str, str], refusals: int, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = Program(runs_s=20)
    fake_cluster.add(method, MAY_NOT_DELETE if method == "DELETE" else MAY_NOT_PATCH, refusals)
    evict_all(fake_cluster, evictions)
    task = start_task(**arguments)
    runs = task.run_to_end()
    counts = [line.partition(" restarts (")[2][:6] for run in runs for line in run.log if " restarts (" in line]
    assert ([run.outcome for run in runs], counts, [line.split()[1] for line in fake_cluster.ledger]) == (
        ["rescheduled"] * evictions + [None],
        [f"{count} of 3" for count in range(1, evictions + 1)],
        ["started", "interrupted"] * evictions + ["started", "finished"],
    )
    said = f"The cluster has ended pod {task.pod}, and an earlier process could not remove it"
    assert f"{said}: the task starts a new pod." in runs[1].log


def test_left_pod_of_a_disruption_whose_name_is_needed_fails_the_task(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(runs_s=20)
    fake_cluster.add("DELETE", MAY_NOT_DELETE, 1000)
    at(fake_cluster.now + 5, fake_cluster, lambda pod: pod.evict(fake_cluster.now))
    runs = start_task(name="load", random_name_suffix=False).run_to_end()
    assert [str(run.outcome).partition(":")[0] for run in runs] == ["rescheduled", "FormerPodRemains"]


# A pod that is kept after a stop


def stop_without_mark(fake_cluster: Cluster, start_task: StartTask, **arguments: str) -> Task:
    """Clear a running task that keeps its pod, but may not mark it."""
    fake_cluster.programs["base"] = Program(runs_s=100)
    fake_cluster.add("PATCH", MAY_NOT_PATCH, 1000)
    task = start_task(on_kill_action="keep_pod", **arguments)
    stop_while_running(task)
    fake_cluster.on_tick = lambda: None
    return task


def test_new_pod_starts_beside_a_kept_one_that_cannot_be_marked(fake_cluster: Cluster, start_task: StartTask):
    task = stop_without_mark(fake_cluster, start_task)
    first = task.pod
    run = task.retry()
    assert (run.outcome, sorted(fake_cluster.ledger), [*fake_cluster.pods]) == (
        None,
        sorted(f"{pod} {what}" for pod in (first, task.pod) for what in ("started", "finished with 0")),
        [first],
    )
    why = 'HTTP 403, pods "p" is forbidden: User "u" cannot patch resource "pods"'
    advice = "Give the task's connection this right."
    assert f"warning: Cannot mark pod {first} in namespace team-alpha: {why}. {advice}" in run.log


@pytest.mark.parametrize("action", ["delete_pod", "keep_pod"])
def test_stopped_pod_that_has_ended_without_a_mark_is_cared_for_as_any_other(
    action: str, fake_cluster: Cluster, start_task: StartTask
):
    task = stop_without_mark(fake_cluster, start_task, on_finish_action=action)
    first = task.pod
    fake_cluster.sleep(200)
    assert (task.retry().outcome, first in fake_cluster.pods) == (None, action == "keep_pod")
    assert [line.split()[1] for line in fake_cluster.ledger] == ["started", "finished"] * 2
