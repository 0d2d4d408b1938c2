"""platformctl run: create the pod that render shows with the user's kubeconfig, and delete it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kpo_platform.pod.identity import START_LABEL
from unit.support.http_server import Answer, Request, Server, serving, status
from unit.support.platformctl import CommandResult, Platformctl
from unit.support.pod_comparison import remove_empty
from unit.support.pod_server import PODS, Pods, interrupt_at
from unit.support.sample_run import write_sample


@pytest.fixture
def pods() -> Pods:
    return Pods()


@pytest.fixture
def server(pods: Pods) -> Iterator[Server]:
    with serving(pods) as server:
        yield server


@pytest.fixture
def run(server: Server, tmp_path: Path, platformctl: Platformctl, offline_in_process: None) -> Any:
    """Runs a task of the sample DAG."""
    words = write_sample(tmp_path, server)

    def run_task(task: str, *more: str) -> CommandResult:
        return platformctl(*words(task, *more))

    return run_task


def test_successful_pod_is_reported_and_deleted(run: Any, pods: Pods):
    result = run("made")
    assert (result.code, result.out) == (0, f"✔ team-alpha/{pods.name}: success\n")
    assert (f"► Pod team-alpha/{pods.name}" in result.err, pods.pod) == (True, None)


@pytest.mark.parametrize(
    ("task", "more"),
    [("made", ()), ("each", ("--map-index", "1")), ("elsewhere", ()), ("stock", ())],
    ids=["simple", "mapped", "with its own cluster", "stock operator"],
)
def test_run_creates_the_pod_that_render_shows(
    run: Any, platformctl: Platformctl, pods: Pods, tmp_path: Path, task: str, more: tuple[str, ...]
):
    when = ("--run-id", "r", "--logical-date", "2026-01-02", *more)
    assert run(task, *when).code == 0
    contract = tmp_path / "pulled.json"
    assert platformctl("contract", "pull", "-o", str(contract), "--kubeconfig", str(tmp_path / "kubeconfig")).code == 0
    folder = ("--folder", str(tmp_path / "dags"), "--contract", str(contract))
    rendered = yaml.safe_load(platformctl("render", "sample", task, *folder, *when).out)
    (created,) = pods.created
    for pod in (rendered, created):
        pod["metadata"]["name"] = pod["metadata"]["name"].rpartition("-")[0]
    created["metadata"]["labels"].pop(START_LABEL, None)  # of one start
    assert remove_empty(created) == remove_empty(rendered)


def test_every_request_uses_the_users_token(run: Any, server: Server):
    assert run("made").code == 0
    assert {request.headers["authorization"] for request in server.seen} == {"Bearer token-of-the-test"}


def test_failed_program_exits_with_1_and_shows_its_last_output(run: Any, pods: Pods):
    pods.code, pods.log = 3, "no such table\n"
    result = run("made", "-o", "json")
    assert result.code == 1
    assert json.loads(result.out) == {
        "pod": {"namespace": "team-alpha", "name": pods.name},
        "state": "failed",
        "why": "The program failed with exit code 3: no such table. That is the last line of its log: look there for "
        "the cause. [KPO-END111: "
        f"docs/troubleshooting.md#kpo-end111] Pod: {pods.name}.",
        "result": None,
    }


def test_skipped_task_exits_with_0(run: Any, pods: Pods):
    pods.code = 7
    result = run("skips")
    assert (result.code, result.out) == (
        0,
        f"✔ team-alpha/{pods.name}: skipped. Pod {pods.name} returned exit code 7. Skipping.\n",
    )


@pytest.mark.parametrize("task", ["made", "kept", "stock"])
@pytest.mark.parametrize("moment", ["GET", "POST"], ids=["while it runs", "while it is created"])
def test_ctrl_c_deletes_the_pod(run: Any, pods: Pods, task: str, moment: str):
    pods.code, pods.hook = None, interrupt_at(f"{moment} {PODS}")
    result = run(task)
    assert (result.code, pods.pod) == (130, None)
    assert result.err.splitlines()[-1] == f"Deleted pod team-alpha/{pods.name}."


def test_ctrl_c_names_the_pod_that_cannot_be_deleted(run: Any, pods: Pods):
    def refuse(request: Request) -> Answer | None:
        interrupt(request)
        return status(403, "no") if request.method == "DELETE" else None

    interrupt = interrupt_at(f"GET {PODS}")
    pods.code, pods.hook = None, refuse
    result = run("stock")
    assert result.code == 130
    assert result.err.splitlines()[-1] == (
        f"! The pod may still exist. Delete it: kubectl -n team-alpha delete pod {pods.name}"
    )


@pytest.mark.parametrize(
    ("task", "more", "limit"),
    [("made", ("--timeout", "2"), "--timeout"), ("short", (), "execution_timeout (1 s)")],
)
def test_pod_that_times_out_is_deleted(run: Any, pods: Pods, task: str, more: tuple[str, ...], limit: str):
    pods.code = None
    result = run(task, *more)
    assert (result.code, pods.pod) == (3, None)
    message = f"late. Timed out. Find in the log what the program waits for, or raise {limit}.\n"
    assert result.out == f"✗ team-alpha/{pods.name}: {message}"


def test_refused_pod_is_not_created(run: Any, pods: Pods):
    result = run("later")
    assert (result.code, result.out, pods.created) == (1, "", [])
    assert result.err.splitlines()[-1].startswith(
        "✗ The image 'busybox:latest' of container 'base' has no fixed version"
    )


def test_missing_right_names_the_role_file(run: Any, pods: Pods):
    forbidden = status(403, 'pods is forbidden: User "jane" cannot create resource "pods"')
    pods.hook = lambda request: forbidden if request.method == "POST" else None
    result = run("made")
    assert (result.code, result.out) == (3, "")
    assert result.err.splitlines()[-1] == (
        'Error: Cannot run the pod: pods is forbidden: User "jane" cannot create resource "pods". '
        "Ask for the rights of rbac/pod-launcher.yaml in the team's namespace."
    )
    assert "may still exist" not in result.err


def test_exhausted_quota_fails_the_run_at_the_schedule_timeout(run: Any, pods: Pods):
    exhausted = status(403, "exceeded quota: team-quota")
    pods.hook = lambda request: exhausted if request.method == "POST" else None
    result = run("waits")
    assert (result.code, re.sub(r"waits-\w+", "waits-suffix", result.out)) == (
        1,
        "✗ team-alpha/waits-suffix: failed. The pod was not created: the quota of team 'alpha' did not admit it for 1 "
        "s (schedule_timeout_seconds, by default the team's policy.roomTimeout). Wait for other tasks of the team, use "
        "a smaller size, or ask the platform team for a larger quota. Kubernetes API: exceeded quota: team-quota\n",
    )


def test_pod_that_the_api_server_refuses_is_explained(run: Any, pods: Pods):
    message = (
        'pods "x" is forbidden: error looking up service account team-alpha/robot: serviceaccount "robot" not found'
    )
    refused = status(403, message)
    pods.hook = lambda request: refused if request.method == "POST" else None
    result = run("stock")
    assert (result.code, re.sub(r"stock-\w+", "stock-suffix", result.out)) == (
        1,
        '✗ (none): failed. The service account "robot" does not exist in team-alpha (HTTP 403). Correct or leave out '
        "service_account_name, or create the account: kubectl -n team-alpha create serviceaccount robot "
        "[KPO-ADM110: docs/troubleshooting.md#kpo-adm110] The pod was not created.\n",
    )


def test_pod_that_does_not_start_in_time_is_explained(run: Any, pods: Pods):
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "settings" not found'}
    pods.code, pods.waiting = None, waiting
    result = run("stock", "--timeout", "3")
    assert (result.code, pods.pod) == (3, None)
    assert result.out == (
        f'✗ team-alpha/{pods.name}: late. Timed out. Secret "settings" does not exist in team-alpha '
        "(CreateContainerConfigError). Correct env_from or env_vars, or create it (type lines KEY=VALUE and "
        "then Ctrl-D): "
        "kubectl -n team-alpha create secret generic settings --from-env-file=/dev/stdin "
        "[KPO-STA101: docs/troubleshooting.md#kpo-sta101]\n"
    )


def test_failed_program_of_a_stock_operator_is_explained(run: Any, pods: Pods):
    pods.code, pods.log = 3, "no such table\n"
    result = run("stock")
    assert (result.code, result.out) == (
        1,
        f"✗ team-alpha/{pods.name}: failed. The program failed with exit code 3: no such table. That is the last line "
        "of its log: look there for the cause. "
        "[KPO-END111: docs/troubleshooting.md#kpo-end111]\n",
    )
