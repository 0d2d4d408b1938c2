"""A registry password is only in its Secret, whether bootstrap succeeds, fails or is interrupted.

The first tests show that the scan finds it in each encoding and each place.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.support.cutting_proxy import CuttingProxy, run_cutting_proxy
from cluster.support.pods.sleeper import POD
from cluster.support.secret_scan import (
    PASSWORD,
    Scanner,
    contains_password,
    find_in_logs,
    find_in_objects,
    go_json_encodings,
    password_encodings,
    read_tail,
    scan_during,
)
from common.polling import NotYet, wait_for
from local_cluster.cluster_paths import default_paths
from stack.airflow_api import AirflowApi
from stack.release import NAMESPACE, Stack
from stack.temporary_teams import HOST, TemporaryTeams, publish_teams

CONTRACT_NAMESPACE = "canary"
TEAM_NAMESPACE = f"{CONTRACT_NAMESPACE}-0"
LOGIN = json.dumps({"auths": {HOST: {"username": "robot", "password": PASSWORD}}})
ENCODINGS = password_encodings()
SCHEDULER = ("exec", "-i", "-n", NAMESPACE, "airflow-scheduler-0", "-c", "scheduler", "--", "sh", "-c")
CHECKING, APPLYING, CONNECTING = "► Check the login", "► Apply registry secrets", "► Write Airflow connections"


@pytest.fixture(scope="module")
def team(stack: Stack, airflow: AirflowApi) -> Iterator[TemporaryTeams]:
    with publish_teams(stack, airflow, CONTRACT_NAMESPACE, teams=1, volumes=1) as resource:
        stack.kubectl("create", "serviceaccount", "team-pod", "-n", TEAM_NAMESPACE)
        yield resource


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for temporary files with a path that is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="canary-", dir="/tmp") as path:
        yield Path(path)


def embed_password(encoding: str) -> Iterator[str]:
    """Yield a text with each form of the password in an encoding."""
    for text in ENCODINGS[encoding]:
        yield f"before {text.decode()} after"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_scan_finds_the_password_in_files_and_processes(folder: Path, encoding: str):
    for text in embed_password(encoding):
        assert contains_password(text.encode())
        with scan_during(folder) as scanner:
            (folder / "note").write_text(text)
            wait_for("a scan of the file", lambda: check_found(scanner), deadline_s=60, interval_s=0.1)
            (folder / "note").unlink()
        assert scanner.findings == {"note"}
    command = ["sleep", "60", *embed_password(encoding)]
    with_environment = subprocess.Popen(["sleep", "60"], env={"NOTE": next(embed_password(encoding))})
    with_arguments = subprocess.Popen(["sh", "-c", "read line; exit 0", *command], stdin=subprocess.PIPE)
    try:
        with scan_during(folder) as scanner:
            pass
        assert scanner.findings == {"environ of a process", "cmdline of a process"}
    finally:
        for process in (with_environment, with_arguments):
            process.kill()
            process.wait()


def check_found(scanner: Scanner) -> None:
    if "note" not in scanner.findings:
        raise NotYet(f"{scanner.scans} scans")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_scan_finds_the_password_in_annotations_and_logs(stack: Stack, team: TemporaryTeams, encoding: str):
    text = next(embed_password(encoding))
    base = {**POD["spec"]["containers"][0], "command": ["echo", text]}
    meta = {"name": "carrier", "namespace": TEAM_NAMESPACE}
    pod = {**POD, "metadata": meta, "spec": {**POD["spec"], "restartPolicy": "Never", "containers": [base]}}
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**meta, "annotations": {"note": text}}}
    stack.kubectl(
        "apply",
        "--server-side",
        "-f",
        "-",
        stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": [pod, config_map]}),
    )
    stack.kubectl(*SCHEDULER, "cat > /opt/airflow/logs/canary", stdin=text)
    log_file = default_paths().log("canary")
    log_file.write_text(text)
    try:
        condition = "--for=jsonpath={.status.phase}=Succeeded"
        stack.kubectl("wait", "pod/carrier", "-n", TEAM_NAMESPACE, condition, "--timeout=60s", timeout_s=70)
        assert {f"Pod {TEAM_NAMESPACE}/carrier", f"ConfigMap {TEAM_NAMESPACE}/carrier"} <= find_in_objects(stack)
        assert {f"log of {TEAM_NAMESPACE}/carrier", "the tasks' logs", log_file.name} <= find_in_logs(stack)
    finally:
        log_file.unlink()
        stack.kubectl(
            "delete", "pod,configmap", "carrier", "-n", TEAM_NAMESPACE, "--grace-period=1", "--ignore-not-found"
        )
        stack.kubectl("delete", "events", "--all", "-n", TEAM_NAMESPACE)
        stack.kubectl(*SCHEDULER, "rm -f /opt/airflow/logs/canary")


def test_audit_log_contains_texts_in_the_scanned_encoding(stack: Stack):
    """Uses another text, because it stays in the log."""
    name = f"stand-in/+&<>=%3 {secrets.token_hex(8)}"
    stack.kubectl("auth", "whoami", "--as", name)
    content = read_tail(default_paths().audit_log)
    assert [encoding in content for encoding in (name.encode(), *go_json_encodings(name))] == [False, True, False]


@dataclass(frozen=True)
class RunResult:
    """Output of a run, and the findings during it."""

    code: int
    output: str
    scanner: Scanner


def run(words: list[str | Path], env: dict[str, str], folder: Path, stop_at: str = "") -> RunResult:
    """Run a program with the login on its stdin; interrupt it at a line of its output."""
    pipe = subprocess.PIPE
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder), **env}
    with (
        scan_during(folder) as scanner,
        (folder.parent / f"{folder.name}.out").open("w+") as out,
        subprocess.Popen(words, env=variables, stdin=pipe, stdout=out, stderr=pipe, text=True) as process,
    ):
        assert process.stdin and process.stderr
        process.stdin.write(LOGIN)
        process.stdin.close()
        output = []
        for item in process.stderr:
            output.append(item)
            if stop_at and item.startswith(stop_at):
                process.send_signal(signal.SIGINT)
        code = process.wait(120)
        out.seek(0)
        output.append(out.read())
    Path(out.name).unlink()
    return RunResult(code, "".join(output), scanner)


def check_only_in_secret(stack: Stack, result: RunResult, folder: Path, *, is_written: bool) -> None:
    """Check that the password is in the Secret, if it was written, and nowhere else."""
    assert (contains_password(result.output.encode()), result.scanner.findings) == (False, set())
    assert result.scanner.scans > 10
    assert list(folder.iterdir()) == []
    assert find_in_objects(stack) == ({f"Secret {TEAM_NAMESPACE}/regcred"} if is_written else set())
    assert find_in_logs(stack) == set()


def bootstrap_command(programs: Path, *more: str | Path) -> list[str | Path]:
    return [
        programs / "platformctl",
        "bootstrap",
        "--namespace",
        CONTRACT_NAMESPACE,
        "--yes",
        "--registry-config",
        "-",
        *more,
    ]


def test_successful_run_leaves_the_password_in_the_secret_only(
    stack: Stack, airflow: AirflowApi, team: TemporaryTeams, programs: Path, folder: Path
):
    team.delete_objects(airflow)
    result = run(bootstrap_command(programs), stack.environment, folder)
    assert result.code == 0, result.output
    assert CHECKING in result.output and CONNECTING in result.output
    assert "command" in result.scanner.observed_files  # ansible-runner's file was scanned
    check_only_in_secret(stack, result, folder, is_written=True)


def test_standalone_playbook_leaves_the_password_in_secrets_only(
    stack: Stack, airflow: AirflowApi, team: TemporaryTeams, programs: Path, folder: Path
):
    """Runs the playbook with full verbosity; the login comes from a Secret, because the scan would find a file."""
    from kpo_platform.bootstrap.ansible import runner

    team.delete_objects(airflow)
    assert run(bootstrap_command(programs), stack.environment, folder).code == 0
    stack.kubectl("create", "namespace", f"{CONTRACT_NAMESPACE}-source")
    try:
        source = stack.get("secret", "regcred", "-n", TEAM_NAMESPACE)
        fields = {key: source[key] for key in ("apiVersion", "kind", "type", "data")}
        copy = {**fields, "metadata": {"name": "pull", "namespace": f"{CONTRACT_NAMESPACE}-source"}}
        stack.kubectl("create", "-f", "-", stdin=json.dumps(copy))
        stack.kubectl("delete", "secret", "regcred", "-n", TEAM_NAMESPACE)
        playbook = Path(runner.__file__).parents[1] / "playbook" / "bootstrap.yml"
        options = [
            "-e",
            f"kpo_namespace={CONTRACT_NAMESPACE}",
            "-e",
            f"kpo_registry_secret={CONTRACT_NAMESPACE}-source/pull",
        ]
        env = {**stack.environment, "LC_ALL": "C.UTF-8", "ANSIBLE_HOME": str(folder / "ansible")}
        result = run([programs / "ansible-playbook", playbook, "-vvv", *options], env, folder)
        assert result.code == 0, result.output
        assert (contains_password(result.output.encode()), result.scanner.findings) == (False, set())
        assert result.scanner.scans > 10
        assert find_in_objects(stack) == {
            f"Secret {TEAM_NAMESPACE}/regcred",
            f"Secret {CONTRACT_NAMESPACE}-source/pull",
        }
        assert find_in_logs(stack) == set()
    finally:
        stack.kubectl("delete", "namespace", f"{CONTRACT_NAMESPACE}-source", timeout_s=120)


@pytest.fixture(scope="module")
def proxy(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CuttingProxy]:
    with run_cutting_proxy(
        stack, stack.service_address("airflow-api-server"), tmp_path_factory.mktemp("proxy")
    ) as resource:
        yield resource


@pytest.mark.parametrize("last_write", ["secrets/registry-check", "secrets/regcred"])
def test_failed_run_leaves_the_password_nowhere_else(
    stack: Stack,
    airflow: AirflowApi,
    team: TemporaryTeams,
    programs: Path,
    folder: Path,
    proxy: CuttingProxy,
    last_write: str,
):
    """The connection is cut after a Secret was written: during the check on a node, or during the playbook."""
    team.delete_objects(airflow)
    proxy.reset()
    connection = ("--kubeconfig", proxy.write_kubeconfig(folder.parent), "--airflow-url", proxy.url)
    assert run(bootstrap_command(programs, *connection), {}, folder).code == 0
    number = next(
        position
        for position, write in enumerate(proxy.writes, 1)
        if write.startswith("PATCH") and write.endswith(last_write)
    )
    team.delete_objects(airflow)
    proxy.reset(number + 1)
    result = run(bootstrap_command(programs, *connection), {}, folder)
    (folder.parent / "proxy").unlink()
    assert (result.code, "Error: No answer from" in result.output) == (3, True), result.output
    delete_check_objects(stack)
    check_only_in_secret(stack, result, folder, is_written=last_write == "secrets/regcred")


def delete_check_objects(stack: Stack) -> None:
    """Delete the objects of an interrupted check, as the next run would."""
    stack.kubectl(
        "delete", "pod,secret", "registry-check", "-n", TEAM_NAMESPACE, "--ignore-not-found", "--grace-period=1"
    )


@pytest.mark.parametrize("stop_line", [CHECKING, APPLYING, CONNECTING])
def test_interrupted_run_leaves_the_password_nowhere_else(
    stack: Stack, airflow: AirflowApi, team: TemporaryTeams, programs: Path, folder: Path, stop_line: str
):
    team.delete_objects(airflow)
    result = run(bootstrap_command(programs), stack.environment, folder, stop_at=stop_line)
    assert result.code == 130, result.output
    names = [item["metadata"]["name"] for item in stack.get("secrets", "-n", TEAM_NAMESPACE)["items"]]
    assert names == ([] if stop_line == CHECKING else names)
    check_only_in_secret(stack, result, folder, is_written="regcred" in names)
