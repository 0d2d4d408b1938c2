"""A run of TeamPodOperator in one process: what it asks, writes, returns and leaves."""

from __future__ import annotations

from typing import Any

import pytest

from unit.support.cluster_server import Cluster
from unit.support.contracts import TEAM
from unit.support.fake_kubelet import IDLE, Program
from unit.support.published_contract import Publish
from unit.support.task_ends import EXIT_3
from unit.support.task_process import STARTED, StartTask

BUILT = (
    "Building pod t with labels: {'dag_id': 'd', 'task_id': 't', 'run_id': 'r', "
    "'kubernetes_pod_operator': 'True', 'try_number': '1'}"
)
OUTSIDE = "warning: TeamPodOperator.execute cannot be called outside of the Task Runner!"


def describe_created(pod: str) -> str:
    return f"Pod {pod} was created in namespace team-alpha."


def test_first_start_sends_a_creation_a_watch_and_a_deletion(fake_cluster: Cluster, start_task: StartTask):
    task = start_task()
    run = task.run()
    assert run.requests == ["POST pods", "WATCH POD", "DELETE POD"]
    assert (len(fake_cluster.requests), len(fake_cluster.log_queries)) == (3, 2)
    assert run.log == [OUTSIDE, BUILT, describe_created(task.pod), "[base] hello", f"Deleting pod: {task.pod}"]
    assert (run.outcome, fake_cluster.pods, task.xcoms) == (
        None,
        {},
        {"pod_name": task.pod, "pod_namespace": "team-alpha"},
    )
    start = {"name": task.pod, "namespace": "team-alpha", "uid": "uid-1", "start": task.pod.removeprefix("t-")}
    of_try, stopped = {"task_instance_id": "ti-1", "max_tries": 1}, {"is_stopped": False}
    end = {"uid": "uid-1", "kind": "succeeded", "exit_code": 0, "message": "", "result": None}
    assert task.store.values == {
        "kpo_platform_start": {**start, **of_try, "try_number": 1, "restart": 0, "retries": 0, **stopped},
        "kpo_platform_end": {**end, **of_try, "try_number": 1, "is_result_lost": False, "is_left": False},
    }


def test_start_of_the_program_is_logged_once_with_the_stock_operators_words(
    fake_cluster: Cluster, start_task: StartTask
):
    task = start_task()
    task.run()
    assert task.log.lines[3:] == [STARTED, "[base] hello", f"Deleting pod: {task.pod}"]


def describe_kept(name: str) -> str:
    kubectl = "kubectl -n team-alpha"
    return (
        f"Pod {name} is kept in namespace team-alpha. Inspect it with `{kubectl} logs {name} -c base` and "
        f"`{kubectl} describe pod {name}`. Delete it with `{kubectl} delete pod {name}`."
    )


MARK = "PATCH POD already_checked=True"
END = f"{MARK} activeDeadlineSeconds=1"


@pytest.mark.parametrize(
    ("program", "arguments", "outcome"),
    [
        (Program(code=3), {}, EXIT_3),
        (
            Program(code=137, reason="OOMKilled"),
            {},
            'AirflowException: The program ran out of memory: container "base" was killed at its limit of 128Mi '
            '(OOMKilled). Set size="large" (1Gi), or use less. [KPO-END101: docs/troubleshooting.md#kpo-end101] Pod: '
            "POD.",
        ),
        (Program(code=99), {"skip_on_exit_code": 99}, "AirflowSkipException: Pod POD returned exit code 99. Skipping."),
        (
            Program(code=99),
            {"skip_on_exit_code": [1, 99]},
            "AirflowSkipException: Pod POD returned exit code 99. Skipping.",
        ),
        (
            Program(code=2),
            {"skip_on_exit_code": 99},
            EXIT_3.replace("code 3", "code 2"),
        ),
    ],
)
def test_exit_code_decides(
    program: Program, arguments: dict[str, Any], outcome: str, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = program
    task = start_task(log_events_on_failure=False, **arguments)
    run = task.run()
    assert run.outcome.replace(task.pod, "POD") == outcome
    assert run.log == [OUTSIDE, BUILT, describe_created(task.pod), "[base] hello", f"Deleting pod: {task.pod}"]
    reads = [] if run.outcome.startswith("AirflowSkip") else ["GET events"]
    assert run.requests == ["POST pods", "WATCH POD", *reads, "DELETE POD"]


DISPOSALS = [
    # on_finish_action, policy.onFailure, exit code, the last requests
    ("keep_pod", None, 0, [MARK]),
    ("delete_pod", None, 0, ["DELETE POD"]),
    ("delete_succeeded_pod", None, 0, ["DELETE POD"]),
    ("delete_active_pod", None, 0, [MARK]),
    ("keep_pod", None, 3, [MARK]),
    ("delete_pod", None, 3, ["DELETE POD"]),
    ("delete_succeeded_pod", None, 3, [MARK]),
    ("delete_active_pod", None, 3, [MARK]),
    ("delete_pod", "keep", 3, ["DELETE POD"]),
    (None, "keep", 3, [MARK]),
    (None, "keep", 0, ["DELETE POD"]),
    (None, "delete", 3, ["DELETE POD"]),
]


@pytest.mark.parametrize(("action", "policy", "code", "requests"), DISPOSALS)
def test_task_or_else_team_decides_what_is_left(
    action: str | None,
    policy: str | None,
    code: int,
    requests: list[str],
    fake_cluster: Cluster,
    start_task: StartTask,
    publish: Publish,
):
    if policy:
        publish(alpha={"policy": {**TEAM["policy"], "onFailure": policy}})
    fake_cluster.programs["base"] = Program(code=code)
    task = start_task(log_events_on_failure=False, **({"on_finish_action": action} if action else {}))
    run = task.run()
    assert run.requests == ["POST pods", "WATCH POD", *(["GET events"] if code else []), *requests]
    line = describe_kept(task.pod) if requests == [MARK] else f"Deleting pod: {task.pod}"
    assert (run.log[-1], [*fake_cluster.pods]) == (line, [task.pod] if requests == [MARK] else [])


@pytest.mark.parametrize("code", [0, 3])
@pytest.mark.parametrize("action", ["keep_pod", "delete_pod"])
def test_sidecar_that_never_ends_does_not_hold_the_task(
    action: str, code: int, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs |= {"base": Program(code=code), "agent": IDLE}
    spec = {"spec": {"containers": [{"name": "agent", "image": "agent:1"}]}}
    task = start_task(on_finish_action=action, pod_override=spec, log_events_on_failure=False)
    run = task.run()
    fake_cluster.sleep(60)
    assert (str(run.outcome).startswith("AirflowException"), fake_cluster.ledger[1:]) == (
        bool(code),
        [f"{task.pod} finished with {code}"],
    )
    left = [(pod.phase, pod.container("agent").is_running) for pod in fake_cluster.pods.values()]
    if action == "keep_pod":
        assert (run.requests[-1], left) == (END, [("Failed", False)])
    else:
        assert (run.requests[-1], left) == ("DELETE POD", [])


def test_kept_pod_with_a_result_stays_successful(fake_cluster: Cluster, start_task: StartTask):
    task = start_task(do_xcom_push=True, on_finish_action="keep_pod")
    run = task.run()
    fake_cluster.sleep(60)
    assert (run.outcome, run.requests) == ({"rows": 3}, ["POST pods", "WATCH POD", MARK])
    assert [pod.phase for pod in fake_cluster.pods.values()] == ["Succeeded"]


@pytest.mark.parametrize(("text", "result"), [("__airflow_xcom_result_empty__\n", None), ("[1, 2]", [1, 2])])
def test_result_is_what_the_program_wrote(text: str, result: Any, fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.result = text
    assert start_task(do_xcom_push=True).run().outcome == result


def test_log_of_init_containers_comes_first_and_while_they_run(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["fetch"] = Program(lines=(b"fetching",), runs_s=5)
    init = [{"name": "fetch", "image": "fetch:1"}]
    task = start_task(pod_override={"spec": {"initContainers": init}}, init_container_logs=True)
    run = task.run()
    first = [OUTSIDE, BUILT, describe_created(task.pod)]
    assert run.log == [*first, "[fetch] fetching", "[base] hello", f"Deleting pod: {task.pod}"]
    assert run.outcome is None


def test_failed_init_container_is_named(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["fetch"] = Program(code=4)
    task = start_task(pod_override={"spec": {"initContainers": [{"name": "fetch", "image": "fetch:1"}]}})
    run = task.run()
    assert run.outcome == (
        'AirflowException: Init container "fetch" failed with exit code 4, so the program did not start. '
        f"Correct init_containers; its log tells more: kubectl -n team-alpha logs {task.pod} -c fetch [KPO-STA126: "
        f"docs/troubleshooting.md#kpo-sta126] Pod: {task.pod}."
    )
    assert fake_cluster.ledger == []


def test_native_sidecar_is_ended_by_the_kubelet(fake_cluster: Cluster, start_task: StartTask):
    init = [{"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}]
    task = start_task(pod_override={"spec": {"initContainers": init}}, on_finish_action="keep_pod")
    run = task.run()
    assert (run.outcome, run.requests[-1]) == (None, MARK)


@pytest.mark.parametrize("is_wanted", [True, False])
def test_events_and_containers_are_logged_after_a_failure_if_wanted(
    is_wanted: bool, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs |= {"base": Program(code=3), "slow": Program(runs_s=10, lines=())}
    spec = {"spec": {"initContainers": [{"name": "slow", "image": "slow:1"}]}}
    task = start_task(log_events_on_failure=is_wanted, pod_override=spec)
    fake_cluster.events = [
        {"metadata": {"uid": "e-1"}, "type": "Normal", "reason": "Started", "message": "Started container base"},
        {"metadata": {"uid": "e-2"}, "type": "Warning", "reason": "BackOff", "message": "Back-off"},
    ]
    at_start = ["The Pod has an Event: Started container base from None", "The Pod has an Event: Back-off from None"]
    details = [
        "Pod phase: Failed, reason: None",
        "error: Container 'base': state='TERMINATED', reason='Error', exit_code=3, message=''",
        "Container 'slow': state='TERMINATED', reason='Completed', exit_code=0, message=''",
        "Pod Event: Started - Started container base",
        "warning: Pod Event: BackOff - Back-off",
    ]
    first = [OUTSIDE, BUILT, describe_created(task.pod), *at_start, "[base] hello"]
    expected = [*first, *(details if is_wanted else []), f"Deleting pod: {task.pod}"]
    assert task.run().log == expected


def test_pod_is_shown_on_failure_if_wanted(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(code=3)
    task = start_task(log_pod_spec_on_failure=True)
    run = task.run()
    first, second = run.outcome.split("\n")[:2]
    assert (first, second) == (EXIT_3.replace("POD", task.pod), "remote_pod: {'api_version': 'v1',")


def test_program_output_that_is_no_utf8_is_shown_escaped(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs["base"] = Program(lines=(b"caf\xe9", b"WARNING low"))
    assert start_task().run().log[3:5] == ["[base] caf\\xe9", "warning: [base] WARNING low"]


def test_no_log_is_read_without_get_logs(fake_cluster: Cluster, start_task: StartTask):
    assert (start_task(get_logs=False).run().outcome, fake_cluster.log_queries) == (None, [])


def test_log_does_not_depend_on_the_workers_clock(fake_cluster: Cluster, start_task: StartTask):
    # The cluster's clock is at the beginning of 2026; no read says a time of the worker.
    fake_cluster.programs["base"] = Program(lines=tuple(b"%d" % number for number in range(500)), runs_s=3)
    run = start_task().run()
    assert run.log[3:-1] == [f"[base] {number}" for number in range(500)]
    assert not any("sinceSeconds" in query for query in fake_cluster.log_queries)


def test_on_finish_action_overrides_the_teams_failure_policy(publish: Publish):
    publish(gamma={"policy": {**TEAM["policy"], "onFailure": "keep"}})
    from kpo_platform import TeamPodOperator

    default = TeamPodOperator(task_id="a", team="gamma", image="b:1")
    explicit = TeamPodOperator(task_id="b", team="gamma", image="b:1", on_finish_action="delete_pod")
    assert (default.on_failure, explicit.on_failure) == ("keep", "")
