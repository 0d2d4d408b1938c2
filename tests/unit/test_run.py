"""platformctl run: the pod that render shows, made by the person's own way to the cluster, and gone afterwards."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from unit.command_line import CommandResult, Platformctl, environment, program
from unit.pod_server import PODS, Pods, interrupting
from unit.pods import without_empty
from unit.servers import Answer, Request, Server, serving, status

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
    with serving(pods) as running:
        yield running


@pytest.fixture
def words(server: Server, tmp_path: Path) -> Any:
    """The words of a command line about a task of the sample."""
    (tmp_path / "dags" / "alpha").mkdir(parents=True)
    (tmp_path / "dags" / "alpha" / "sample.py").write_text(DAG)
    options = ("--folder", str(tmp_path / "dags"), "--kubeconfig", server.kubeconfig(tmp_path))
    return lambda task, *more: ("run", "sample", task, *options, *more)


@pytest.fixture
def run(words: Any, platformctl: Platformctl, offline_in_process: None) -> Any:
    """Runs a task of the sample."""

    def running(task: str, *more: str) -> CommandResult:
        return platformctl(*words(task, *more))

    return running


def name(pods: Pods) -> str:
    """The name of the only pod that was made."""
    (pod,) = pods.created
    return str(pod["metadata"]["name"])


def test_the_pod_runs_and_is_removed_and_its_result_is_told(run: Any, pods: Pods):
    said = run("made")
    assert (said.code, said.out) == (0, f"✔ team-alpha/{name(pods)}: success\n")
    assert (f"► Pod team-alpha/{name(pods)}" in said.err, pods.pod) == (True, None)


@pytest.mark.parametrize(
    ("task", "more"),
    [("made", ()), ("each", ("--map-index", "1")), ("elsewhere", ()), ("stock", ())],
    ids=["simple", "mapped", "with a way of its own", "stock operator"],
)
def test_it_is_the_pod_that_render_shows(
    run: Any, platformctl: Platformctl, pods: Pods, tmp_path: Path, task: str, more: tuple[str, ...]
):
    when = ("--run-id", "r", "--logical-date", "2026-01-02", *more)
    assert run(task, *when).code == 0
    contract = tmp_path / "pulled.json"
    assert platformctl("contract", "pull", "-o", str(contract), "--kubeconfig", str(tmp_path / "kubeconfig")).code == 0
    folder = ("--folder", str(tmp_path / "dags"), "--contract", str(contract))
    shown = yaml.safe_load(platformctl("render", "sample", task, *folder, *when).out)
    (made,) = pods.created
    for pod in (shown, made):
        pod["metadata"]["name"] = pod["metadata"]["name"].rpartition("-")[0]
    assert without_empty(made) == without_empty(shown)


def test_every_request_is_the_persons_own(run: Any, server: Server):
    assert run("made").code == 0
    assert {one.headers["authorization"] for one in server.seen} == {"Bearer token-of-the-test"}


def test_a_program_that_fails_is_a_finding_with_its_last_words(run: Any, pods: Pods):
    pods.code, pods.log = 3, "no such table\n"
    said = run("made", "-o", "json")
    assert said.code == 1
    assert json.loads(said.out) == {
        "pod": {"namespace": "team-alpha", "name": name(pods)},
        "state": "failed",
        "why": f"Pod {name(pods)} returned a failure.\nno such table",
        "result": None,
    }


def test_a_skip_is_no_failure(run: Any, pods: Pods):
    pods.code = 7
    said = run("skips")
    assert (said.code, said.out) == (
        0,
        f"✔ team-alpha/{name(pods)}: skipped. Pod {name(pods)} returned exit code 7. Skipping.\n",
    )


@pytest.mark.parametrize("task", ["made", "kept", "stock"])
@pytest.mark.parametrize("moment", ["GET", "POST"], ids=["while it runs", "while it is created"])
def test_ctrl_c_leaves_no_pod(run: Any, pods: Pods, task: str, moment: str):
    pods.code, pods.hook = None, interrupting(f"{moment} {PODS}")
    said = run(task)
    assert (said.code, pods.pod) == (130, None)
    assert said.err.splitlines()[-1] == f"The pod team-alpha/{name(pods)} is removed."


def test_ctrl_c_says_which_pod_is_left_when_it_cannot_be_removed(run: Any, pods: Pods):
    def refuse(request: Request) -> Answer | None:
        press(request)
        return status(403, "no") if request.method == "DELETE" else None

    press = interrupting(f"GET {PODS}")
    pods.code, pods.hook = None, refuse
    said = run("stock")
    assert said.code == 130
    assert said.err.splitlines()[-1] == (
        f"! The pod may still be there; remove it: kubectl -n team-alpha delete pod {name(pods)}"
    )


@pytest.mark.parametrize(
    ("task", "more", "limit"),
    [("made", ("--timeout", "2"), "--timeout"), ("short", (), "execution_timeout, 1 s")],
)
def test_a_pod_that_does_not_end_in_time_is_removed(run: Any, pods: Pods, task: str, more: tuple[str, ...], limit: str):
    pods.code = None
    said = run(task, *more)
    assert (said.code, pods.pod) == (3, None)
    assert said.out == f"✗ team-alpha/{name(pods)}: late. It did not end in time ({limit}).\n"


def test_a_pod_that_is_refused_is_never_sent(run: Any, pods: Pods):
    said = run("later")
    assert (said.code, said.out, pods.created) == (1, "", [])
    assert said.err.splitlines()[-1].startswith("✗ The image 'busybox:latest' of container 'base' may mean")


def test_who_may_not_create_pods_is_told_which_rights_are_missing(run: Any, pods: Pods):
    forbidden = status(403, 'pods is forbidden: User "jane" cannot create resource "pods"')
    pods.hook = lambda request: forbidden if request.method == "POST" else None
    said = run("made")
    assert (said.code, said.out) == (3, "")
    assert said.err.splitlines()[-1] == (
        "Error: You may not run the pod; ask for the rights of rbac/pod-launcher.yaml in the team's namespace. "
        'pods is forbidden: User "jane" cannot create resource "pods"'
    )
    assert "may still be there" not in said.err


def test_the_log_is_shown_and_a_second_ctrl_c_ends_at_once_and_says_which_pod_is_left(words: Any, pods: Pods):
    stuck = threading.Event()

    def stick(request: Request) -> None:
        if request.method == "DELETE":
            stuck.set()
            time.sleep(30)

    pods.code, pods.log, pods.hook = None, "hello from the pod\n", stick
    pipe = subprocess.PIPE
    with subprocess.Popen(program(*words("made")), env=environment(), text=True, stdout=pipe, stderr=pipe) as process:
        assert process.stderr is not None
        shown = next(line for line in process.stderr if "hello from the pod" in line)
        process.send_signal(signal.SIGINT)
        assert stuck.wait(30)
        process.send_signal(signal.SIGINT)
        asked = time.monotonic()
        last = process.stderr.readlines()[-1]
    assert time.monotonic() - asked < 25  # the API server takes 30 s for its answer, and nobody waits for that
    assert (process.returncode, shown) == (130, "[base] hello from the pod\n")
    assert last == f"! The pod may still be there; remove it: kubectl -n team-alpha delete pod {name(pods)}\n"
