"""Commands for DAG authors without Airflow: contract pull, lint, render, test and run."""

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
from kpo_platform.pod.identity import START_LABEL
from kpo_platform.pod.task_mark import LONGEST_MARKS
from local_cluster.cluster_paths import default_paths
from stack.airflow_api import AirflowApi
from stack.pod_watch import watch_pods
from stack.release import Stack

NAMESPACE, AUTHOR = "authoring", "author"
REFUSED = REPOSITORY / "tests" / "cluster" / "files" / "refused"
DAG = DAGS / "authoring.py"

TESTS = """
import pytest

@pytest.mark.parametrize("stage", ["test", "prod"])
def test_pod_has_label_of_its_stage(team_pods, stage):
    pod = team_pods.render(DAG, "many", team="alpha", params={"stage": stage}, xcom={"count": {"rows": 1}})
    assert pod["metadata"]["labels"]["stage"] == "test"
"""


@dataclass(frozen=True)
class CommandOutput:
    """Output and exit code of a command."""

    code: int
    out: str
    err: str


PlatformCtl = Callable[..., CommandOutput]


@pytest.fixture(scope="module")
def author_kubeconfig(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A kubeconfig with the rights of rbac/pod-launcher.yaml in team alpha's namespace, and no others."""
    binding = f"{NAMESPACE}-{AUTHOR}"
    stack.kubectl("create", "namespace", NAMESPACE)
    try:
        stack.kubectl("create", "serviceaccount", AUTHOR, "-n", NAMESPACE)
        role = stack.get("rolebindings", "-n", "team-alpha", "-l", "app.kubernetes.io/part-of=kpo-platform")
        (launcher,) = {
            item["roleRef"]["name"] for item in role["items"] if item["roleRef"]["name"].endswith("pod-launcher")
        }
        words = ("create", "rolebinding", binding, "-n", "team-alpha", f"--serviceaccount={NAMESPACE}:{AUTHOR}")
        stack.kubectl(*words, f"--role={launcher}")
        yield stack.write_account_kubeconfig(AUTHOR, NAMESPACE, tmp_path_factory.mktemp("person"))
    finally:
        stack.kubectl("delete", "rolebinding", binding, "-n", "team-alpha", "--ignore-not-found")
        stack.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", timeout_s=120)


@pytest.fixture(scope="module")
def contract(stack: Stack, programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The contract as `platformctl contract pull` writes it."""
    file = tmp_path_factory.mktemp("contract") / "contract.json"
    words = (programs / "platformctl", "contract", "pull", "-o", file)
    subprocess.run(words, env={**os.environ, **stack.environment}, check=True, timeout=60)
    return file


@pytest.fixture(scope="module")
def platformctl(programs: Path, contract: Path, tmp_path_factory: pytest.TempPathFactory) -> PlatformCtl:
    """Runs platformctl without access to a cluster, with the pulled contract."""
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path_factory.mktemp("home")), "NO_COLOR": "1"}

    def run_platformctl(*words: str | Path) -> CommandOutput:
        argv = [programs / "platformctl", *words, "--contract", contract]
        process = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=180, check=False)
        return CommandOutput(process.returncode, process.stdout, process.stderr)

    return run_platformctl


def test_pulled_contract_equals_the_published_one(contract: Path, stack: Stack):
    assert json.loads(contract.read_text()) == stack.read_contract()


def test_samples_have_no_findings(platformctl: PlatformCtl):
    output = platformctl("lint", REPOSITORY / "dags")
    assert (output.code, output.out, output.err.splitlines()[-1]) == (0, "", "0 findings in 10 DAG files.")


def test_every_refused_task_is_reported_with_file_and_line(platformctl: PlatformCtl, tmp_path: Path):
    bad = (REFUSED / "alpha" / "bad.py").read_text()
    (tmp_path / "alpha").mkdir()
    (tmp_path / "alpha" / "bad.py").write_text(bad)
    (tmp_path / "alpha" / "broken.py").write_text("this is no Python\n\nfrom airflow.sdk import DAG\n")
    output = platformctl("lint", tmp_path, "-o", "json")
    actual = [
        (Path(item["file"]).name, "{kind} {name}".format(**item["object"]), item["code"], item["line"])
        for item in json.loads(output.out)["findings"]
    ]
    assert output.code == 1
    assert actual == [
        ("bad.py", "task typo", "KPO-ARG001", _find_line(bad, "startup_timout_seconds")),
        ("bad.py", "task elsewhere", "KPO-TEAM002", _find_line(bad, 'team="beta"')),
        ("bad.py", "task size", "KPO-TEAM001", _find_line(bad, 'size="hueg"')),
        ("bad.py", "task namespace", "KPO-POD001", _find_line(bad, '"namespace"')),
        ("bad.py", "task unpinned", "KPO-IMG001", _find_line(bad, '"unpinned"')),
        ("bad.py", "task nfs", "KPO-SEC002", _find_line(bad, '"nfs"') - 1),
        ("bad.py", "task root", "KPO-SEC001", _find_line(bad, '"root"')),
        ("bad.py", "task password", "KPO-SEC003", _find_line(bad, "env_vars")),
        ("bad.py", "task stock", "KPO-POD001", _find_line(bad, '"stock"')),
        ("broken.py", "file broken.py", "KPO-DAG001", 1),
    ]


def _find_line(text: str, words: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if words in line)


@pytest.fixture(scope="module")
def airflow_pods(stack: Stack, airflow: AirflowApi) -> Iterator[tuple[Run, dict[str, dict[str, Any]]]]:
    """A run of the DAG, and the pods that Airflow created for it, by task and map index."""
    push_dag(stack, airflow, "alpha", "authoring.py", "authoring")
    with watch_pods(stack) as observed:
        run = Run(stack, airflow, "authoring", airflow.trigger_run("authoring"))
        assert run.wait_for_end() == "success", run.task_states()
        pods = {
            f"{pod['metadata']['labels']['task_id']}{pod['metadata']['labels'].get('map_index', '')}": pod
            for pod in observed.with_labels(dag_id="authoring")
        }
    yield run, pods
    stack.kubectl("delete", "pods", "-n", "team-alpha", "-l", "dag_id in (authoring, laptop)", "--wait=false")


@pytest.mark.parametrize("kind", ["count", "many", "each0", "each1", "stock", "function"])
def test_rendered_pod_equals_the_pod_that_airflow_creates(
    platformctl: PlatformCtl, stack: Stack, airflow_pods: tuple[Run, dict[str, dict[str, Any]]], kind: str
):
    run, pods = airflow_pods
    task, index = kind.rstrip("01"), kind[-1] if kind[-1] in "01" else ""
    more = ("--map-index", index) if index else ()
    output = platformctl(
        "render", DAG, task, "--team", "alpha", "--run-id", run.id, "--xcom", 'count={"rows": 12}', "-o", "json", *more
    )
    assert output.code == 0, output.err
    stored = stack.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=output.out)
    rendered, actual = (
        _flatten(_remove_varying_fields(json.loads(stored))),
        _flatten(_remove_varying_fields(pods[kind])),
    )
    assert {
        item: (rendered.get(item), actual.get(item))
        for item in rendered | actual
        if rendered.get(item) != actual.get(item)
    } == {}


def _remove_varying_fields(pod: dict[str, Any]) -> dict[str, Any]:
    """Return a pod without fields that differ between runs: name suffix, start, task, trace, node, mark of its end."""
    meta, spec = pod["metadata"], dict(pod["spec"])
    spec.pop("nodeName", None)
    spec["containers"] = [
        {**item, "env": [entry for entry in item.get("env", []) if entry["name"] != "TRACEPARENT"]}
        for item in spec["containers"]
    ]
    labels = {
        key: value
        for key, value in meta["labels"].items()
        if key not in ("trace-id", "already_checked", START_LABEL) and not key.startswith("topology.kubernetes.io/")
    }
    annotations = {key: value for key, value in meta.get("annotations", {}).items() if key not in LONGEST_MARKS}
    name = meta["name"].rpartition("-")[0]
    kept = {"name": name, "namespace": meta["namespace"], "labels": labels, "annotations": annotations}
    return {"metadata": kept, "spec": spec}


def _flatten(value: Any, path: str = "") -> dict[str, Any]:
    """Return every value by its path, so that a failure names the differing paths."""
    if not isinstance(value, dict | list) or not value:
        return {path: value}
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    return {name: entry for key, item in inner for name, entry in _flatten(item, f"{path}.{key}").items()}


def test_fixture_renders_pods_in_tests_of_dags(contract: Path, tmp_path: Path):
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["kpo_platform.testing"]\n')
    (tmp_path / "test_dags.py").write_text(f"DAG = {str(DAG)!r}\n{TESTS}")
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "KPO_PLATFORM_CONTRACT": str(contract)}
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    process = subprocess.run(words, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False)
    assert process.returncode == 1, process.stdout
    assert "AssertionError: assert 'prod' == 'test'" in process.stdout, process.stdout
    assert "1 failed, 1 passed" in process.stdout, process.stdout


@pytest.fixture
def run(
    programs: Path, author_kubeconfig: Path, contract: Path, tmp_path: Path
) -> Callable[..., subprocess.Popen[str]]:
    """Starts `platformctl run` as the author."""
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "NO_COLOR": "1", "KUBECONFIG": str(author_kubeconfig)}

    def start_run(task: str, *more: str, team: str = "alpha") -> subprocess.Popen[str]:
        words = [programs / "platformctl", "run", DAG, task, "--team", team, "--contract", contract, *more]
        pipe = subprocess.PIPE
        return subprocess.Popen(words, env=env, text=True, stdout=pipe, stderr=pipe)

    return start_run


StartRun = Callable[..., subprocess.Popen[str]]


def test_pod_runs_as_its_author_and_returns_log_and_result(run: StartRun, stack: Stack):
    process = run("count", "-o", "json")
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    result = json.loads(out)
    name = result["pod"]["name"]
    pod_reference = {"namespace": "team-alpha", "name": name}
    assert result == {"pod": pod_reference, "state": "success", "why": "", "result": {"rows": 12}}
    assert "[base] counted" in err.splitlines()
    assert _read_creators(name) == {f"system:serviceaccount:{NAMESPACE}:{AUTHOR}"}
    _wait_until_gone(stack, name)


def _read_creators(name: str) -> set[str]:
    """Return the users that created the pod of a name, from the API server's audit log."""
    events = (
        json.loads(line)
        for line in default_paths().audit_log.read_text(errors="replace").splitlines()
        if f'"{name}"' in line
    )
    return {item["user"]["username"] for item in events if item["verb"] == "create" and _is_pod(item["objectRef"])}


def _is_pod(reference: dict[str, Any]) -> bool:
    return reference["resource"] == "pods" and not reference.get("subresource")


def _wait_until_gone(stack: Stack, name: str) -> None:
    def probe() -> None:
        if remaining := stack.kubectl("get", "pod", name, "-n", "team-alpha", "--ignore-not-found", "-o", "name"):
            raise NotYet(remaining)

    wait_for(f"pod {name} to be deleted", probe, deadline_s=60, interval_s=1)


def test_failed_program_is_reported_with_its_last_line(run: StartRun):
    process = run("fails")
    out, err = process.communicate(timeout=180)
    assert process.returncode == 1, err
    assert out.startswith("✗ team-alpha/fails-") and "failed with exit code 3: no such table. " in out, out


def test_ctrl_c_deletes_the_pod(run: StartRun, stack: Stack):
    process = run("sleeps")
    assert process.stderr is not None
    output = ""
    while "[base] started" not in output:
        line = process.stderr.readline()
        assert line, output
        output += line
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=90)
    name = out.removeprefix("✗ team-alpha/").partition(":")[0]
    assert (process.returncode, err.splitlines()[-1]) == (130, f"Deleted pod team-alpha/{name}."), err
    _wait_until_gone(stack, name)


def test_pod_is_deleted_after_a_timeout(run: StartRun, stack: Stack):
    process = run("sleeps", "--timeout", "40")
    out, err = process.communicate(timeout=180)
    name = out.removeprefix("✗ team-alpha/").partition(":")[0]
    assert process.returncode == 3, err
    message = "late. Timed out. Find in the log what the program waits for, or raise --timeout.\n"
    assert out == f"✗ team-alpha/{name}: {message}"
    _wait_until_gone(stack, name)


def test_missing_right_in_the_team_namespace_is_reported(run: StartRun):
    process = run("fails", team="beta")
    out, err = process.communicate(timeout=180)
    assert (process.returncode, out) == (3, "")
    message = err.splitlines()[-1]
    assert message.startswith("Error: Cannot run the pod: pods is "), err
    assert message.endswith(". Ask for the rights of rbac/pod-launcher.yaml in the team's namespace."), err
