"""The result of a success is not lost while it can be read, and its read does not hide how a program ended."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from kubernetes.client import ApiException

from kpo_platform import TeamPodOperator
from kpo_platform.airflow.api_errors import ApiRefusal
from kpo_platform.airflow.operators.lifecycle.pod_manager import CommandFailed
from unit.support.cluster_server import Cluster, Rule
from unit.support.fake_kubelet import XCOM_SIDECAR, Program
from unit.support.task_ends import EXIT_3, build_callback, run_until, start_last_try, tell
from unit.support.task_process import StartTask

ONCE = 2
"""Lines of the ledger, in which a program starts and ends."""

SKIP_3 = "AirflowSkipException: Pod POD returned exit code 3. Skipping."
TIMEOUT = "AirflowTaskTimeout: Timeout, PID: 1"
FORBIDDEN = 'pods "t" is forbidden: User "airflow" cannot create resource "pods/exec" in the namespace "team-alpha"'


def refuse_exec(status: int, message: str = "") -> ApiException:
    """Build a refusal of the API server, or of a proxy before it if there is no message."""
    error = ApiRefusal(status=status, reason="the command was refused")
    error.body = json.dumps({"kind": "Status", "message": message}) if message else "404 page not found"
    return error


def fail_until(cluster: Cluster, end: float, error: Exception, later: tuple[float, Exception] | None = None) -> None:
    """Let every read of the result fail until a time, and then with another error until a later one."""
    failures = [(end, error)] + ([later] if later else [])

    def fail(request: Any) -> None:
        for end, error in failures:
            if cluster.now < end:
                raise error

    cluster.rules.append(Rule("exec", fail, times=10_000))


REFUSALS = {
    "account is not known yet": refuse_exec(401, "Unauthorized"),
    "roles are not read yet": refuse_exec(403, FORBIDDEN),
    "admission is not ready": refuse_exec(403, 'pods "t" is forbidden: not yet ready to handle request'),
    "proxy without a server": refuse_exec(404),
    "node is deleted": refuse_exec(404, 'nodes "n" not found'),
    "sidecar is being killed": CommandFailed("command terminated with exit code 137"),
}


RIGHTS = "Give the task's connection this right."
LASTING = [
    (refuse_exec(403, FORBIDDEN), f"HTTP 403, {FORBIDDEN}. {RIGHTS}"),
    (CommandFailed("exit code 137"), "exit code 137. The command failed in container airflow-xcom-sidecar."),
]


@pytest.mark.parametrize("error", REFUSALS.values(), ids=REFUSALS)
def test_refusal_for_half_a_minute_does_not_lose_a_success(
    error: Exception, fake_cluster: Cluster, start_task: StartTask
):
    fail_until(fake_cluster, 30, error)
    run = start_task(do_xcom_push=True).run()
    assert (run.outcome, len(fake_cluster.ledger), fake_cluster.pods) == ({"rows": 3}, ONCE, {})
    assert sum("It is tried again." in line for line in run.log) == 1


@pytest.mark.parametrize(("error", "why"), LASTING, ids=["refused", "failed"])
def test_refusal_for_more_than_a_minute_is_told(
    error: Exception, why: str, fake_cluster: Cluster, start_task: StartTask
):
    fail_until(fake_cluster, 1000, error)
    run = start_task(do_xcom_push=True).run()
    assert (60 <= fake_cluster.now <= 70, fake_cluster.pods) == (True, {})
    assert re.search(rf"{re.escape(why)} A retry does the work again\. \[KPO-RES10[09]: ", str(run.outcome))


def test_minute_of_refusals_begins_when_the_connection_is_back(fake_cluster: Cluster, start_task: StartTask):
    away = ApiException(status=503, reason="Service Unavailable")
    fail_until(fake_cluster, 55, away, later=(100, REFUSALS["roles are not read yet"]))
    assert start_task(do_xcom_push=True).run().outcome == {"rows": 3}


def test_success_whose_sidecar_is_killed_during_the_read_is_not_repeated(fake_cluster: Cluster, start_task: StartTask):
    """The kubelet reports the end of the sidecar some seconds after the command has failed."""
    fail_until(fake_cluster, 1000, REFUSALS["sidecar is being killed"])
    task = start_task(do_xcom_push=True)

    def end_sidecar() -> None:
        if fake_cluster.now >= 8:
            fake_cluster.end_sidecar(task.pod)

    fake_cluster.on_tick = end_sidecar
    run = task.run()
    assert tell(task, run) == (
        "AirflowFailException: The program succeeded, but pod POD lost its container airflow-xcom-sidecar before its "
        "result was read. The task is not tried again, because its work is done. [KPO-RES108: "
        "docs/troubleshooting.md#kpo-res108]"
    )


def test_sidecar_that_does_not_start_leaves_the_pod_to_the_next_try(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.programs[XCOM_SIDECAR] = Program(code=None, never_starts="ContainerCreating")
    task = start_task(do_xcom_push=True)
    run, first = task.run(), task.pod
    assert (type(run.error).__name__, str(run.error), [*fake_cluster.pods]) == (
        "ResultUnreadable",
        f"Cannot read the result of pod {first}, whose program succeeded: container airflow-xcom-sidecar did not start "
        "within 900 s. The pod is not deleted. Check the pod's events and the image of its container "
        "airflow-xcom-sidecar. A retry of the task takes the result.",
        [first],
    )
    fake_cluster.pods[first].container(XCOM_SIDECAR).program = Program(code=None, lines=())
    assert (task.retry().outcome, len(fake_cluster.ledger), fake_cluster.pods) == ({"rows": 3}, ONCE, {})


# execution_timeout


def hang(cluster: Cluster) -> None:
    """Let the read of the result take an hour."""
    cluster.rules.append(Rule("exec", lambda request: cluster.sleep(3600)))


@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize(("arguments", "outcome"), [({}, EXIT_3), ({"skip_on_exit_code": 3}, SKIP_3)])
def test_execution_timeout_during_the_read_does_not_hide_an_exit_code(
    arguments: dict[str, Any], outcome: str, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = Program(code=3)
    hang(fake_cluster)
    task = start_task(do_xcom_push=True, **arguments)
    run = run_until(10, task)
    assert (tell(task, run), fake_cluster.pods, "return_value" in task.xcoms) == (outcome, {}, False)
    said = "execution_timeout has ended the read of the result; the program had ended before."
    assert (f"warning: {said}" in run.log, "[base] hello" in run.log) == (True, True)
    assert task.store.values["kpo_platform_end"]["exit_code"] == 3  # type: ignore[union-attr]


@pytest.mark.usefixtures("alarm")
def test_execution_timeout_during_the_read_leaves_a_success_to_the_next_try(
    fake_cluster: Cluster, start_task: StartTask
):
    hang(fake_cluster)
    task = start_task(do_xcom_push=True)
    assert run_until(10, task).outcome == TIMEOUT
    fake_cluster.on_tick = lambda: None
    assert (task.retry().outcome, len(fake_cluster.ledger), fake_cluster.pods) == ({"rows": 3}, ONCE, {})


def hang_in(cluster: Cluster, wanted: str) -> Any:
    """Build callbacks of which one takes an hour."""

    def call(name: str, arguments: dict[str, Any]) -> None:
        if name == wanted:
            cluster.sleep(3600)

    return build_callback(call)


@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize("name", ["on_pod_completion", "on_pod_teardown", "on_pod_cleanup"])
@pytest.mark.parametrize(("arguments", "outcome"), [({}, EXIT_3), ({"skip_on_exit_code": 3}, SKIP_3)])
def test_execution_timeout_in_a_callback_does_not_hide_an_exit_code(
    name: str, arguments: dict[str, Any], outcome: str, fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = Program(code=3)
    task = start_task(callbacks=hang_in(fake_cluster, name), **arguments)
    run = run_until(10, task)
    assert (tell(task, run), fake_cluster.pods) == (outcome, {})
    assert any("execution_timeout has ended the author's callbacks" in line for line in run.log)


@pytest.mark.parametrize("xcom", ["message", "sidecar"])
def test_exit_of_a_subclass_while_it_reads_the_result_ends_the_pod(
    xcom: str, fake_cluster: Cluster, start_task: StartTask
):
    class Reading(TeamPodOperator):
        def extract_xcom(self, pod: Any) -> Any:
            raise SystemExit(1)

    task = start_last_try(start_task, xcom=xcom)
    task.operator_class = Reading
    run = task.run()
    fake_cluster.sleep(5)
    assert (run.outcome, fake_cluster.pods) == ("AirflowException: The task's extract_xcom failed: SystemExit: 1", {})
