"""platformctl: what it prints where, and its exit codes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from kpo_platform.cli.main import commands
from kpo_platform.cli.output import clean
from unit.support.http_server import Request, serving, status
from unit.support.platform_server import PASSWORD, Platform
from unit.support.platformctl import Cluster, Platformctl, environment, program

LOGIN = '{"auths": {"registry.test": {"username": "robot", "password": "s3cret"}}}'
UNVERIFIED = "login unverified (not checked from this machine: its name cannot be resolved"
CREATED = f"""\
+ Secret team-alpha/regcred: create (registry registry.test; {UNVERIFIED}))
+ PersistentVolumeClaim team-alpha/data: create (1Gi, ReadWriteOnce, class local (the default))
+ PersistentVolumeClaim team-beta/data: create (1Gi, ReadWriteOnce, class local (the default))
+ Connection k8s_default: create (in cluster)
Plan: 4 to create, 0 to change, 0 unchanged, 0 blocked.
"""
UNCHANGED = f"""\
= Secret team-alpha/regcred: unchanged (registry registry.test; {UNVERIFIED}))
= PersistentVolumeClaim team-alpha/data: unchanged (1Gi, ReadWriteOnce, class local, Pending)
= PersistentVolumeClaim team-beta/data: unchanged (1Gi, ReadWriteOnce, class local, Pending)
= Connection k8s_default: unchanged (in cluster)
Plan: 0 to create, 0 to change, 4 unchanged, 0 blocked.
"""
WAITS = "1Gi, ReadWriteOnce, class local, Pending: its storage class binds it when a pod first uses it"
NO_NODE = "not checked from a node: this needs the rights of rbac/bootstrap-operator-registry.yaml"
EVIDENCE = f"""\
? Secret team-alpha/regcred: type kubernetes.io/dockerconfigjson, for registry.test; {UNVERIFIED})
✔ PersistentVolumeClaim team-alpha/data: {WAITS}
✔ PersistentVolumeClaim team-beta/data: {WAITS}
✔ Connection k8s_default: type kubernetes, in cluster, XCom sidecar registry.test/alpine:3
"""


def test_the_first_run_makes_everything_and_the_second_nothing(platformctl: Platformctl, cluster: Cluster):
    first = platformctl(*cluster.bootstrap, "--yes", "--registry-config", "-", stdin=LOGIN)
    assert (first.code, first.out) == (0, CREATED + EVIDENCE.replace("resolved)", f"resolved; {NO_NODE})"))
    assert first.err == (
        "► Reading the contract of namespace airflow, and what is there\n"
        "► Check the login to registry registry.test from a node\n"
        "► Apply registry secrets and volume claims\n"
        "✔ Secret team-alpha/regcred\n"
        "✔ PersistentVolumeClaim team-alpha/data\n"
        "✔ PersistentVolumeClaim team-beta/data\n"
        "► Write Airflow connections\n"
        "✔ Connection k8s_default\n"
        "► Reading everything back\n"
    )
    assert cluster.platform.writes == 4
    second = platformctl(*cluster.bootstrap, "--yes", "--registry-config", "-", stdin=LOGIN)
    assert (second.code, second.out) == (0, UNCHANGED + EVIDENCE)
    assert cluster.platform.writes == 4


def test_a_dry_run_shows_the_plan_and_writes_nothing(platformctl: Platformctl, cluster: Cluster):
    said = platformctl(*cluster.bootstrap, "--dry-run", "--registry-config", "-", stdin=LOGIN)
    assert (said.code, said.out, cluster.platform.writes) == (0, CREATED, 0)


def test_pending_changes_are_an_exit_code_when_asked_for(platformctl: Platformctl, cluster: Cluster):
    words = (*cluster.bootstrap, "--team", "beta", "--dry-run", "--detailed-exitcode")
    assert platformctl(*words).code == 2
    assert platformctl(*cluster.bootstrap, "--team", "beta", "--yes").code == 0
    assert platformctl(*words).code == 0


def test_a_registry_without_a_sign_in_is_a_finding_and_the_rest_is_done(
    platformctl: Platformctl, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    said = platformctl(*cluster.bootstrap, "--yes")
    assert (said.code, cluster.platform.writes) == (1, 3)
    assert said.out.splitlines()[0] == (
        "! Secret team-alpha/regcred: no credentials for registry registry.test "
        "(no docker or podman configuration was found). "
        "Run docker login registry.test or pass --registry-config FILE, and run again"
    )
    assert "✗ Secret team-alpha/regcred: does not exist" in said.out.splitlines()


def test_the_result_as_json_is_whole(platformctl: Platformctl, cluster: Cluster):
    said = platformctl(*cluster.bootstrap, "--team", "beta", "--yes", "-o", "json")
    claim = {"kind": "PersistentVolumeClaim", "namespace": "team-beta", "name": "data"}
    airflow = {"kind": "Connection", "namespace": "", "name": "k8s_default"}
    note = "1Gi, ReadWriteOnce, class local (the default)"
    seen = "type kubernetes, in cluster, XCom sidecar registry.test/alpine:3"
    assert json.loads(said.out) == {
        "applied": True,
        "actions": [
            {"action": "create", "target": claim, "changes": [], "note": note},
            {"action": "create", "target": airflow, "changes": [], "note": "in cluster"},
        ],
        "evidence": [
            {"target": claim, "healthy": True, "seen": WAITS, "verified": True},
            {"target": airflow, "healthy": True, "seen": seen, "verified": True},
        ],
    }


def test_what_the_server_would_refuse_is_known_before_the_first_write(
    platformctl: Platformctl, cluster: Cluster, tmp_path: Path
):
    def full(request: Request) -> tuple[int, object]:
        refused = request.method == "PATCH" and "team-beta" in request.path
        return status(403, "exceeded quota: storage") if refused else cluster.platform(request)

    with serving(full) as server:
        words = ("--kubeconfig", server.kubeconfig(tmp_path), "--airflow-url", server.url)
        said = platformctl("bootstrap", *words, "--yes", "--registry-config", "-", stdin=LOGIN)
    assert (said.code, said.out, cluster.platform.writes) == (3, "", 0)
    assert said.err.splitlines()[-1] == (
        "Error: The API server refused to create or patch persistentvolumeclaims/data in namespace team-beta: "
        "exceeded quota: storage"
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--detailed-exitcode"], "--detailed-exitcode needs --dry-run: after a run no change is pending."),
        (
            [],
            "Nobody can be asked, because there is no terminal: add --yes to do it, or --dry-run to only see the plan.",
        ),
        (["--yes", "--team", "alhpa"], "team 'alhpa' is not in the contract: did you mean 'alpha'?"),
        (["--yes", "--timeout", "0"], "Invalid value for '--timeout': 0.0 is not in the range x>=1."),
        (
            ["--yes", "--airflow-url", "airflow"],
            "'airflow' is not a URL of Airflow. Pass a URL such as https://airflow.example.com.",
        ),
        (["--nonsense"], "No such option '--nonsense'."),
    ],
)
def test_wrong_usage_is_a_sentence_and_64(platformctl: Platformctl, cluster: Cluster, words: list[str], sentence: str):
    said = platformctl(*cluster.bootstrap, *words)
    assert (said.code, said.out, cluster.platform.writes) == (64, "", 0)
    assert said.err.splitlines()[-1] == f"Error: {sentence}"


@pytest.mark.parametrize(
    ("answer", "code", "writes", "last"),
    [
        ("y\n", 0, 2, "► Reading everything back"),
        ("n\n", 3, 0, "Error: Nothing was changed: the answer was no."),
        ("", 130, 0, "Interrupted. What was done stays; run the same command again to go on."),
    ],
)
def test_at_a_terminal_a_person_is_asked(
    platformctl: Platformctl, cluster: Cluster, answer: str, code: int, writes: int, last: str
):
    said = platformctl(*cluster.bootstrap, "--team", "beta", stdin=answer, terminal=True)
    assert (said.code, cluster.platform.writes) == (code, writes)
    assert said.err.splitlines()[-1].endswith(last)
    assert said.out.startswith("+ PersistentVolumeClaim team-beta/data: create")


def test_nobody_is_asked_when_nothing_is_to_be_done(platformctl: Platformctl, cluster: Cluster):
    assert platformctl(*cluster.bootstrap, "--team", "beta", "--yes").code == 0
    assert platformctl(*cluster.bootstrap, "--team", "beta", terminal=True).code == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_utf8_is_no_traceback(cluster: Cluster, encoding: str):
    words = program(*cluster.bootstrap, "--team", "beta", "--dry-run")
    said = subprocess.run(words, env={**environment(), "PYTHONIOENCODING": encoding}, capture_output=True)
    assert (said.returncode, len(said.stdout.splitlines()), len(said.stderr.splitlines())) == (0, 3, 1)


def test_a_wrong_password_of_airflow_ends_before_anything_is_written(platformctl: Platformctl, cluster: Cluster):
    admin = "/api/v1/namespaces/airflow/secrets/airflow-admin"
    cluster.platform.objects[admin]["data"]["password"] = "d3Jvbmc="
    said = platformctl(*cluster.bootstrap, "--yes", "--team", "beta")
    assert (said.code, said.out, cluster.platform.writes) == (3, "", 0)
    assert said.err.splitlines()[-1] == (
        f"Error: Airflow ({cluster.server.url}) rejected the user name or password. They come from "
        "Secret airflow/airflow-admin. Correct them there, or log in as another user with --airflow-username."
    )


def test_no_cluster_is_a_sentence_and_3(platformctl: Platformctl, tmp_path: Path):
    with serving(Platform()) as server:
        file = server.kubeconfig(tmp_path)
    said = platformctl("teams", "list", "--kubeconfig", file)
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith(f"Error: No answer from the API server {server.url} to: list configmaps")


def test_the_teams_are_listed_and_shown(platformctl: Platformctl, cluster: Cluster):
    assert (
        platformctl("teams", "list", *cluster.options).out
        == platformctl("teams", *cluster.options).out
        == (
            "TEAM   NAMESPACE   REGISTRY       VOLUMES   CONNECTION\n"
            "alpha  team-alpha  registry.test  data 1Gi  k8s_default\n"
            "beta   team-beta   -              data 1Gi  k8s_default\n"
        )
    )
    shown = platformctl("teams", "show", "beta", "-o", "json", *cluster.options)
    account = {"name": "team-pod", "mountToken": False, "annotations": {}}
    assert json.loads(shown.out)["serviceAccount"] == account
    unknown = platformctl("teams", "show", "gamma", *cluster.options)
    assert (unknown.code, unknown.err.splitlines()[-1]) == (
        64,
        "Error: team 'gamma' is not in the contract: known are: alpha, beta.",
    )


def test_what_is_left_of_a_removed_team_is_told_and_the_same_of_other_releases_is_not(
    platformctl: Platformctl, cluster: Cluster
):
    cluster.platform.keep_namespace("beta", name="old")
    cluster.platform.keep_namespace("gamma")
    cluster.platform.keep_namespace("delta", release_namespace="elsewhere")
    said = platformctl("teams", "list", *cluster.options)
    assert said.err.splitlines() == [
        "! Namespace old: team beta has namespace team-beta now; the volumes and secrets in it are kept.",
        "! Namespace team-gamma: team gamma is declared no more; the volumes and secrets in it are kept.",
    ]
    listed = json.loads(platformctl("teams", "list", "-o", "json", *cluster.options).out)
    assert listed.keys() == {"teams", "removed"}
    assert listed["teams"].keys() == {"alpha", "beta"}
    assert listed["removed"] == [{"name": "beta", "namespace": "old"}, {"name": "gamma", "namespace": "team-gamma"}]


def test_who_may_not_list_namespaces_still_sees_the_teams(platformctl: Platformctl, cluster: Cluster):
    cluster.platform.refused.add("/api/v1/namespaces")
    said = platformctl("teams", "list", *cluster.options)
    assert (said.code, len(said.out.splitlines())) == (0, 3)
    assert said.err.startswith("Namespaces that no team has any more are not looked for: ")
    assert "list namespaces in the cluster" in said.err


def test_text_from_a_cluster_cannot_move_the_cursor_or_turn_the_text():
    assert clean("a\x1b[31mb\r\nc\x00 \u202ed\u200be") == "a[31mb c de"


def every_command(group: click.Group, *before: str) -> Iterator[list[str]]:
    """The words of every command, those of groups among them."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield [*before, name]
        if isinstance(command, click.Group):
            yield from every_command(command, *before, name)


@pytest.mark.parametrize("words", [[], *every_command(commands)], ids=" ".join)
def test_every_command_has_help_with_examples(platformctl: Platformctl, words: list[str]):
    said = platformctl(*words, "--help")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"Usage: platformctl {' '.join(words)}".rstrip())
    assert f" platformctl {' '.join(words)}".rstrip() in said.out.partition("Example")[2]


def test_the_shell_completes_commands_and_options():
    words = {"COMP_WORDS": "platformctl bootstrap --dr", "COMP_CWORD": "2", "_PLATFORMCTL_COMPLETE": "bash_complete"}
    said = subprocess.run(program(), env={**environment(), **words}, capture_output=True, text=True)
    assert said.stdout.split() == ["plain,--dry-run"]
    words |= {"COMP_WORDS": "platformctl te", "COMP_CWORD": "1"}
    said = subprocess.run(program(), env={**environment(), **words}, capture_output=True, text=True)
    assert said.stdout.split() == ["plain,teams"]


def test_there_is_no_colour_without_a_terminal(cluster: Cluster):
    words = program(*cluster.bootstrap, "--team", "beta", "--dry-run")
    said = subprocess.run(words, env={**environment(), "TERM": "xterm-256color"}, capture_output=True)
    assert said.returncode == 0
    assert b"\x1b" not in said.stdout + said.stderr


def test_the_secrets_of_a_run_are_printed_nowhere(platformctl: Platformctl, cluster: Cluster):
    said = platformctl(*cluster.bootstrap, "--yes", "--registry-config", "-", stdin=LOGIN)
    assert said.code == 0
    for secret in ("s3cret", "cm9ib3Q6", PASSWORD):
        assert secret not in said.out + said.err


def test_a_reader_that_goes_away_is_no_traceback(cluster: Cluster):
    words = program("teams", "show", "alpha", *cluster.options)
    pipe = subprocess.PIPE
    with subprocess.Popen(words, env=environment(), stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
