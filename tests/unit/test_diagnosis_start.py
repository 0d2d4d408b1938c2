"""Containers that a node cannot start."""

from __future__ import annotations

from typing import Any

import pytest

from kpo_platform.diagnosis.diagnose import diagnose
from kpo_platform.diagnosis.facts import Facts
from unit.support.contracts import build_contract
from unit.support.diagnosis import IMAGE, NAMESPACE, build_event, build_pod, end_with, find_causes, wait_for

POD = f"Pod {NAMESPACE}/report"
RUNC = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
INIT = f"{RUNC}unable to start container process: error during container init: "


def build_facts(status: dict[str, Any], spec: dict[str, Any] | None = None, **fields: Any) -> Facts:
    pod = build_pod({"nodeName": "node-1", **(spec or {})}, startTime="2026-11-30T09:59:59Z", **status)
    return Facts(pod=pod, **fields)


def wait(message: str, reason: str = "CreateContainerConfigError", **base: Any) -> Facts:
    return build_facts({"containerStatuses": [wait_for(reason, message)]}, build_spec(**base))


def fail(message: str, reason: str = "StartError", **base: Any) -> Facts:
    return build_facts({"phase": "Failed", "containerStatuses": [end_with(128, reason, message)]}, build_spec(**base))


def build_spec(**base: Any) -> dict[str, Any]:
    return {"containers": [{"name": "base", "image": IMAGE, **base}]}


def summarize(facts: Facts) -> list[tuple[str, str]]:
    return [cause[:2] for cause in find_causes(facts)]


@pytest.mark.parametrize(
    ("base", "place", "command"),
    [
        (
            {"envFrom": [{"secretRef": {"name": "db"}}]},
            "env_from",
            "create secret generic db --from-env-file=/dev/stdin",
        ),
        (
            {"env": [{"name": "PW", "valueFrom": {"secretKeyRef": {"name": "db", "key": "pw"}}}]},
            "env_vars or secrets (PW)",
            "create secret generic db --from-file=pw=/dev/stdin",
        ),
        ({}, "env_from or env_vars", "create secret generic db --from-env-file=/dev/stdin"),
    ],
)
def test_missing_secret_is_told_with_the_argument_that_refers_to_it(base: dict[str, Any], place: str, command: str):
    (cause,) = diagnose(wait('secret "db" not found', **base)).causes
    assert (cause.finding.code, cause.outlook, str(cause.finding.object)) == (
        "KPO-STA101",
        "grace",
        "Secret team-alpha/db",
    )
    assert cause.finding.cause == 'Secret "db" does not exist in team-alpha'
    assert cause.finding.fix.text.startswith(f"Correct {place}, or create it")
    assert cause.finding.fix.commands == (f"kubectl -n team-alpha {command}",)


def test_missing_config_map_of_the_team_is_for_the_platform_team():
    team = build_contract(envFrom=[{"configMapRef": {"name": "common"}}]).team("alpha")
    status = {"containerStatuses": [wait_for("CreateContainerConfigError", 'configmap "common" not found')]}
    (cause,) = diagnose(build_facts(status, team=team, team_name="alpha")).causes
    assert cause.finding.fix.text.startswith("Correct teams.alpha.envFrom, or create it")
    assert cause.finding.fix.who == "the platform team"


def test_missing_key_can_be_added_without_touching_others():
    environment = [{"name": "PW", "valueFrom": {"secretKeyRef": {"name": "db", "key": "pw"}}}]
    (cause,) = diagnose(wait("couldn't find key pw in Secret team-alpha/db", env=environment)).causes
    assert (cause.finding.code, cause.outlook) == ("KPO-STA102", "grace")
    assert cause.finding.cause == 'Secret "db" in team-alpha has no key "pw"'
    assert cause.finding.fix.text.startswith("Correct the key in env_vars or secrets (PW)")
    assert cause.finding.fix.commands == (
        "kubectl -n team-alpha create secret generic db --from-file=pw=/dev/stdin --dry-run=client -o yaml | "
        "kubectl -n team-alpha apply --server-side --field-manager=key-pw -f -",
    )


@pytest.mark.parametrize(
    ("message", "code", "outlook"),
    [
        ("container has runAsNonRoot and image will run as root (pod: x, container: base)", "KPO-STA103", "final"),
        ("container's runAsUser breaks non-root policy (pod: x, container: base)", "KPO-STA103", "final"),
        (
            "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root",
            "KPO-STA104",
            "final",
        ),
        ('failed to create subPath directory for volumeMount "v" of container "base"', "KPO-STA106", "grace"),
        ('failed to prepare subPath for volumeMount "v" of container "base"', "KPO-STA106", "grace"),
        ("failed to sync secret cache: timed out waiting for the condition", "KPO-STA112", "waits"),
        ("something new", "KPO-STA100", "grace"),
    ],
)
def test_refused_configuration_of_a_container_is_told(message: str, code: str, outlook: str):
    assert summarize(wait(message)) == [(code, outlook)]


def test_sub_path_that_cannot_be_used_is_named():
    mounts = [{"name": "v", "mountPath": "/v", "subPath": "raw/day"}, {"name": "w", "mountPath": "/w"}]
    message = 'failed to prepare subPath for volumeMount "v" of container "base"'
    (cause,) = diagnose(wait(message, volumeMounts=mounts)).causes
    assert cause.finding.cause.endswith(f'{message} (subPath "raw/day")')


def test_working_directory_that_cannot_be_created_is_no_mount():
    text = f"{INIT}mkdir /data/run.txt: not a directory: unknown"
    (cause,) = diagnose(wait(text, "RunContainerError")).causes
    assert cause.finding.code == "KPO-STA118"
    assert cause.finding.cause == (
        'The working directory /data/run.txt of the container "base" cannot be used: not a directory'
    )


def test_image_that_runs_as_root_gets_another_user():
    (cause,) = diagnose(wait("container has runAsNonRoot and image will run as root")).causes
    user = {"name": "base", "securityContext": {"runAsUser": 50000}}
    assert cause.finding.fix.patch == {"spec": {"containers": [user]}}


@pytest.mark.parametrize(
    ("message", "code", "outlook"),
    [
        (
            "failed to generate container spec: failed to generate spec: unable to find user app: no matching entries "
            "in passwd file",
            "KPO-STA105",
            "final",
        ),
        (
            f'{INIT}error mounting "/var/lib/kubelet/pods/u/volume-subpaths/c/base/0" to rootfs at "/etc/app": not a '
            "directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)?: unknown",
            "KPO-STA106",
            "grace",
        ),
        (
            f'{INIT}error mounting "/x" to rootfs at "/data": mkdirat: read-only file system: unknown',
            "KPO-STA107",
            "final",
        ),
        (f"{RUNC}container init was OOM-killed (memory limit too low?): unknown", "KPO-STA108", "final"),
        ("set memory limit 1048576 too low; should be at least 12582912 bytes", "KPO-STA108", "final"),
        ('cannot load seccomp profile "/x.json": open /x.json: no such file or directory', "KPO-STA109", "final"),
        ("failed to generate apparmor spec opts: apparmor profile not found strict", "KPO-STA109", "final"),
        (f"{RUNC}error running hook #0: nvidia-container-cli: initialization error", "KPO-STA110", "grace"),
        ("CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=0", "KPO-STA110", "grace"),
        ("failed to create containerd container: write /x: no space left on device", "KPO-STA111", "waits"),
        ('failed to reserve container name "a": name "a" is reserved for "b"', "KPO-STA112", "waits"),
        ("context deadline exceeded", "KPO-STA112", "waits"),
        ("failed to generate spec: no command specified", "KPO-STA119", "final"),
    ],
)
def test_container_that_cannot_be_created_is_told(message: str, code: str, outlook: str):
    assert summarize(wait(message, "CreateContainerError")) == [(code, outlook)]


@pytest.mark.parametrize(
    ("message", "code", "text"),
    [
        (
            f'{INIT}exec: "etl": executable file not found in $PATH: unknown',
            "KPO-STA114",
            f'The command "etl" does not exist in the image {IMAGE}',
        ),
        (
            f'{INIT}exec: "/app/run": stat /app/run: no such file or directory: unknown',
            "KPO-STA114",
            f'The command "/app/run" does not exist in the image {IMAGE}',
        ),
        (
            'container create failed: time="x" level=error msg="runc create failed: exec: \\"etl\\": executable file '
            'not found in $PATH"',
            "KPO-STA114",
            f'The command "etl" does not exist in the image {IMAGE}',
        ),
        (
            "container create failed: executable file `etl` not found in $PATH: No such file or directory",
            "KPO-STA114",
            f'The command "etl" does not exist in the image {IMAGE}',
        ),
        (
            f'{INIT}exec: "/app/run.sh": permission denied: unknown',
            "KPO-STA115",
            'The command "/app/run.sh" cannot be executed: it is a directory, or not executable for the user of the '
            "pod",
        ),
        (
            f'{INIT}exec: "/app": is a directory: unknown',
            "KPO-STA115",
            'The command "/app" cannot be executed: it is a directory, or not executable for the user of the pod',
        ),
        (
            "OCI runtime start failed: exec user process caused: exec format error: unknown",
            "KPO-STA116",
            'The command of the container "base" is built for another processor than that of the node, or is a script '
            "without a first line",
        ),
        (
            f"{INIT}exec /bin/sh: argument list too long: unknown",
            "KPO-STA117",
            'The arguments and variables of the container "base" are too long for the node',
        ),
        (
            f'{INIT}chdir to cwd ("/app") set in config.json failed: permission denied: unknown',
            "KPO-STA118",
            'The working directory /app of the container "base" cannot be used: permission denied',
        ),
        (
            f"{INIT}something new: unknown",
            "KPO-STA100",
            'The container "base" cannot be started: something new',
        ),
    ],
)
@pytest.mark.parametrize("reason", ["StartError", "ContainerCannotRun"])
def test_command_that_cannot_be_executed_is_told(message: str, code: str, text: str, reason: str):
    assert find_causes(fail(message, reason)) == [(code, "final", POD, text)]


@pytest.mark.parametrize(
    ("base", "executed", "patched"),
    [
        ({"command": ["echo hello"]}, "echo hello", {"command": ["echo", "hello"]}),
        ({"command": ["cat a | sort"]}, "cat a | sort", {"command": ["sh", "-c", "cat a | sort"]}),
        ({"args": ["run it", "-v"]}, "run it", {"args": ["run", "it", "-v"]}),
        ({"command": ["echo it's"]}, "echo it's", {"command": ["sh", "-c", "echo it's"]}),
    ],
)
def test_command_with_blanks_is_split_or_given_to_a_shell(
    base: dict[str, Any], executed: str, patched: dict[str, list[str]]
):
    (cause,) = diagnose(fail(f'{INIT}exec: "{executed}": executable file not found in $PATH', **base)).causes
    assert cause.finding.fix.patch == {"spec": {"containers": [{"name": "base", **patched}]}}


def test_script_that_is_not_executable_is_given_to_its_interpreter():
    facts = fail(f'{INIT}exec: "/app/run.sh": permission denied', command=["/app/run.sh", "-v"])
    (cause,) = diagnose(facts).causes
    command = {"name": "base", "command": ["sh", "/app/run.sh", "-v"]}
    assert cause.finding.fix.patch == {"spec": {"containers": [command]}}


def test_failed_exec_that_only_the_log_tells_is_found():
    status = {"phase": "Failed", "containerStatuses": [end_with(1)]}
    facts = build_facts(status, log_tail=("exec /app/run.sh: no such file or directory",))
    first, *others = diagnose(facts).causes
    assert (first.finding.code, first.finding.cause) == (
        "KPO-STA114",
        f'The command "/app/run.sh" does not exist in the image {IMAGE}',
    )
    assert all(cause.is_vague for cause in others)


def test_failed_hook_is_told_and_can_be_removed():
    event = build_event("FailedPostStartHook", "PostStartHook failed", "base")
    status = {"phase": "Failed", "containerStatuses": [end_with(137)]}
    first, *_ = diagnose(build_facts(status, events=(event,))).causes
    assert (first.finding.code, first.outlook) == ("KPO-STA113", "final")
    hook = {"name": "base", "lifecycle": {"postStart": None}}
    assert first.finding.fix.patch == {"spec": {"containers": [hook]}}


RUNNING = {"name": "base", "state": {"running": {"startedAt": "2026-11-30T10:00:00Z"}}}
BROKEN = end_with(128, "StartError", f'{INIT}exec: "x": executable file not found in $PATH', "sidecar")


@pytest.mark.parametrize(
    "facts",
    [
        build_facts({"containerStatuses": [wait_for("ContainerCreating")]}),
        build_facts({"containerStatuses": [wait_for("ErrImagePull", "not found")]}),
        build_facts({"phase": "Running", "containerStatuses": [RUNNING, BROKEN]}),
        build_facts({"phase": "Succeeded", "containerStatuses": [end_with(0, "Completed")]}),
        Facts(
            pod={
                "status": {"containerStatuses": [{"state": {"waiting": {"reason": 5}}}, "?"]},
                "spec": {"containers": 1},
            }
        ),
        Facts(),
    ],
)
def test_container_that_starts_has_no_finding(facts: Facts):
    assert [cause for cause in find_causes(facts) if "STA" in cause[0]] == []
