"""A result that is a termination message: read from the pod's status, whole or not at all, after exit code 0 only."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kpo_platform.pod.message_result import RESULT_FILE
from unit.support.cluster_server import Cluster
from unit.support.fake_kubelet import FakePod, Program
from unit.support.task_ends import EXIT_3, build_callback, tell
from unit.support.task_process import Killed, StartTask, Task

ONCE = 2
"""Lines of the ledger, in which a program starts and ends."""

TOO_LARGE = (
    "AirflowFailException: The program succeeded, but its result is larger than the {} bytes that its pod can report. "
    'Set xcom="sidecar", or write it to a volume or to object storage and return its path. [KPO-RES103: '
    "docs/troubleshooting.md#kpo-res103] The task is not tried again, because its work is done. Pod: POD."
)
SIZES = [(4094, "4,095", True), (4095, "4,095", True), (4096, "4,095", False), (4097, "4,095", False)]
OF_FOUR = [(3071, "3,071", True), (3072, "3,071", False), (9000, "3,071", False)]
THREE_MORE = {"spec": {"containers": [{"name": f"c{number}", "image": "a:1"} for number in range(3)]}}


def write(cluster: Cluster, content: bytes, code: int = 0) -> None:
    """Let the program write this content into the file with its result."""
    cluster.programs["base"] = Program(code=code, result=content)


def build_result(size: int) -> bytes:
    return json.dumps("x" * (size - 2)).encode()


def test_result_costs_no_request(fake_cluster: Cluster, start_task: StartTask):
    without, task = start_task().run(), start_task(xcom=True)
    run = task.run()
    assert (run.outcome, run.requests, fake_cluster.pods) == ({"rows": 3}, without.requests, {})
    assert [line for line in run.log if "bytes" in line] == ["The result has 11 bytes."]


def test_size_of_a_result_in_the_sidecar_is_logged(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.result = '"ü"'
    assert [line for line in start_task(xcom="sidecar").run().log if "bytes" in line] == ["The result has 4 bytes."]


@pytest.mark.parametrize(
    ("size", "most", "is_whole", "arguments"),
    [*((*case, {}) for case in SIZES), *((*case, {"pod_override": THREE_MORE}) for case in OF_FOUR)],
)
def test_result_is_whole_or_fails_the_task(
    size: int, most: str, is_whole: bool, arguments: dict[str, Any], fake_cluster: Cluster, start_task: StartTask
):
    content = build_result(size)
    write(fake_cluster, content)
    task = start_task(xcom=True, **arguments)
    outcome = tell(task, task.run())
    assert outcome == (json.loads(content) if is_whole else TOO_LARGE.format(most))
    assert (len(fake_cluster.ledger), fake_cluster.pods, "return_value" in task.xcoms) == (ONCE, {}, False)


def test_result_that_is_cut_within_a_character_fails_the_task(fake_cluster: Cluster, start_task: StartTask):
    write(fake_cluster, json.dumps("ü" * 2047, ensure_ascii=False).encode() + b" ")  # its end is cut, not the quote
    task = start_task(xcom=True)
    assert tell(task, task.run()) == TOO_LARGE.format("4,095")


@pytest.mark.parametrize("act", [Task.run, Task.retry])
def test_result_that_is_too_large_does_no_work_again(act: Any, fake_cluster: Cluster, start_task: StartTask):
    write(fake_cluster, build_result(5000))
    task = start_task(xcom=True)
    first = task.run()
    assert (str(act(task).outcome), len(fake_cluster.ledger)) == (first.outcome, ONCE)


def test_empty_file_is_no_result(fake_cluster: Cluster, start_task: StartTask):
    write(fake_cluster, b"")
    run = start_task(xcom=True).run()
    assert (run.outcome, [line for line in run.log if "result" in line or "return" in line]) == (
        None,
        [
            "The result has 0 bytes.",
            "warning: The program succeeded, but its result is empty: /airflow/xcom/return.json does not exist or has "
            "no content. Write JSON to /airflow/xcom/return.json directly; or leave out xcom if the task has no "
            "result. [KPO-RES101: docs/troubleshooting.md#kpo-res101]",
            "xcom result file is empty.",
        ],
    )


def test_result_that_is_not_json_fails_the_task(fake_cluster: Cluster, start_task: StartTask):
    write(fake_cluster, b"{'rows': 3}")
    task = start_task(xcom=True)
    assert tell(task, task.run()) == (
        "AirflowException: The program succeeded, but its result is not JSON (line 1, column 2: Expecting property "
        "name enclosed in double quotes); it begins with \"{'rows': 3}\". This is Python's notation: write it with "
        "json.dump. [KPO-RES102: docs/troubleshooting.md#kpo-res102] Pod: POD."
    )


@pytest.mark.parametrize("arguments", [{}, {"skip_on_exit_code": 3}], ids=["failed", "skipped"])
def test_part_of_a_result_is_neither_result_nor_cause(
    arguments: dict[str, Any], fake_cluster: Cluster, start_task: StartTask
):
    write(fake_cluster, b'{"secret": 1}', code=3)
    task = start_task(xcom=True, **arguments)
    run = task.run()
    skipped = "AirflowSkipException: Pod POD returned exit code 3. Skipping."
    assert tell(task, run) == (skipped if arguments else EXIT_3)
    assert ([line for line in run.log if "secret" in line], "return_value" in task.xcoms) == ([], False)
    assert task.store.values["kpo_platform_end"]["result"] is None  # type: ignore[union-attr]


def test_pod_in_the_error_has_no_part_of_a_result(fake_cluster: Cluster, start_task: StartTask):
    write(fake_cluster, b'{"rows": 4321}', code=3)
    run = start_task(xcom=True, log_pod_spec_on_failure=True).run()
    assert ("remote_pod: {" in run.outcome, "'exit_code': 3" in run.outcome) == (True, True)
    assert ("4321" in run.outcome, [line for line in run.log if "4321" in line]) == (False, [])


# The pod of a former process


def start_killed_task(start_task: StartTask, xcom: str | None) -> Task:
    """Start a task whose process is killed while its pod runs."""

    def call(name: str, arguments: dict[str, Any]) -> None:
        if name == "on_pod_starting":
            raise Killed

    task = start_task(xcom=xcom, callbacks=build_callback(call))
    assert isinstance(task.run().error, Killed)
    del task.arguments["callbacks"]
    return task


@pytest.mark.parametrize(("before", "after"), [("sidecar", "message"), ("message", "sidecar")])
def test_pod_decides_how_its_result_is_read(before: str, after: str, fake_cluster: Cluster, start_task: StartTask):
    task = start_killed_task(start_task, before)
    task.arguments["xcom"] = after
    assert (task.run().outcome, len(fake_cluster.ledger), fake_cluster.pods) == ({"rows": 3}, ONCE, {})


@pytest.mark.parametrize("after", ["message", "sidecar"])
def test_pod_that_was_created_without_a_result_has_none(after: str, fake_cluster: Cluster, start_task: StartTask):
    task = start_killed_task(start_task, None)
    task.arguments["xcom"] = after
    run = task.run()
    assert (run.outcome, len(fake_cluster.ledger), fake_cluster.pods) == (None, ONCE, {})
    assert [line for line in run.log if "result" in line] == [
        f"warning: The task has no result: pod {task.pod}, which an earlier process of this task created, was created "
        "without one."
    ]


def move_message(pod: FakePod) -> None:
    """Change the pod as a webhook may that sets the default path."""
    pod.spec["containers"][0]["terminationMessagePath"] = "/dev/termination-log"


def remove_sidecar(pod: FakePod) -> None:
    """Change the pod as a webhook may that admits only known images."""
    pod.spec["containers"], pod.mains = pod.spec["containers"][:1], pod.mains[:1]


CHANGED = {
    "message": (
        move_message,
        "terminationMessagePath of its container 'base' is '/dev/termination-log', but the result requires "
        "'/airflow/xcom/return.json'",
        "sidecar",
    ),
    "sidecar": (remove_sidecar, "it has no container airflow-xcom-sidecar", "message"),
}


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize("mode", CHANGED)
def test_pod_that_was_changed_at_its_creation_ends_before_its_work(
    mode: str, deferrable: bool, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.prepare, missing, other = CHANGED[mode]
    task = start_task(xcom=mode, deferrable=deferrable)
    assert tell(task, task.run()) == (
        f"AirflowFailException: Pod POD cannot give out the task's result: {missing}. Something has changed the pod at "
        "its creation, such as a webhook of the cluster. The task is not tried again, because another pod would be "
        f'changed as well. Ask the platform team to exempt the team\'s pods from the change, or set xcom="{other}". '
        "[KPO-RES110: docs/troubleshooting.md#kpo-res110]"
    )
    assert (fake_cluster.ledger, fake_cluster.pods) == ([], {})


def test_failed_program_with_a_sidecar_pushes_no_message(fake_cluster: Cluster, start_task: StartTask):
    """The pod is of a version that did not refuse the path."""
    write(fake_cluster, b"1" * 4200, code=3)
    task = start_killed_task(start_task, "sidecar")
    (pod,) = fake_cluster.pods.values()
    pod.spec["containers"][0]["terminationMessagePath"] = RESULT_FILE
    pod.container("base").message_share = len(pod.mains)
    assert (tell(task, task.run()), task.xcoms["return_value"]) == (EXIT_3, {"rows": 3})


def test_kept_pod_gives_its_result_to_the_next_process(fake_cluster: Cluster, start_task: StartTask):
    """A pod with a message has ended when its result is read; nothing in it waits for that."""
    task = start_killed_task(start_task, "message")
    fake_cluster.sleep(3600)
    assert [pod.phase for pod in fake_cluster.pods.values()] == ["Succeeded"]
    assert (task.run().outcome, fake_cluster.pods) == ({"rows": 3}, {})


def test_pod_that_is_deleted_after_its_end_still_gives_its_result(fake_cluster: Cluster, start_task: StartTask):
    def delete() -> None:
        for pod in fake_cluster.pods.values():
            pod.is_gone = pod.has_ended

    fake_cluster.on_tick = delete
    assert start_task(xcom=True).run().outcome == {"rows": 3}
