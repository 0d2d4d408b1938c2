"""A process of a task that is killed after any of its steps: its successors lose and double no work."""

from __future__ import annotations

from typing import Any

import pytest

from unit.support.cluster_server import Cluster
from unit.support.fake_kubelet import Program
from unit.support.task_ends import EXIT_3, UNSEEN_EXIT_3
from unit.support.task_process import Killed, StartTask, Task

CASES: dict[str, tuple[dict[str, Any], Program, Any]] = {
    "result": ({"do_xcom_push": True}, Program(), {"rows": 3}),
    "message": ({"xcom": "message"}, Program(), {"rows": 3}),
    "no-result": ({}, Program(), None),
    "failure": (
        {},
        Program(code=3),
        EXIT_3,
    ),
    "skip": (
        {"skip_on_exit_code": 99},
        Program(code=99),
        "AirflowSkipException: Pod POD returned exit code 99. Skipping.",
    ),
}
PAUSES_S = {"at once": 0, "while the pod runs": 2, "after its end": 60}
"""When the successor of a killed process starts."""

End = tuple[Any, list[str], list[str]]


@pytest.fixture(params=["keep_pod", "delete_pod"])
def action(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def kill_after(step: int, task: Task) -> None:
    task.steps.kill_after = step
    assert isinstance(task.run().error, Killed)
    task.steps.kill_after = 0


def clear(cluster: Cluster) -> None:
    cluster.pods.clear()
    cluster.ledger.clear()


def describe_end(task: Task, outcome: Any, pod: str) -> End:
    """Return the task's outcome, what its programs did, and the pods that are left."""
    task.cluster.sleep(60)
    text = outcome.replace(pod, "POD") if isinstance(outcome, str) else outcome
    text = EXIT_3 if text == UNSEEN_EXIT_3 else text  # a process that finds the stored end does not know the log
    return text, [line.replace(pod, "POD") for line in task.cluster.ledger], [*task.cluster.pods]


def expect(outcome: Any, code: int | None, action: str, pod: str) -> End:
    return outcome, ["POD started", f"POD finished with {code}"], [pod] if action == "keep_pod" else []


@pytest.mark.parametrize("pause", PAUSES_S)
@pytest.mark.parametrize("case", CASES)
def test_task_killed_after_any_step_does_its_work_once(
    case: str, action: str, pause: str, fake_cluster: Cluster, start_task: StartTask
):
    arguments, program, outcome = CASES[case]
    fake_cluster.programs["base"] = program
    first = start_task(on_finish_action=action, **arguments)
    first.run()
    seen = {}
    for step in range(1, first.steps.count + 1):
        clear(fake_cluster)
        task = start_task(on_finish_action=action, **arguments)
        kill_after(step, task)
        fake_cluster.sleep(PAUSES_S[pause])
        seen[step] = describe_end(task, task.run().outcome, first.pod)
    assert len(seen) >= 8
    assert seen == dict.fromkeys(seen, expect(outcome, program.code, action, first.pod))


@pytest.mark.parametrize("pause", PAUSES_S)
@pytest.mark.parametrize("case", ["result", "no-result"])
def test_retry_of_a_killed_try_takes_its_success(
    case: str, action: str, pause: str, fake_cluster: Cluster, start_task: StartTask
):
    arguments, program, outcome = CASES[case]
    first = start_task(on_finish_action=action, **arguments)
    first.run()
    seen = {}
    for step in range(1, first.steps.count + 1):
        clear(fake_cluster)
        task = start_task(on_finish_action=action, **arguments)
        kill_after(step, task)
        has_pod = bool(fake_cluster.pods) or bool(fake_cluster.ledger)
        fake_cluster.sleep(PAUSES_S[pause])
        run, pod = task.retry(), first.pod if has_pod else task.pod_name()
        assert (pod == first.pod) is (step > 1)
        seen[step] = describe_end(task, run.outcome, pod)[:2]
    assert seen == dict.fromkeys(seen, expect(outcome, program.code, action, first.pod)[:2])


@pytest.mark.parametrize("case", ["result", "failure"])
def test_task_killed_twice_after_any_steps_does_its_work_once(case: str, fake_cluster: Cluster, start_task: StartTask):
    (arguments, program, outcome), action = CASES[case], "delete_pod"
    fake_cluster.programs["base"] = program
    first = start_task(on_finish_action=action, **arguments)
    first.run()
    seen: dict[tuple[int, int], End] = {}
    for step in range(1, first.steps.count + 1):
        second = 0
        while True:
            second += 1
            clear(fake_cluster)
            task = start_task(on_finish_action=action, **arguments)
            kill_after(step, task)
            task.steps.kill_after = second
            if not isinstance(task.run().error, Killed):
                break
            task.steps.kill_after = 0
            seen[step, second] = describe_end(task, task.run().outcome, first.pod)
    assert len(seen) >= 40
    assert seen == dict.fromkeys(seen, expect(outcome, program.code, action, first.pod))
