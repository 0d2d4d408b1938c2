"""platformctl run: create the pod that render shows with the user's kubeconfig, and delete it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kpo_platform.pod.identity import START_LABEL
from unit.support.http_server import Answer, Request, Server, serving, status
from unit.support.platformctl import CommandResult, Platformctl, environment, program
from unit.support.pod_comparison import remove_empty
from unit.support.pod_server import PODS, Pods, interrupt_at

DAG = """
from datetime import timedelta
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG
from kpo_platform import TeamPodOperator

with DAG("sample", schedule=None):
    TeamPodOperator(task_id="made", image="busybox:1.35", cmds=["echo", "{{ ds }}"])
    TeamPodOperator(task_id="kept", image="busybox:1.35", on_finish_action="keep_pod", on_kill_action="keep_pod")
    TeamPodOperator(task_id="short", image="busybox:1.35", execution_timeout=timedelta(seconds=1))
    TeamPodOperator(task_id="skips", image="busybox:1.35", skip_on_exit_code=7)
    TeamPodOperator(task_id="waits", image="busybox:1.35", schedule_timeout_seconds=1)
    TeamPodOperator(task_id="elsewhere", image="busybox:1.35", in_cluster=True)
    TeamPodOperator.partial(task_id="each", image="busybox:1.35").expand(cmds=[["echo", "a"], ["echo", "b"]])
    TeamPodOperator(task_id="later", image="busybox:{{ params.get('tag', 'latest') }}")
    KubernetesPodOperator(task_id="stock", image="busybox:1.35", cmds=["echo", "hello"])
"""


@pytest.fixture
def pods() -> Pods:
    return Pods()


@pytest.fixture
def server(pods: Pods) -> Iterator[Server]:
    with serving(pods) as server:
        yield server


@pytest.fixture
def words(server: Server, tmp_path: Path) -> Any:
    """Builds the command line that runs a task of the sample DAG."""
    (tmp_path / "dags" / "alpha").mkdir(parents=True)
    (tmp_path / "dags" / "alpha" / "sample.py").write_text(DAG)
    options = ("--folder", str(tmp_path / "dags"), "--kubeconfig", server.kubeconfig(tmp_path))
    return lambda task, *more: ("run", "sample", task, *options, *more)


@pytest.fixture
def run(words: Any, platformctl: Platformctl, offline_in_process: None) -> Any:
    """Runs a task of the sample DAG."""

    def run_task(task: str, *more: str) -> CommandResult:
        return platformctl(*words(task, *more))

    return run_task


def name(pods: Pods) -> str:
    """The name of the only created pod."""
    (pod,) = pods.created
    return str(pod["metadata"]["name"])


def test_successful_pod_is_reported_and_deleted(run: Any, pods: Pods):
    result = run("made")
    assert (result.code, result.out) == (0, f"✔ team-alpha/{name(pods)}: success\n")
    assert (f"► Pod team-alpha/{name(pods)}" in result.err, pods.pod) == (True, None)


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
        "pod": {"namespace": "team-alpha", "name": name(pods)},
        "state": "failed",
        "why": f"Pod {name(pods)} failed. The program failed: container base ended with exit code 3. no such table.",
        "result": None,
    }


def test_skipped_task_exits_with_0(run: Any, pods: Pods):
    pods.code = 7
    result = run("skips")
    assert (result.code, result.out) == (
        0,
        f"✔ team-alpha/{name(pods)}: skipped. Pod {name(pods)} returned exit code 7. Skipping.\n",
    )


@pytest.mark.parametrize("task", ["made", "kept", "stock"])
@pytest.mark.parametrize("moment", ["GET", "POST"], ids=["while it runs", "while it is created"])
def test_ctrl_c_deletes_the_pod(run: Any, pods: Pods, task: str, moment: str):
    pods.code, pods.hook = None, interrupt_at(f"{moment} {PODS}")
    result = run(task)
    assert (result.code, pods.pod) == (130, None)
    assert result.err.splitlines()[-1] == f"Deleted pod team-alpha/{name(pods)}."


def test_ctrl_c_names_the_pod_that_cannot_be_deleted(run: Any, pods: Pods):
    def refuse(request: Request) -> Answer | None:
        interrupt(request)
        return status(403, "no") if request.method == "DELETE" else None

    interrupt = interrupt_at(f"GET {PODS}")
    pods.code, pods.hook = None, refuse
    result = run("stock")
    assert result.code == 130
    assert result.err.splitlines()[-1] == (
        f"! The pod may still exist. Delete it: kubectl -n team-alpha delete pod {name(pods)}"
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
    assert result.out == f"✗ team-alpha/{name(pods)}: {message}"


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
        "✗ team-alpha/waits-suffix: failed. The pod was not created: the quota of team 'alpha' was exhausted for 1 s "
        "(schedule_timeout_seconds, by default the team's policy.roomTimeout). Wait for other tasks of the team, use a "
        "smaller size, or ask the platform team for a larger quota. API server: exceeded quota: team-quota\n",
    )


def test_second_ctrl_c_exits_at_once_and_names_the_pod(words: Any, pods: Pods):
    is_blocked = threading.Event()

    def block_delete(request: Request) -> None:
        if request.method == "DELETE":
            is_blocked.set()
            time.sleep(30)

    pods.code, pods.log, pods.hook = None, "hello from the pod\n", block_delete
    pipe = subprocess.PIPE
    with subprocess.Popen(program(*words("made")), env=environment(), text=True, stdout=pipe, stderr=pipe) as process:
        assert process.stderr is not None
        log_line = next(line for line in process.stderr if "hello from the pod" in line)
        process.send_signal(signal.SIGINT)
        assert is_blocked.wait(30)
        process.send_signal(signal.SIGINT)
        start = time.monotonic()
        last = process.stderr.readlines()[-1]
    assert time.monotonic() - start < 25  # the API server answers after 30 s
    assert (process.returncode, log_line) == (130, "[base] hello from the pod\n")
    assert last == f"! The pod may still exist. Delete it: kubectl -n team-alpha delete pod {name(pods)}\n"
