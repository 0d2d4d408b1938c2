"""The start of a pod in a sync run: lost answers, names, quota, nodes and images."""

from __future__ import annotations

from typing import Any

import pytest

from unit.support.cluster_server import Cluster, Rule
from unit.support.contracts import TEAM
from unit.support.fake_kubelet import FakePod, Program
from unit.support.http_server import Fault
from unit.support.pod_store import refuse
from unit.support.published_contract import Publish
from unit.support.task_process import StartTask

NO_NODE = (
    "No node can take the pod: 0/1 nodes are available (Unschedulable). Wait, or ask the platform team. [KPO-SCH100: "
    "docs/troubleshooting.md#kpo-sch100]"
)


@pytest.mark.parametrize("quota", [100, 1])
def test_pod_whose_creation_got_no_answer_is_found(quota: int, fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.quota = quota
    fake_cluster.add("POST", Fault.CLOSE, is_after=True)
    task = start_task()
    run = task.run()
    assert run.requests == ["POST pods", "GET POD", "WATCH POD", "DELETE POD"]
    assert (run.outcome, fake_cluster.created, fake_cluster.pods) == (None, 1, {})
    assert run.log[2:4] == [
        f"warning: Cannot create pod {task.pod} in namespace team-alpha: Remote end closed connection without "
        "response. The task tries again for at most 3600 s.",
        "The Kubernetes API answers again after 1 s.",
    ]


def test_pod_that_was_never_created_after_a_lost_request_is_created(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.add("POST", Fault.CLOSE)
    run = start_task().run()
    assert run.requests == ["POST pods", "GET POD", "POST pods", "WATCH POD", "DELETE POD"]
    assert (run.outcome, fake_cluster.created) == (None, 1)


def test_pod_of_this_start_that_exists_already_is_taken_up(fake_cluster: Cluster, start_task: StartTask):
    task = start_task()
    fake_cluster.add("POST", None, is_after=True)
    run = task.run()
    assert run.requests == ["POST pods", "GET POD", "WATCH POD", "DELETE POD"]
    assert (run.outcome, fake_cluster.ledger) == (None, [f"{task.pod} started", f"{task.pod} finished with 0"])


def test_pod_of_somebody_else_with_the_tasks_name_is_left_alone(fake_cluster: Cluster, start_task: StartTask):
    add_pod(fake_cluster, "mine")
    run = start_task(name="mine", random_name_suffix=False).run()
    assert run.outcome == (
        "PodNameTaken: The pod was not created: another pod mine exists in namespace team-alpha. Delete it, or let the "
        "task's pods have different names (name=, random_name_suffix=True)."
    )
    assert (run.requests, [*fake_cluster.pods]) == (["POST pods", "GET POD"], ["mine"])


def add_pod(cluster: Cluster, name: str, labels: dict[str, str] | None = None) -> FakePod:
    """Add a pod to the cluster that the task has not created."""
    metadata = {"name": name, "namespace": "team-alpha", "labels": labels or {}, "uid": f"uid-of-{name}"}
    pod = {"metadata": metadata, "spec": {"containers": [{"name": "base"}]}}
    cluster.pods[name] = FakePod(pod, cluster.programs, cluster.now, cluster.ledger.append)
    return cluster.pods[name]


def test_task_waits_for_quota_and_then_runs(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.quota = 0
    fake_cluster.on_tick = lambda: setattr(fake_cluster, "quota", 1 if fake_cluster.now >= 25 else 0)
    task = start_task()
    run = task.run()
    waits = [
        f"The quota of team 'alpha' does not admit the pod now: waiting to create it, {waited} of 86400 s so far. "
        f'Kubernetes API: pods "{task.pod}" is forbidden: exceeded quota: team-quota'
        for waited in (0, 10, 20)
    ]
    assert run.log[2:5] == waits
    assert (run.requests, run.outcome) == (["POST pods", "WATCH POD", "DELETE POD"], None)


@pytest.mark.parametrize("message", ["exceeded quota: team-quota", 'violates PodSecurity "restricted:latest"'])
def test_shutdown_during_a_refused_creation_restarts_the_task(
    message: str, fake_cluster: Cluster, start_task: StartTask
):
    def refuse_then_stop(_: Any) -> Any:
        task.operator.stop_signal.is_requested = True
        return refuse(403, "Forbidden", f'pods "t" is forbidden: {message}')

    fake_cluster.rules.append(Rule("POST pods", refuse_then_stop))
    task = start_task()
    run = task.run()
    assert (run.outcome, run.requests, fake_cluster.now) == ("rescheduled", ["POST pods"], 0)
    assert (task.run().outcome, fake_cluster.created, fake_cluster.pods) == (None, 1, {})


@pytest.mark.parametrize("arguments", [{}, {"schedule_timeout_seconds": 100}])
def test_wait_for_quota_has_a_deadline(arguments: dict[str, Any], fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.quota = 0
    limit = arguments.get("schedule_timeout_seconds", 86400)
    task = start_task(**arguments)
    run = task.run()
    assert run.outcome == (
        f"QuotaTimeout: The pod was not created: the quota of team 'alpha' did not admit it for {limit} s "
        "(schedule_timeout_seconds, by default the team's policy.roomTimeout). Wait for other tasks of the team, use a "
        f'smaller size, or ask the platform team for a larger quota. Kubernetes API: pods "{task.pod}" is forbidden: '
        "exceeded quota: team-quota"
    )
    assert (run.requests, fake_cluster.created) == (["POST pods"], 0)
    assert limit <= fake_cluster.now < limit + 1


def test_quota_and_node_share_one_deadline(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.quota = 0
    fake_cluster.on_tick = lambda: setattr(fake_cluster, "quota", 1 if fake_cluster.now >= 60 else 0)
    fake_cluster.prepare = lambda pod: setattr(pod, "has_room", False)
    task = start_task(schedule_timeout_seconds=100)
    run = task.run()
    late = f"Pod {task.pod} found no node within 100 s ("
    assert run.outcome.startswith(f"PodLaunchTimeoutException: {NO_NODE} {late}"), run.outcome
    assert 100 <= fake_cluster.now <= 102


def test_pod_that_finds_no_node_is_deleted_after_the_room_timeout(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.prepare = lambda pod: setattr(pod, "has_room", False)
    task = start_task(log_events_on_failure=False, schedule_timeout_seconds=100)
    run = task.run()
    assert run.outcome == (
        f"PodLaunchTimeoutException: {NO_NODE} Pod {task.pod} found no node within 100 s (schedule_timeout_seconds, by "
        "default the team's policy.roomTimeout)."
    )
    assert run.log[3:] == [
        f"Pod {task.pod} does not start yet: {NO_NODE}",
        "The task fails (PodLaunchTimeoutException). Its pod is now deleted or kept.",
        f"Deleting pod: {task.pod}",
    ]
    assert (run.requests[-1], fake_cluster.pods) == ("DELETE POD", {})
    assert 100 <= fake_cluster.now <= 102


@pytest.mark.parametrize("action", ["delete_pod", "keep_pod"])
def test_pod_that_does_not_start_on_its_node_is_deleted(action: str, fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(never_starts="ContainerCreating")
    task = start_task(startup_timeout_seconds=30, on_finish_action=action)
    run = task.run()
    assert run.outcome == (
        f"PodLaunchTimeoutException: Pod {task.pod} did not start within 30 s (startup_timeout_seconds). Kubernetes "
        "does not say why."
    )
    assert (run.requests[-1], fake_cluster.pods) == ("DELETE POD", {})
    assert 30 <= fake_cluster.now <= 32


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("InvalidImageName", 'The image name "busybox:1.35" is not valid (InvalidImageName).'),
        ("ErrImageNeverPull", "The image busybox:1.35 is not on the node, and its pull policy is Never ("),
    ],
)
def test_image_that_can_never_be_pulled_fails_the_task(
    reason: str, cause: str, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = Program(never_starts=reason)
    task = start_task()
    run = task.run()
    assert run.outcome.startswith(f"PodLaunchFailedException: {cause}"), run.outcome
    assert (run.requests[-1], fake_cluster.pods, fake_cluster.now < 5) == ("DELETE POD", {}, True)


@pytest.mark.parametrize("grace_s", [0, 60, 120])
def test_unknown_problem_with_an_image_fails_the_task_after_the_grace(
    grace_s: int, fake_cluster: Cluster, start_task: StartTask, publish: Publish
):
    publish(alpha={"policy": {**TEAM["policy"], "missingObjectTimeout": grace_s}})
    fake_cluster.programs["base"] = Program(never_starts="ErrImagePull")
    task = start_task()
    run = task.run()
    cause = (
        "The image busybox:1.35 cannot be pulled (ErrImagePull). Correct image, or ask the platform team about its "
        "registry. [KPO-IMG100: docs/troubleshooting.md#kpo-img100]"
    )
    assert run.outcome == f"PodLaunchFailedException: {cause} Pod: {task.pod}."
    assert f"Pod {task.pod} does not start yet: {cause}" in run.log
    assert (fake_cluster.pods, grace_s <= fake_cluster.now < grace_s + 5) == ({}, True)


@pytest.mark.parametrize(
    "reason",
    ["OutOfcpu", "OutOfmemory", "OutOfpods", "UnexpectedAdmissionError", "NodeAffinity", "Preempting"],
)
def test_pod_that_the_kubelet_refuses_is_replaced_without_a_retry(
    reason: str, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.prepare = lambda pod: setattr(pod, "refusal", reason if fake_cluster.created == 1 else "")
    task = start_task()
    runs = task.run_to_end()
    assert [run.outcome for run in runs] == ["rescheduled", None]
    second = task.pod_name(1)
    assert fake_cluster.ledger == [f"{second} started", f"{second} finished with 0"]
    assert runs[0].log[-1].endswith("The task restarts (1 of 3) without using a retry.")


def test_name_and_no_suffix_keep_their_stock_meaning(fake_cluster: Cluster, start_task: StartTask):
    seen: list[str] = []
    fake_cluster.prepare = lambda pod: seen.append(pod.name)
    for arguments in ({"name": "load"}, {"name": "load", "random_name_suffix": False}, {}):
        start_task(**arguments).run()
    start = start_task().pod.removeprefix("t-")
    assert seen == [f"load-{start}", "load", f"t-{start}"]


def test_task_with_a_fixed_name_restarts_after_a_disruption(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.prepare = lambda pod: setattr(pod, "refusal", "OutOfcpu" if fake_cluster.created == 1 else "")
    task = start_task(name="load", random_name_suffix=False)
    runs = task.run_to_end()
    assert [run.outcome for run in runs] == ["rescheduled", None]
