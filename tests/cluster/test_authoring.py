"""What authors of DAGs do without Airflow: pull the contract, lint, render, test, and run a pod from a laptop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cluster.support.airflow_runs.dag_run import DAGS, Run, push_dag
from common.paths import REPOSITORY
from common.polling import NotYet, wait_for
from local_cluster.cluster_paths import default_paths
from stack.airflow_api import AirflowApi
from stack.pod_watch import watch_pods
from stack.release import Stack

HOME, PERSON = "authoring", "author"
REFUSED = REPOSITORY / "tests" / "cluster" / "files" / "refused"
DAG = DAGS / "authoring.py"

TESTS = """
import pytest

@pytest.mark.parametrize("stage", ["test", "prod"])
def test_the_pod_knows_its_stage(team_pods, stage):
    pod = team_pods.render(DAG, "many", team="alpha", params={"stage": stage}, xcom={"count": {"rows": 1}})
    assert pod["metadata"]["labels"]["stage"] == "test"
"""


@dataclass(frozen=True)
class Said:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


Speak = Callable[..., Said]


@pytest.fixture(scope="module")
def person(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of somebody who may do in team alpha's namespace what rbac/pod-launcher.yaml says, and no more."""
    binding = f"{HOME}-{PERSON}"
    stack.kubectl("create", "namespace", HOME)
    try:
        stack.kubectl("create", "serviceaccount", PERSON, "-n", HOME)
        role = stack.get("rolebindings", "-n", "team-alpha", "-l", "app.kubernetes.io/part-of=kpo-platform")
        (launcher,) = {
            each["roleRef"]["name"] for each in role["items"] if each["roleRef"]["name"].endswith("pod-launcher")
        }
        words = ("create", "rolebinding", binding, "-n", "team-alpha", f"--serviceaccount={HOME}:{PERSON}")
        stack.kubectl(*words, f"--role={launcher}")
        yield stack.write_account_kubeconfig(PERSON, HOME, tmp_path_factory.mktemp("person"))
    finally:
        stack.kubectl("delete", "rolebinding", binding, "-n", "team-alpha", "--ignore-not-found")
        stack.kubectl("delete", "namespace", HOME, "--ignore-not-found", timeout_s=120)


@pytest.fixture(scope="module")
def contract(stack: Stack, programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The contract, as `platformctl contract pull` saves it."""
    file = tmp_path_factory.mktemp("contract") / "contract.json"
    words = (programs / "platformctl", "contract", "pull", "-o", file)
    subprocess.run(words, env={**os.environ, **stack.environment}, check=True, timeout=60)
    return file


@pytest.fixture(scope="module")
def speak(programs: Path, contract: Path, tmp_path_factory: pytest.TempPathFactory) -> Speak:
    """Runs platformctl where nothing leads to a cluster, with the contract that was pulled."""
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path_factory.mktemp("home")), "NO_COLOR": "1"}

    def speaking(*words: str | Path) -> Said:
        argv = [programs / "platformctl", *words, "--contract", contract]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=180, check=False)
        return Said(done.returncode, done.stdout, done.stderr)

    return speaking


def test_the_contract_is_saved_as_the_chart_published_it(contract: Path, stack: Stack):
    assert json.loads(contract.read_text()) == stack.read_contract()


def test_the_samples_have_no_findings(speak: Speak):
    said = speak("lint", REPOSITORY / "dags")
    assert (said.code, said.out, said.err.splitlines()[-1]) == (0, "", "0 findings in 10 DAG files.")


def test_everything_that_is_refused_is_found_with_file_and_line(speak: Speak, tmp_path: Path):
    bad = (REFUSED / "alpha" / "bad.py").read_text()
    (tmp_path / "alpha").mkdir()
    (tmp_path / "alpha" / "bad.py").write_text(bad)
    (tmp_path / "alpha" / "broken.py").write_text("this is no Python\n\nfrom airflow.sdk import DAG\n")
    said = speak("lint", tmp_path, "-o", "json")
    found = [
        (Path(each["file"]).name, each["object"], each["code"], each["line"])
        for each in json.loads(said.out)["findings"]
    ]
    assert said.code == 1
    assert found == [
        ("bad.py", "task typo", "KPO-ARG001", _line(bad, "startup_timout_seconds")),
        ("bad.py", "task elsewhere", "KPO-TEAM002", _line(bad, 'team="beta"')),
        ("bad.py", "task size", "KPO-TEAM001", _line(bad, 'size="hueg"')),
        ("bad.py", "task namespace", "KPO-POD001", _line(bad, '"namespace"')),
        ("bad.py", "task unpinned", "KPO-IMG001", _line(bad, '"unpinned"')),
        ("bad.py", "task nfs", "KPO-SEC002", _line(bad, '"nfs"') - 1),
        ("bad.py", "task root", "KPO-SEC001", _line(bad, '"root"')),
        ("bad.py", "task password", "KPO-SEC003", _line(bad, "env_vars")),
        ("bad.py", "task stock", "KPO-POD001", _line(bad, '"stock"')),
        ("broken.py", "file broken.py", "KPO-DAG001", 1),
    ]


def _line(text: str, words: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if words in line)


@pytest.fixture(scope="module")
def sent(stack: Stack, airflow: AirflowApi) -> Iterator[tuple[Run, dict[str, dict[str, Any]]]]:
    """A run of the DAG, and the pods that Airflow sent in it, by task and map index."""
    push_dag(stack, airflow, "alpha", "authoring.py", "authoring")
    with watch_pods(stack) as seen:
        run = Run(stack, airflow, "authoring", airflow.trigger_run("authoring"))
        assert run.wait_for_end() == "success", run.task_states()
        pods = {
            f"{pod['metadata']['labels']['task_id']}{pod['metadata']['labels'].get('map_index', '')}": pod
            for pod in seen.with_labels(dag_id="authoring")
        }
    yield run, pods
    stack.kubectl("delete", "pods", "-n", "team-alpha", "-l", "dag_id in (authoring, laptop)", "--wait=false")


@pytest.mark.parametrize("kind", ["count", "many", "each0", "each1", "stock", "function"])
def test_what_render_shows_is_what_airflow_sends(
    speak: Speak, stack: Stack, sent: tuple[Run, dict[str, dict[str, Any]]], kind: str
):
    run, pods = sent
    task, index = kind.rstrip("01"), kind[-1] if kind[-1] in "01" else ""
    more = ("--map-index", index) if index else ()
    said = speak(
        "render", DAG, task, "--team", "alpha", "--run-id", run.id, "--xcom", 'count={"rows": 12}', "-o", "json", *more
    )
    assert said.code == 0, said.err
    stored = stack.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=said.out)
    shown, found = _flat(_comparable(json.loads(stored))), _flat(_comparable(pods[kind]))
    assert {
        each: (shown.get(each), found.get(each)) for each in shown | found if shown.get(each) != found.get(each)
    } == {}


def _comparable(pod: dict[str, Any]) -> dict[str, Any]:
    """A pod without what differs with every pod: its name's suffix, its trace, its place, the mark of its end."""
    meta, spec = pod["metadata"], dict(pod["spec"])
    spec.pop("nodeName", None)
    spec["containers"] = [
        {**each, "env": [one for one in each.get("env", []) if one["name"] != "TRACEPARENT"]}
        for each in spec["containers"]
    ]
    labels = {
        key: value
        for key, value in meta["labels"].items()
        if key not in ("trace-id", "already_checked") and not key.startswith("topology.kubernetes.io/")
    }
    name = meta["name"].rpartition("-")[0]
    kept = {"name": name, "namespace": meta["namespace"], "labels": labels, "annotations": meta.get("annotations")}
    return {"metadata": kept, "spec": spec}


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Every value by its path, so that a difference is told by its name."""
    if not isinstance(value, dict | list) or not value:
        return {path: value}
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    return {name: one for key, each in inner for name, one in _flat(each, f"{path}.{key}").items()}


def test_the_fixture_gives_tests_of_dags_their_pods(contract: Path, tmp_path: Path):
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["kpo_platform.testing"]\n')
    (tmp_path / "test_dags.py").write_text(f"DAG = {str(DAG)!r}\n{TESTS}")
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "KPO_PLATFORM_CONTRACT": str(contract)}
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(words, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 1, done.stdout
    assert "AssertionError: assert 'prod' == 'test'" in done.stdout, done.stdout
    assert "1 failed, 1 passed" in done.stdout, done.stdout


@pytest.fixture
def run(programs: Path, person: Path, contract: Path, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts `platformctl run` as the person."""
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "NO_COLOR": "1", "KUBECONFIG": str(person)}

    def running(task: str, *more: str, team: str = "alpha") -> subprocess.Popen[str]:
        words = [programs / "platformctl", "run", DAG, task, "--team", team, "--contract", contract, *more]
        pipe = subprocess.PIPE
        return subprocess.Popen(words, env=env, text=True, stdout=pipe, stderr=pipe)

    return running


Start = Callable[..., subprocess.Popen[str]]


def test_a_pod_runs_now_as_the_person_who_asked_and_gives_its_log_and_result(run: Start, stack: Stack):
    process = run("count", "-o", "json")
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    told = json.loads(out)
    name = told["pod"]["name"]
    where = {"namespace": "team-alpha", "name": name}
    assert told == {"pod": where, "state": "success", "why": "", "result": {"rows": 12}}
    assert "[base] counted" in err.splitlines()
    assert _creators(name) == {f"system:serviceaccount:{HOME}:{PERSON}"}
    _wait_until_gone(stack, name)


def _creators(name: str) -> set[str]:
    """Who created the pod of this name, as the API server's audit log tells."""
    events = (
        json.loads(line)
        for line in default_paths().audit_log.read_text(errors="replace").splitlines()
        if f'"{name}"' in line
    )
    return {each["user"]["username"] for each in events if each["verb"] == "create" and _is_pod(each["objectRef"])}


def _is_pod(what: dict[str, Any]) -> bool:
    return what["resource"] == "pods" and not what.get("subresource")


def _wait_until_gone(stack: Stack, name: str) -> None:
    def probe() -> None:
        if left := stack.kubectl("get", "pod", name, "-n", "team-alpha", "--ignore-not-found", "-o", "name"):
            raise NotYet(left)

    wait_for(f"pod {name} to be gone", probe, deadline_s=60, interval_s=1)


def test_a_program_that_fails_is_told_with_its_last_words(run: Start):
    process = run("fails")
    out, err = process.communicate(timeout=180)
    assert process.returncode == 1, err
    assert out.startswith("✗ team-alpha/fails-") and "returned a failure. no such table" in out, out


def test_ctrl_c_removes_the_pod(run: Start, stack: Stack):
    process = run("runs_on")
    assert process.stderr is not None
    heard = ""
    while "[base] started" not in heard:
        line = process.stderr.readline()
        assert line, heard
        heard += line
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=90)
    name = out.removeprefix("✗ team-alpha/").partition(":")[0]
    assert (process.returncode, err.splitlines()[-1]) == (130, f"Deleted pod team-alpha/{name}."), err
    _wait_until_gone(stack, name)


def test_a_pod_that_does_not_end_in_time_is_removed(run: Start, stack: Stack):
    process = run("runs_on", "--timeout", "40")
    out, err = process.communicate(timeout=180)
    name = out.removeprefix("✗ team-alpha/").partition(":")[0]
    assert process.returncode == 3, err
    assert out == f"✗ team-alpha/{name}: late. Timed out (--timeout).\n"
    _wait_until_gone(stack, name)


def test_who_has_no_rights_in_the_teams_namespace_is_told_which(run: Start):
    process = run("fails", team="beta")
    out, err = process.communicate(timeout=180)
    assert (process.returncode, out) == (3, "")
    said = "You may not run the pod; ask for the rights of rbac/pod-launcher.yaml in the team's namespace. pods is "
    assert err.splitlines()[-1].startswith(f"Error: {said}"), err
