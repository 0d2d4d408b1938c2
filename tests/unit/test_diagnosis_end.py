"""How a program ended: each cause is told apart by exit code, reason, log and the end of its pod."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kpo_platform.diagnosis.diagnose import diagnose
from kpo_platform.diagnosis.facts import Facts
from unit.support.contracts import TEAM, build_contract
from unit.support.diagnosis import IMAGE, build_event, build_pod, end_with, find_causes
from unit.support.pod_statuses import INITIALIZING, RUNNING, ended, target
from unit.support.pod_statuses import pod as build_status

NOW = datetime(2026, 11, 30, 10, 1, tzinfo=UTC)
FULL = 'Container base exceeded its local ephemeral storage limit "1Gi". '
CRASH_LOOP = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}}
BASE = {"name": "base", "image": IMAGE, "resources": {"limits": {"memory": "128Mi"}, "requests": {"memory": "64Mi"}}}
LIMITED = {"containers": [BASE]}
TRACEBACK = (
    "Traceback (most recent call last):",
    '  File "/app/job.py", line 3, in <module>',
    "    load(\x1b[31m1)",
    "sqlalchemy.exc.OperationalError: no table: postgresql://etl:hunter2@db/x",
    "(Background on this error at: https://sqlalche.me/e/20/e3q8)",
    "42 rows so far",
)


def end(code: int, *log: str, spec: dict[str, Any] | None = None, reason: str = "Error", **facts: Any) -> Facts:
    pod = build_pod(spec, phase="Failed", containerStatuses=[end_with(code, reason)])
    return Facts(pod=pod, log_tail=log, now=NOW, **facts)


def find_first(facts: Facts) -> tuple[str, str]:
    cause = find_causes(facts)[0]
    return cause[0], cause[3]


@pytest.mark.parametrize(
    ("code", "log", "expected", "text"),
    [
        (3, (), "KPO-END111", "The program failed with exit code 3"),
        (
            1,
            ("starting", "cannot open ledger", "bye"),
            "KPO-END111",
            "The program failed with exit code 1: cannot open",
        ),
        (
            1,
            ("a", "Caused by: java.io.IOException: x", "\tat b", "done"),
            "KPO-END111",
            "The program failed with exit code",
        ),
        (124, (), "KPO-END111", "The program failed with exit code 124"),
        (137, (), "KPO-END102", "The program was killed (SIGKILL, exit code 137), and Kubernetes does not say why"),
        (
            1,
            ("run.sh: line 3:    12 Killed                  python x",),
            "KPO-END102",
            "A process of the program was kil",
        ),
        (
            1,
            ("CalledProcessError: died with <Signals.SIGKILL: 9>.",),
            "KPO-END102",
            "A process of the program was killed",
        ),
        (143, (), "KPO-END103", "The program ended after SIGTERM (exit code 143)"),
        (139, (), "KPO-END104", "The program crashed: it accessed memory that is not its own (SIGSEGV, exit code 139)"),
        (134, (), "KPO-END105", "The program aborted itself (SIGABRT, exit code 134)"),
        (135, (), "KPO-END106", "The program has most probably filled its shared memory"),
        (
            1,
            ("DataLoader worker (pid 7) is killed by signal: Bus error.",),
            "KPO-END106",
            "The program has most probably",
        ),
        (
            132,
            (),
            "KPO-END107",
            "The program used an instruction that its processor does not have (SIGILL, exit code 132)",
        ),
        (130, (), "KPO-END107", "The program was ended by the signal SIGINT (exit code 130)"),
        (200, (), "KPO-END111", "The program failed with exit code 200"),
        (
            126,
            ("sh: ./job.sh: Permission denied",),
            "KPO-END108",
            'The command "./job.sh" cannot be executed (exit code 12',
        ),
        (126, (), "KPO-END108", "The command cannot be executed (exit code 126)"),
        (1, ("exec /app/job: exec format error",), "KPO-END110", 'The node cannot execute the file "/app/job"'),
        (1, ("OSError: [Errno 8] Exec format error: '/tmp/x'",), "KPO-END110", "The node cannot execute the file ("),
        (
            126,
            ("bash: ./a: cannot execute binary file: Exec format error",),
            "KPO-END110",
            "The node cannot execute the",
        ),
        (
            1,
            ("numpy: Unable to allocate 8. GiB for an array",),
            "KPO-END112",
            "The program could not get more memory: numpy",
        ),
    ],
)
def test_exit_code_and_log_tell_the_cause(code: int, log: tuple[str, ...], expected: str, text: str):
    found, sentence = find_first(end(code, *log))
    assert found == expected
    assert sentence.startswith(text)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("sh: 1: lod: not found", '"lod" '),
        ("bash: line 1: lod: command not found", '"lod" '),
        ("/bin/sh: lod: not found", '"lod" '),
        ("zsh:1: command not found: lod", '"lod" '),
        ("env: ‘lod’: No such file or directory", '"lod" '),
        ("env: can't execute 'lod': No such file or directory", '"lod" '),
        ("/run.sh: exec: lod: not found", '"lod" '),
        ("bash: ./lod: cannot execute: required file not found", '"./lod" '),
        ("nothing of use", ""),
    ],
)
def test_missing_command_is_named(line: str, name: str):
    text = f"The command {name}does not exist in the image {IMAGE} (exit code 127)"
    assert find_first(end(127, "starting", line)) == ("KPO-END109", text)


def test_missing_library_is_named():
    line = "./job: error while loading shared libraries: libpq.so.5: cannot open shared object file: No such file"
    assert find_first(end(127, line)) == (
        "KPO-END109",
        f'The shared library "libpq.so.5" does not exist in the image {IMAGE} (exit code 127)',
    )


def test_windows_line_ends_are_the_fix():
    (cause,) = diagnose(end(127, "env: ‘python3\\r’: No such file or directory")).causes
    assert cause.finding.fix.text == "The script has Windows line ends (CRLF): convert it to LF."


def test_exception_is_told_although_output_follows_it():
    assert find_first(end(1, *TRACEBACK)) == (
        "KPO-END111",
        "The program failed with exit code 1: sqlalchemy.exc.OperationalError: no table: postgresql://***@db/x",
    )


def test_exception_within_a_group_is_told():
    lines = (
        "  + Exception Group Traceback (most recent call last):",
        '  |   File "a.py", line 1, in <module>',
        "  | ExceptionGroup: two (1 sub-exception)",
        "  +-+---------------- 1 ----------------",
        "    | Traceback (most recent call last):",
        '    |   File "a.py", line 1, in f',
        "    | ValueError: no month 13",
        "    +------------------------------------",
    )
    assert find_first(end(1, *lines))[1] == "The program failed with exit code 1: ValueError: no month 13"


def test_termination_message_stands_in_for_the_log():
    pod = build_pod(phase="Failed", containerStatuses=[end_with(1, message="Error: no ledger\n")])
    assert find_first(Facts(pod=pod))[1] == "The program failed with exit code 1: Error: no ledger"


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("OSError: [Errno 30] Read-only file system: '/a'", "read-only"),
        ("PermissionError: [Errno 13] Permission denied: '/a'", "user of the pod"),
        ("ModuleNotFoundError: No module named 'pandas'", "Install the module"),
        ("job: error: unrecognized arguments: --day", "arguments"),
        ("ledger: upload failed", "Correct the program or its arguments; its log tells more."),
        ("10 rows read", "That is the last line of its log: look there for the cause."),
    ],
)
def test_known_error_has_its_own_fix(line: str, hint: str):
    assert hint in str(diagnose(end(2, line)).causes[0].finding.fix)


def killed(limits: dict[str, Any] | None = None, **team: Any) -> Facts:
    teams = build_contract(limits={**TEAM["limits"], "max": limits or {}}, **team).teams
    return end(137, spec=LIMITED, reason="OOMKilled", team=teams["alpha"])


def test_out_of_memory_names_limit_and_next_size():
    (cause,) = diagnose(killed()).causes
    assert str(cause) == (
        'The program ran out of memory: container "base" was killed at its limit of 128Mi (OOMKilled). Set '
        'size="large" (1Gi), or use less. [KPO-END101: docs/troubleshooting.md#kpo-end101]'
    )
    assert cause.finding.fix.patch == {
        "spec": {
            "containers": [{"name": "base", "resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "1Gi"}}}]
        }
    }


def test_next_size_has_no_gpu_for_a_program_without():
    sizes = {
        "a": {**TEAM["sizes"]["small"]},
        "gpu": {**TEAM["sizes"]["small"], "memory": "256Mi", "gpu": 1},
        "b": {**TEAM["sizes"]["small"], "memory": "512Mi"},
    }
    (cause,) = diagnose(killed(sizes=sizes, defaultSize="a")).causes
    assert cause.finding.fix.text == 'Set size="b" (512Mi), or use less.'


@pytest.mark.parametrize(
    ("highest", "who", "text", "amount"),
    [
        ({}, "", "No size of the team has more memory: set a higher limit in container_resources", "256Mi"),
        ({"memory": "192Mi"}, "", "No size of the team has more memory: set a higher limit in container_res", "192Mi"),
        (
            {"memory": "128Mi"},
            "the platform team",
            "No size of the team has more memory, and 128Mi is the team's m",
            "",
        ),
    ],
)
def test_largest_size_leaves_own_resources_or_the_platform_team(
    highest: dict[str, str], who: str, text: str, amount: str
):
    (cause,) = diagnose(killed(highest, sizes={"small": TEAM["sizes"]["small"]})).causes
    fix = cause.finding.fix
    assert (fix.who, fix.text.startswith(text)) == (who, True)
    patch = {"spec": {"containers": [{"name": "base", "resources": {"limits": {"memory": amount}}}]}}
    assert fix.patch == (patch if amount else None)


def test_out_of_memory_without_a_contract_doubles_the_limit():
    (cause,) = diagnose(end(137, spec=LIMITED, reason="OOMKilled")).causes
    assert cause.finding.fix.patch == {
        "spec": {"containers": [{"name": "base", "resources": {"limits": {"memory": "256Mi"}}}]}
    }


def test_out_of_memory_without_a_limit_is_the_nodes():
    assert find_first(end(137, reason="OOMKilled"))[1].endswith(
        "because its node or pod had no memory left; it has no limit of its own"
    )


def repeat(now: str, count: int, state: dict[str, Any]) -> Facts:
    last = end_with(137, "OOMKilled")["state"]
    status = {"name": "base", "state": state, "lastState": last, "restartCount": count}
    return Facts(pod=build_pod(LIMITED, phase="Running", containerStatuses=[status]), now=datetime.fromisoformat(now))


def test_program_that_is_started_again_is_told_by_its_former_end():
    (cause,) = diagnose(repeat("2026-11-30T10:00:10Z", 4, CRASH_LOOP)).causes
    assert (cause.finding.code, cause.finding.severity) == ("KPO-END101", "error")
    (again,) = diagnose(repeat("2026-11-30T10:00:10Z", 1, RUNNING)).causes
    assert (again.finding.code, again.finding.severity, again.outlook) == ("KPO-END101", "warning", "waits")
    assert again.finding.cause.endswith("; Kubernetes has started it again (1 time)")
    assert diagnose(repeat("2026-11-30T12:00:10Z", 4, RUNNING)).causes == ()


@pytest.mark.parametrize(
    "status",
    [
        build_status("Succeeded", ended(0)),
        build_status("Running", RUNNING),
        build_status("Running", ended(0), deleted=True),
        build_status("Succeeded", ended(0), sidecar=ended(137)),
        build_status("Succeeded", ended(0), **target("EvictionByEvictionAPI", "")),
        build_status("Running", RUNNING, **target("PreemptionByScheduler", "")),
        build_status("Pending", INITIALIZING),
        build_status("Pending"),
        {},
    ],
)
def test_healthy_pod_has_no_problem(status: dict[str, Any]):
    old = build_event("BackOff", "Back-off restarting failed container", "base")
    facts = Facts(pod=status, events=(old,), now=datetime(2026, 11, 29, 9, 20, 5, tzinfo=UTC), log_tail=("Killed",))
    assert find_causes(facts) == []


@pytest.mark.parametrize("junk", [None, [], "x", 3, {"a": []}, [None, 3]])
def test_malformed_pod_does_not_raise(junk: Any):
    for key in ("containerStatuses", "conditions", "reason", "message", "initContainerStatuses"):
        diagnose(Facts(pod=build_pod(phase="Failed", **{key: junk}), events=(junk,)))
    for key in ("containers", "volumes", "nodeName", "activeDeadlineSeconds"):
        pod = build_pod({key: junk}, phase="Failed", reason="Evicted", message=FULL)
        diagnose(Facts(pod=pod, events=(junk,)))
    terminated = {"exitCode": 137, "reason": junk, "message": junk, "finishedAt": junk}
    diagnose(Facts(pod=build_pod(containerStatuses=[{"name": "base", "state": {"terminated": terminated}}])))
