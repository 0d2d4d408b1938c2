"""Results that cannot be used: each is told as what it is."""

from __future__ import annotations

from typing import Any

import pytest

from kpo_platform.diagnosis.diagnose import diagnose
from kpo_platform.diagnosis.facts import Facts, TaskResult
from kpo_platform.pod.message_result import FIELDS, RESULT_FILE
from unit.support.diagnosis import IMAGE, build_pod, end_with, find_causes

PLAIN = {"name": "base", "image": IMAGE}
MESSAGE = {"containers": [{**PLAIN, **FIELDS}]}
SIDECAR = {"containers": [PLAIN, {"name": "airflow-xcom-sidecar", "image": "alpine:3"}]}


def succeed(text: str) -> Facts:
    pod = build_pod(MESSAGE, phase="Succeeded", containerStatuses=[end_with(0, "Completed", text)])
    return Facts(pod=pod)


def read(text: str | None = None, error: str = "") -> Facts:
    pod = build_pod(SIDECAR, phase="Running", containerStatuses=[end_with(0, "Completed")])
    return Facts(pod=pod, result=TaskResult(text, error))


def write(*log: str, spec: dict[str, Any] | None = None, code: int = 1) -> Facts:
    pod = build_pod(spec, phase="Failed" if code else "Succeeded", containerStatuses=[end_with(code)])
    return Facts(pod=pod, log_tail=log)


JSON = "The program succeeded, but its result is not JSON (line 1, column "


@pytest.mark.parametrize(
    ("text", "code", "sentence", "fix"),
    [
        ("", "KPO-RES101", f"The program succeeded, but its result is empty: {RESULT_FILE} does not exist", "directly"),
        (" \n", "KPO-RES101", "The program succeeded, but its result is empty", "leave out xcom"),
        (
            "{'a': 1}",
            "KPO-RES102",
            JSON + "2: Expecting property name enclosed in double quotes); it",
            "Python's notation",
        ),
        ("[None, 1]", "KPO-RES102", JSON + '2: Expecting value); it begins with "[None, 1]"', "Python's notation"),
        ('{"a": 1', "KPO-RES102", JSON, "ends too early"),
        (
            '{"a": 1}\n{"a": 2}',
            "KPO-RES102",
            "The program succeeded, but its result is not JSON (line 2, col",
            "single value",
        ),
        (
            "done \x1b[31m",
            "KPO-RES102",
            JSON + '1: Expecting value); it begins with "done \\u001b[31m"',
            "quotation marks",
        ),
        ("\ufeff1", "KPO-RES102", JSON, "byte order mark"),
        ("[" * 3000, "KPO-RES102", "The program succeeded, but its result cannot be parsed", "fewer levels"),
        (
            "[1, NaN]",
            "KPO-RES105",
            "The program succeeded, but its result has NaN, which does not exist in JSON",
            "null",
        ),
        ("-Infinity", "KPO-RES105", "The program succeeded, but its result has -Infinity", "null"),
        ('"a\ufffd"', "KPO-RES104", "The result has the character U+FFFD", "UTF-8"),
    ],
)
@pytest.mark.parametrize("build_facts", [succeed, read])
def test_content_is_told_as_what_it_is(build_facts: Any, text: str, code: str, sentence: str, fix: str):
    (cause,) = diagnose(build_facts(text)).causes
    assert cause.finding.code == code
    assert cause.finding.cause.startswith(sentence)
    assert fix in cause.finding.fix.text
    is_usable = code in ("KPO-RES101", "KPO-RES104", "KPO-RES105")
    assert (cause.finding.severity, cause.outlook) == (("warning", "waits") if is_usable else ("error", "final"))


def test_result_of_the_sidecar_that_is_empty_is_told():
    assert [cause[0] for cause in find_causes(read("__airflow_xcom_result_empty__\n"))] == ["KPO-RES101"]


def test_message_that_is_too_large_names_the_limit_and_the_sidecar():
    text = f'"{"a" * 5000}"'
    (cause,) = diagnose(succeed(text)).causes
    assert (cause.finding.code, cause.finding.evidence[-1]) == ("KPO-RES103", "5002 bytes")
    assert cause.finding.cause.endswith("is larger than the 4,095 bytes that its pod can report")
    assert 'xcom="sidecar"' in cause.finding.fix.text
    assert find_causes(read(text)) == []


@pytest.mark.parametrize(
    ("error", "code", "who"),
    [
        ("The program succeeded, but pod a lost its container airflow-xcom-sidecar before its", "KPO-RES108", ""),
        ("airflow-xcom-sidecar container is not running! Not possible to read xcom", "KPO-RES108", ""),
        ("The program succeeded, but pod a was deleted before its result was read.", "KPO-RES108", ""),
        ('HTTP status 403: pods "a" is forbidden: cannot create pods/exec', "KPO-RES109", "the platform team"),
        ("Pod a cannot give out the task's result: it has no container x", "KPO-RES110", "the platform team"),
        ("its result is larger than the 3,071 bytes", "KPO-RES103", ""),
        ("its result is not JSON: Expecting value: line 1 column 1", "KPO-RES102", ""),
        ("the node answered with HTTP 502", "KPO-RES100", ""),
    ],
)
def test_failed_read_is_told_by_its_error(error: str, code: str, who: str):
    (cause,) = diagnose(read(error=error)).causes
    assert (cause.finding.code, cause.finding.fix.who) == (code, who)
    assert cause.is_vague is (code == "KPO-RES100")


def test_lost_sidecar_tells_its_end():
    facts = read(error="lost its container airflow-xcom-sidecar")
    status = end_with(137, "OOMKilled", name="airflow-xcom-sidecar")
    facts.pod["status"]["containerStatuses"].append(status)
    assert find_causes(facts)[0][3].endswith("was gone before the result was read (OOMKilled, exit code 137)")


@pytest.mark.parametrize(
    "line",
    [
        "sh: can't create /airflow/xcom/return.json: nonexistent directory",
        "sh: 1: cannot create /airflow/xcom/return.json: Directory nonexistent",
        "bash: line 1: /airflow/xcom/return.json: No such file or directory",
        "FileNotFoundError: [Errno 2] No such file or directory: '/airflow/xcom/return.json'",
        "mkdir: can't create directory '/airflow/xcom': Permission denied",
        "mkdir: cannot create directory ‘/airflow/xcom’: Read-only file system",
    ],
)
def test_result_of_a_task_without_one_needs_xcom(line: str):
    first = diagnose(write("starting", line)).causes[0]
    assert (first.finding.code, first.finding.severity) == ("KPO-RES106", "error")
    assert "xcom=True" in first.finding.fix.text
    assert first.finding.fix.patch == {"spec": {"containers": [{"name": "base", **FIELDS}]}}
    ignored = diagnose(write(line, code=0)).causes
    assert [(cause.finding.code, cause.finding.severity) for cause in ignored] == [("KPO-RES106", "warning")]


@pytest.mark.parametrize(
    "line",
    [
        "mv: can't rename '/tmp/r': /airflow/xcom/return.json: Device or resource busy",
        "OSError: [Errno 18] Invalid cross-device link: '/w/r' -> '/airflow/xcom/return.json'",
        "PermissionError: [Errno 13] Permission denied: '/airflow/xcom/return.tmp'",
    ],
)
def test_file_beside_the_mounted_one_is_written_directly(line: str):
    assert find_causes(write(line, spec=MESSAGE))[0][0] == "KPO-RES107"


@pytest.mark.parametrize(
    ("command", "code"),
    [("run > /tmp/r && mv /tmp/r /airflow/xcom/return.json", "KPO-RES107"), ("mv /tmp/r /data/r", "KPO-END111")],
)
def test_move_whose_error_names_only_its_source_is_known_by_the_command(command: str, code: str):
    (base,) = MESSAGE["containers"]
    spec = {"containers": [{**base, "command": ["sh", "-c", command]}]}
    assert find_causes(write("mv: can't rename '/tmp/r': Permission denied", spec=spec))[0][0] == code


@pytest.mark.parametrize(
    "facts",
    [
        succeed("1"),
        succeed('{"a": [1.5, null]}'),
        read("{}"),
        read(),
        Facts(pod=build_pod(phase="Succeeded", containerStatuses=[end_with(0, "Completed", "no result")])),
        Facts(pod=build_pod(MESSAGE, phase="Running", containerStatuses=[{"name": "base", "state": {"running": {}}}])),
        Facts(pod=build_pod(MESSAGE)),
        write("wrote /airflow/xcom/return.json", code=0),
        Facts(),
    ],
)
def test_healthy_pod_has_no_problem(facts: Facts):
    assert find_causes(facts) == []
