"""platformctl: output, messages and exit codes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from kpo_platform.cli.main import commands
from kpo_platform.cli.output import sanitize
from unit.support.http_server import Request, serving, status
from unit.support.platform_server import PASSWORD, Platform
from unit.support.platformctl import Cluster, Platformctl, environment, program

LOGIN = '{"auths": {"registry.test": {"username": "robot", "password": "s3cret"}}}'
UNVERIFIED = "login unverified (not checked from this machine: the registry's name cannot be resolved"
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


def test_first_run_creates_all_objects_and_the_second_changes_none(platformctl: Platformctl, cluster: Cluster):
    first = platformctl(*cluster.bootstrap, "--yes", "--registry-config", "-", stdin=LOGIN)
    assert (first.code, first.out) == (0, CREATED + EVIDENCE.replace("resolved)", f"resolved; {NO_NODE})"))
    assert first.err == (
        "► Reading the contract of namespace airflow and the current state\n"
        "► Check the login to registry registry.test from a node\n"
        "► Apply registry secrets and volume claims\n"
        "✔ Secret team-alpha/regcred\n"
        "✔ PersistentVolumeClaim team-alpha/data\n"
        "✔ PersistentVolumeClaim team-beta/data\n"
        "► Write Airflow connections\n"
        "✔ Connection k8s_default\n"
        "► Verifying the result\n"
    )
    assert cluster.platform.writes == 4
    second = platformctl(*cluster.bootstrap, "--yes", "--registry-config", "-", stdin=LOGIN)
    assert (second.code, second.out) == (0, UNCHANGED + EVIDENCE)
    assert cluster.platform.writes == 4


def test_dry_run_shows_the_plan_and_writes_nothing(platformctl: Platformctl, cluster: Cluster):
    result = platformctl(*cluster.bootstrap, "--dry-run", "--registry-config", "-", stdin=LOGIN)
    assert (result.code, result.out, cluster.platform.writes) == (0, CREATED, 0)


def test_detailed_exitcode_is_2_while_changes_are_pending(platformctl: Platformctl, cluster: Cluster):
    words = (*cluster.bootstrap, "--team", "beta", "--dry-run", "--detailed-exitcode")
    assert platformctl(*words).code == 2
    assert platformctl(*cluster.bootstrap, "--team", "beta", "--yes").code == 0
    assert platformctl(*words).code == 0


def test_missing_registry_credentials_block_only_the_secret(
    platformctl: Platformctl, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    result = platformctl(*cluster.bootstrap, "--yes")
    assert (result.code, cluster.platform.writes) == (1, 3)
    assert result.out.splitlines()[0] == (
        "! Secret team-alpha/regcred: no credentials for registry registry.test "
        "(no docker or podman configuration was found). "
        "Run docker login registry.test or pass --registry-config FILE, and run again"
    )
    assert (
        "✗ Secret team-alpha/regcred: does not exist. Log in to its registry, and run bootstrap again"
    ) in result.out.splitlines()


def test_json_output_of_bootstrap_is_complete(platformctl: Platformctl, cluster: Cluster):
    result = platformctl(*cluster.bootstrap, "--team", "beta", "--yes", "-o", "json")
    claim = {"kind": "PersistentVolumeClaim", "namespace": "team-beta", "name": "data"}
    airflow = {"kind": "Connection", "namespace": "", "name": "k8s_default"}
    note = "1Gi, ReadWriteOnce, class local (the default)"
    seen = "type kubernetes, in cluster, XCom sidecar registry.test/alpine:3"
    assert json.loads(result.out) == {
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


def test_exceeded_quota_stops_the_run_before_the_first_write(
    platformctl: Platformctl, cluster: Cluster, tmp_path: Path
):
    def full(request: Request) -> tuple[int, object]:
        refused = request.method == "PATCH" and "team-beta" in request.path
        return status(403, "exceeded quota: storage") if refused else cluster.platform(request)

    with serving(full) as server:
        words = ("--kubeconfig", server.kubeconfig(tmp_path), "--airflow-url", server.url)
        result = platformctl("bootstrap", *words, "--yes", "--registry-config", "-", stdin=LOGIN)
    assert (result.code, result.out, cluster.platform.writes) == (3, "", 0)
    assert result.err.splitlines()[-1] == (
        "Error: The API server refused to create or patch persistentvolumeclaims/data in namespace team-beta: "
        "exceeded quota: storage. Remove this cause, and run the command again."
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--detailed-exitcode"], "--detailed-exitcode requires --dry-run."),
        ([], "Cannot prompt: stdin is not a terminal. Pass --yes to apply or --dry-run to preview."),
        (["--yes", "--team", "alhpa"], "team 'alhpa' is not in the contract. Did you mean 'alpha'?"),
        (["--yes", "--timeout", "0"], "Invalid value for '--timeout': 0.0 is not in the range x>=1."),
        (
            ["--yes", "--airflow-url", "airflow"],
            "'airflow' is not a URL of Airflow. Pass a URL such as https://airflow.example.com.",
        ),
        (["--nonsense"], "No such option '--nonsense'."),
    ],
)
def test_wrong_usage_exits_with_64(platformctl: Platformctl, cluster: Cluster, words: list[str], sentence: str):
    result = platformctl(*cluster.bootstrap, *words)
    assert (result.code, result.out, cluster.platform.writes) == (64, "", 0)
    assert result.err.splitlines()[-1] == f"Error: {sentence}"


@pytest.mark.parametrize(
    ("answer", "code", "writes", "last"),
    [
        ("y\n", 0, 2, "► Verifying the result"),
        ("n\n", 3, 0, "Error: Cancelled. Nothing was changed."),
        ("", 130, 0, "Interrupted. Completed changes are kept. Run the same command again to continue."),
    ],
)
def test_bootstrap_prompts_at_a_terminal(
    platformctl: Platformctl, cluster: Cluster, answer: str, code: int, writes: int, last: str
):
    result = platformctl(*cluster.bootstrap, "--team", "beta", stdin=answer, terminal=True)
    assert (result.code, cluster.platform.writes) == (code, writes)
    assert result.err.splitlines()[-1].endswith(last)
    assert result.out.startswith("+ PersistentVolumeClaim team-beta/data: create")


def test_bootstrap_does_not_prompt_without_changes(platformctl: Platformctl, cluster: Cluster):
    assert platformctl(*cluster.bootstrap, "--team", "beta", "--yes").code == 0
    assert platformctl(*cluster.bootstrap, "--team", "beta", terminal=True).code == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_terminal_without_utf8_shows_no_traceback(cluster: Cluster, encoding: str):
    words = program(*cluster.bootstrap, "--team", "beta", "--dry-run")
    result = subprocess.run(words, env={**environment(), "PYTHONIOENCODING": encoding}, capture_output=True)
    assert (result.returncode, len(result.stdout.splitlines()), len(result.stderr.splitlines())) == (0, 3, 1)


def test_wrong_airflow_password_stops_before_the_first_write(platformctl: Platformctl, cluster: Cluster):
    admin = "/api/v1/namespaces/airflow/secrets/airflow-admin"
    cluster.platform.objects[admin]["data"]["password"] = "d3Jvbmc="
    result = platformctl(*cluster.bootstrap, "--yes", "--team", "beta")
    assert (result.code, result.out, cluster.platform.writes) == (3, "", 0)
    assert result.err.splitlines()[-1] == (
        f"Error: Airflow ({cluster.server.url}) rejected the user name or password. They come from "
        "Secret airflow/airflow-admin. Correct them there, or log in as another user with --airflow-username."
    )


def test_unreachable_cluster_exits_with_3(platformctl: Platformctl, tmp_path: Path):
    with serving(Platform()) as server:
        file = server.kubeconfig(tmp_path)
    result = platformctl("teams", "list", "--kubeconfig", file)
    assert (result.code, result.out) == (3, "")
    assert result.err.startswith(f"Error: No answer from the API server {server.url} to: list configmaps")


def test_teams_are_listed_and_shown(platformctl: Platformctl, cluster: Cluster):
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
        "Error: team 'gamma' is not in the contract. Use one of: alpha, beta.",
    )


def test_teams_list_warns_about_left_namespaces_of_this_release(platformctl: Platformctl, cluster: Cluster):
    cluster.platform.add_namespace("beta", name="old")
    cluster.platform.add_namespace("gamma")
    cluster.platform.add_namespace("delta", release_namespace="elsewhere")
    result = platformctl("teams", "list", *cluster.options)
    assert result.err.splitlines() == [
        "! Namespace old: team beta uses namespace team-beta now. Its volumes and secrets are kept.",
        "! Namespace team-gamma: team gamma is no longer declared. Its volumes and secrets are kept.",
    ]
    listed = json.loads(platformctl("teams", "list", "-o", "json", *cluster.options).out)
    assert listed.keys() == {"teams", "removed"}
    assert listed["teams"].keys() == {"alpha", "beta"}
    assert listed["removed"] == [{"name": "beta", "namespace": "old"}, {"name": "gamma", "namespace": "team-gamma"}]


def test_teams_list_works_without_the_right_to_list_namespaces(platformctl: Platformctl, cluster: Cluster):
    cluster.platform.refused.add("/api/v1/namespaces")
    result = platformctl("teams", "list", *cluster.options)
    assert (result.code, len(result.out.splitlines())) == (0, 3)
    assert result.err.startswith("Namespaces that no team uses any more are not shown. ")
    assert "list namespaces in the cluster" in result.err


def test_sanitize_removes_control_and_direction_characters():
    assert sanitize("a\x1b[31mb\r\nc\x00 \u202ed\u200be") == "a[31mb c de"


def list_commands(group: click.Group, *before: str) -> Iterator[list[str]]:
    """The arguments of every command and subcommand."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield [*before, name]
        if isinstance(command, click.Group):
            yield from list_commands(command, *before, name)


@pytest.mark.parametrize("words", [[], *list_commands(commands)], ids=" ".join)
def test_help_of_every_command_has_examples(platformctl: Platformctl, words: list[str]):
    result = platformctl(*words, "--help")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"Usage: platformctl {' '.join(words)}".rstrip())
    assert f" platformctl {' '.join(words)}".rstrip() in result.out.partition("Example")[2]


def test_shell_completion_offers_commands_and_options():
    words = {"COMP_WORDS": "platformctl bootstrap --dr", "COMP_CWORD": "2", "_PLATFORMCTL_COMPLETE": "bash_complete"}
    result = subprocess.run(program(), env={**environment(), **words}, capture_output=True, text=True)
    assert result.stdout.split() == ["plain,--dry-run"]
    words |= {"COMP_WORDS": "platformctl te", "COMP_CWORD": "1"}
    result = subprocess.run(program(), env={**environment(), **words}, capture_output=True, text=True)
    assert result.stdout.split() == ["plain,teams"]


def test_output_without_a_terminal_has_no_colour(cluster: Cluster):
    words = program(*cluster.bootstrap, "--team", "beta", "--dry-run")
    result = subprocess.run(words, env={**environment(), "TERM": "xterm-256color"}, capture_output=True)
    assert result.returncode == 0
    assert b"\x1b" not in result.stdout + result.stderr


def test_secrets_are_not_printed(platformctl: Platformctl, cluster: Cluster):
    result = platformctl(*cluster.bootstrap, "--yes", "--registry-config", "-", stdin=LOGIN)
    assert result.code == 0
    for secret in ("s3cret", "cm9ib3Q6", PASSWORD):
        assert secret not in result.out + result.err


def test_closed_pipe_shows_no_traceback(cluster: Cluster):
    words = program("teams", "show", "alpha", *cluster.options)
    pipe = subprocess.PIPE
    with subprocess.Popen(words, env=environment(), stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
