"""A registry's password is nowhere but in the Secret that it is for, whether bootstrap ends well, fails or is stopped.

That the search would find it is shown first, for each form and each place.
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

HOME = "canary"
SPACE = f"{HOME}-0"
LOGIN = json.dumps({"auths": {HOST: {"username": "robot", "password": PASSWORD}}})
FORMS = password_encodings()
SCHEDULER = ("exec", "-i", "-n", NAMESPACE, "airflow-scheduler-0", "-c", "scheduler", "--", "sh", "-c")
ASKING, APPLYING, CONNECTING = "► Check the login", "► Apply registry secrets", "► Write Airflow connections"


@pytest.fixture(scope="module")
def team(stack: Stack, airflow: AirflowApi) -> Iterator[TemporaryTeams]:
    with publish_teams(stack, airflow, HOME, teams=1, volumes=1) as it:
        stack.kubectl("create", "serviceaccount", "team-pod", "-n", SPACE)
        yield it


@pytest.fixture
def folder() -> Iterator[Path]:
    """The folder for temporary files; its path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="canary-", dir="/tmp") as made:
        yield Path(made)


def every(form: str) -> Iterator[str]:
    for text in FORMS[form]:
        yield f"before {text.decode()} after"


@pytest.mark.parametrize("form", FORMS)
def test_the_search_finds_it_in_text_files_and_processes(folder: Path, form: str):
    for text in every(form):
        assert contains_password(text.encode())
        with scan_during(folder) as watch:
            (folder / "note").write_text(text)
            wait_for("a look at the file", lambda: looked(watch), deadline_s=60, interval_s=0.1)
            (folder / "note").unlink()
        assert watch.findings == {"note"}
    command = ["sleep", "60", *every(form)]
    told = subprocess.Popen(["sleep", "60"], env={"TOLD": next(every(form))})
    shown = subprocess.Popen(["sh", "-c", "read line; exit 0", *command], stdin=subprocess.PIPE)
    try:
        with scan_during(folder) as watch:
            pass
        assert watch.findings == {"environ of a process", "cmdline of a process"}
    finally:
        for process in (told, shown):
            process.kill()
            process.wait()


def looked(watch: Scanner) -> None:
    if "note" not in watch.findings:
        raise NotYet(f"{watch.scans} looks")


@pytest.mark.parametrize("form", FORMS)
def test_the_search_finds_it_in_annotations_and_logs(stack: Stack, team: TemporaryTeams, form: str):
    text = next(every(form))
    base = {**POD["spec"]["containers"][0], "command": ["echo", text]}
    meta = {"name": "singer", "namespace": SPACE}
    pod = {**POD, "metadata": meta, "spec": {**POD["spec"], "restartPolicy": "Never", "containers": [base]}}
    note = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**meta, "annotations": {"note": text}}}
    stack.kubectl(
        "apply",
        "--server-side",
        "-f",
        "-",
        stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": [pod, note]}),
    )
    stack.kubectl(*SCHEDULER, "cat > /opt/airflow/logs/canary", stdin=text)
    part = default_paths().log("canary")
    part.write_text(text)
    try:
        ended = "--for=jsonpath={.status.phase}=Succeeded"
        stack.kubectl("wait", "pod/singer", "-n", SPACE, ended, "--timeout=60s", timeout_s=70)
        assert {f"Pod {SPACE}/singer", f"ConfigMap {SPACE}/singer"} <= find_in_objects(stack)
        assert {f"log of {SPACE}/singer", "the tasks' logs", part.name} <= find_in_logs(stack)
    finally:
        part.unlink()
        stack.kubectl("delete", "pod,configmap", "singer", "-n", SPACE, "--grace-period=1", "--ignore-not-found")
        stack.kubectl("delete", "events", "--all", "-n", SPACE)
        stack.kubectl(*SCHEDULER, "rm -f /opt/airflow/logs/canary")


def test_the_audit_log_has_a_text_in_the_form_in_which_it_is_looked_for(stack: Stack):
    """By another text, since what is in that log stays there."""
    name = f"stand-in/+&<>=%3 {secrets.token_hex(8)}"
    stack.kubectl("auth", "whoami", "--as", name)
    written = read_tail(default_paths().audit_log)
    assert [form in written for form in (name.encode(), *go_json_encodings(name))] == [False, True, False]


@dataclass(frozen=True)
class Outcome:
    """What a run said, and what was seen while it ran."""

    code: int
    said: str
    watch: Scanner


def run(words: list[str | Path], env: dict[str, str], folder: Path, stop_at: str = "") -> Outcome:
    """Run a program that is given the sign-in on its standard input; stop it where it says something."""
    pipe = subprocess.PIPE
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder), **env}
    with (
        scan_during(folder) as watch,
        (folder.parent / f"{folder.name}.out").open("w+") as out,
        subprocess.Popen(words, env=variables, stdin=pipe, stdout=out, stderr=pipe, text=True) as process,
    ):
        assert process.stdin and process.stderr
        process.stdin.write(LOGIN)
        process.stdin.close()
        said = []
        for each in process.stderr:
            said.append(each)
            if stop_at and each.startswith(stop_at):
                process.send_signal(signal.SIGINT)
        code = process.wait(120)
        out.seek(0)
        said.append(out.read())
    Path(out.name).unlink()
    return Outcome(code, "".join(said), watch)


def nowhere(stack: Stack, outcome: Outcome, folder: Path, *, written: bool) -> None:
    """Hold that the password is in the Secret, if it was written, and in nothing else."""
    assert (contains_password(outcome.said.encode()), outcome.watch.findings) == (False, set())
    assert outcome.watch.scans > 10
    assert list(folder.iterdir()) == []
    assert find_in_objects(stack) == ({f"Secret {SPACE}/regcred"} if written else set())
    assert find_in_logs(stack) == set()


def words(programs: Path, *more: str | Path) -> list[str | Path]:
    return [programs / "platformctl", "bootstrap", "--namespace", HOME, "--yes", "--registry-config", "-", *more]


def test_a_run_that_ends_well_leaves_it_in_the_secret_alone(
    stack: Stack, airflow: AirflowApi, team: TemporaryTeams, programs: Path, folder: Path
):
    team.delete_objects(airflow)
    outcome = run(words(programs), stack.environment, folder)
    assert outcome.code == 0, outcome.said
    assert ASKING in outcome.said and CONNECTING in outcome.said
    assert "command" in outcome.watch.observed_files  # what ansible-runner writes about its call: it was looked at
    nowhere(stack, outcome, folder, written=True)


def test_a_run_without_platformctl_does_too(
    stack: Stack, airflow: AirflowApi, team: TemporaryTeams, programs: Path, folder: Path
):
    """By hand, told everything that Ansible tells; the sign-in comes from a Secret, for a file would be found."""
    from kpo_platform.bootstrap.ansible import runner

    team.delete_objects(airflow)
    assert run(words(programs), stack.environment, folder).code == 0
    stack.kubectl("create", "namespace", f"{HOME}-source")
    try:
        source = stack.get("secret", "regcred", "-n", SPACE)
        kept = {key: source[key] for key in ("apiVersion", "kind", "type", "data")}
        copy = {**kept, "metadata": {"name": "pull", "namespace": f"{HOME}-source"}}
        stack.kubectl("create", "-f", "-", stdin=json.dumps(copy))
        stack.kubectl("delete", "secret", "regcred", "-n", SPACE)
        playbook = Path(runner.__file__).parents[1] / "playbook" / "bootstrap.yml"
        given = ["-e", f"kpo_namespace={HOME}", "-e", f"kpo_registry_secret={HOME}-source/pull"]
        env = {**stack.environment, "LC_ALL": "C.UTF-8", "ANSIBLE_HOME": str(folder / "ansible")}
        outcome = run([programs / "ansible-playbook", playbook, "-vvv", *given], env, folder)
        assert outcome.code == 0, outcome.said
        assert (contains_password(outcome.said.encode()), outcome.watch.findings) == (False, set())
        assert outcome.watch.scans > 10
        assert find_in_objects(stack) == {f"Secret {SPACE}/regcred", f"Secret {HOME}-source/pull"}
        assert find_in_logs(stack) == set()
    finally:
        stack.kubectl("delete", "namespace", f"{HOME}-source", timeout_s=120)


@pytest.fixture(scope="module")
def cut(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CuttingProxy]:
    with run_cutting_proxy(stack, stack.service_address("airflow-api-server"), tmp_path_factory.mktemp("line")) as it:
        yield it


@pytest.mark.parametrize("after", ["secrets/registry-check", "secrets/regcred"])
def test_a_run_that_fails_leaves_it_in_no_other_place(
    stack: Stack, airflow: AirflowApi, team: TemporaryTeams, programs: Path, folder: Path, cut: CuttingProxy, after: str
):
    """The line is cut right after a Secret was written: while a node is asked, or in the middle of the playbook."""
    team.delete_objects(airflow)
    cut.reset()
    way = ("--kubeconfig", cut.kubeconfig(folder.parent), "--airflow-url", cut.url)
    assert run(words(programs, *way), {}, folder).code == 0
    number = next(
        place for place, write in enumerate(cut.writes, 1) if write.startswith("PATCH") and write.endswith(after)
    )
    team.delete_objects(airflow)
    cut.reset(number + 1)
    outcome = run(words(programs, *way), {}, folder)
    (folder.parent / "proxy").unlink()
    assert (outcome.code, "Error: No answer from" in outcome.said) == (3, True), outcome.said
    tidy(stack)
    nowhere(stack, outcome, folder, written=after == "secrets/regcred")


def tidy(stack: Stack) -> None:
    """Remove what a run whose line was cut could not: the next run does so, and the Secret goes with its pod."""
    stack.kubectl("delete", "pod,secret", "registry-check", "-n", SPACE, "--ignore-not-found", "--grace-period=1")


@pytest.mark.parametrize("moment", [ASKING, APPLYING, CONNECTING])
def test_a_run_that_is_stopped_leaves_it_in_no_other_place(
    stack: Stack, airflow: AirflowApi, team: TemporaryTeams, programs: Path, folder: Path, moment: str
):
    team.delete_objects(airflow)
    outcome = run(words(programs), stack.environment, folder, stop_at=moment)
    assert outcome.code == 130, outcome.said
    names = [each["metadata"]["name"] for each in stack.get("secrets", "-n", SPACE)["items"]]
    assert names == ([] if moment == ASKING else names)
    nowhere(stack, outcome, folder, written="regcred" in names)
