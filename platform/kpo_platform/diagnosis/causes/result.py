"""Results of programs that have succeeded, but whose result cannot be used."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from kpo_platform.diagnosis.cause import PLATFORM_TEAM, Cause, Outlook, build_cause
from kpo_platform.diagnosis.causes.end.program_log import clean_line, find_line, read_lines
from kpo_platform.diagnosis.facts import Facts, Lookup
from kpo_platform.diagnosis.signals import Signal
from kpo_platform.finding import Fix, Rule, Severity
from kpo_platform.pod.message_result import FIELDS, RESULT_FILE, count_bytes
from kpo_platform.pod.xcom import XCOM_CONTAINER

RULES: dict[str, Rule] = {
    "result-unreadable": Rule("KPO-RES100", "Airflow can read the result."),
    "result-empty": Rule("KPO-RES101", "A program whose result is expected writes one."),
    "result-json": Rule("KPO-RES102", "The result is JSON."),
    "result-size": Rule("KPO-RES103", "The result fits into a termination message."),
    "result-encoding": Rule("KPO-RES104", "The result is UTF-8."),
    "result-number": Rule("KPO-RES105", "The numbers of the result exist in JSON."),
    "result-unexpected": Rule("KPO-RES106", "A task whose program writes a result has xcom=True."),
    "result-directly": Rule("KPO-RES107", "The program writes directly into the file of the result."),
    "result-lost": Rule("KPO-RES108", "The result is read before its container ends."),
    "result-right": Rule("KPO-RES109", "Airflow may run commands in the team's pods if results use the sidecar."),
    "result-path": Rule("KPO-RES110", "Nothing in the cluster changes how a pod gives out its result."),
}
"""The causes of this family by name."""

_EMPTY = "__airflow_xcom_result_empty__"
"""What the command in the sidecar prints if the file is empty or missing."""

_BEGINNING = 40
_FOLDER = RESULT_FILE.rpartition("/")[0]
_SIGNAL_REASON = "Completed"

_NO_FOLDER = re.compile(
    rf"{_FOLDER}.*(No such file|nonexistent directory|does not exist|cannot find|[Pp]ermission denied|Read-only|ENOENT)"
    rf"|(can't create|cannot create|No such file|nonexistent|[Pp]ermission denied|Read-only|ENOENT).*{_FOLDER}"
)
_INDIRECT = re.compile(
    rf"{_FOLDER}.*(resource busy|cross-device|[Pp]ermission denied|EBUSY|EXDEV|EACCES)"
    rf"|(resource busy|cross-device|[Pp]ermission denied|EBUSY|EXDEV|EACCES).*{_FOLDER}"
)
_MOVES = re.compile(rf"\bmv\b[^;&|]*{RESULT_FILE}")
_MOVE_ERROR = re.compile(r"\bmv: .*[Pp]ermission denied")
_ERRORS: tuple[tuple[str, str, str, Fix], ...] = (
    (
        "result-size",
        r"is larger than",
        "The result is too large for a termination message",
        Fix('Set xcom="sidecar", or write it to a volume or to object storage and return its path.'),
    ),
    (
        "result-json",
        r"not JSON|JSONDecodeError|Expecting |Extra data|Unterminated|Invalid control",
        "The program succeeded, but its result is not JSON",
        Fix(f"Write JSON to {RESULT_FILE}, for example with json.dump."),
    ),
    (
        "result-path",
        r"cannot give out|terminationMessagePath",
        "Something has changed the pod at its creation, so that its result cannot be read",
        Fix("Find what changes the team's pods, such as a mutating webhook, and exempt them.", who=PLATFORM_TEAM),
    ),
    (
        "result-right",
        r"\b403\b|[Ff]orbidden",
        "Airflow may not run commands in the pod, so it cannot read the result from the XCom sidecar",
        Fix('Set xcom="message"; or the platform team sets rbac.exec: true for the team.', who=PLATFORM_TEAM),
    ),
    (
        "result-lost",
        r"lost its container|was deleted before|is not running|no longer has|was lost",
        f"The program succeeded, but container {XCOM_CONTAINER} or the pod was gone before the result was read",
        Fix(
            "The work is done: mark the task successful, or clear it to do the work again. "
            'xcom="message" needs no sidecar.'
        ),
    ),
)
"""Errors of a read: the name in `RULES`, texts, the sentence and the fix."""


def find_result_problems(facts: Facts, lookup: Lookup) -> Iterator[Cause]:
    """Find why the result of a program cannot be used, or why it could not write one."""
    read = facts.result
    text = facts.program.result if read is None or read.text is None else read.text
    judged = _judge_text(facts, text) if text is not None and facts.program.exit_code in (0, None) else None
    if judged is not None:
        yield judged
    elif read is not None and read.error:
        yield _describe_error(facts, read.error)
    yield from _find_refused_writes(facts)


def _build(
    facts: Facts,
    name: str,
    text: str,
    fix: Fix,
    evidence: str = "",
    severity: Severity = "error",
    *,
    is_vague: bool = False,
) -> Cause:
    program = facts.program
    signal = Signal("terminated", program.reason or _SIGNAL_REASON, "", program.name, exit_code=program.exit_code)
    seen = (evidence,) if evidence else ()
    outlook: Outlook = "waits" if severity == "warning" else "final"
    cause = build_cause(
        RULES[name], facts.pod_ref, text, signal, fix, outlook, evidence=seen, is_vague=is_vague, severity=severity
    )
    return Cause(cause.finding, cause.outlook, "", cause.is_vague)


def _judge_text(facts: Facts, text: str) -> Cause | None:
    """Judge the content of the result file; None if it can be used."""
    size, limit = count_bytes(text), facts.state.result_limit
    if not text.strip() or text.strip() == _EMPTY:
        fix = Fix(f"Write JSON to {RESULT_FILE} directly; or leave out xcom if the task has no result.")
        cause = f"The program succeeded, but its result is empty: {RESULT_FILE} does not exist or has no content"
        return _build(facts, "result-empty", cause, fix, severity="warning")
    if facts.program.result == text and size >= limit:
        cause = f"The program succeeded, but its result is larger than the {limit - 1:,} bytes that its pod can report"
        return _build(facts, "result-size", cause, _ERRORS[0][3], f"{size} bytes")
    if (problem := _find_json_problem(text)) is not None:
        name, cause, advice = problem
        severity: Severity = "warning" if name == "result-number" else "error"  # Airflow stores null instead
        return _build(facts, name, cause, Fix(advice), severity=severity)
    if "\ufffd" in text:
        cause = "The result has the character U+FFFD: most probably the file was not UTF-8"
        return _build(facts, "result-encoding", cause, Fix("Write the file in UTF-8."), severity="warning")
    return None


def _find_json_problem(text: str) -> tuple[str, str, str] | None:
    """Find why a text is no JSON: the name in `RULES`, the sentence and the fix."""
    numbers: list[str] = []
    try:
        json.loads(text, parse_constant=numbers.append)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}: {error.msg}"
        cause = f"The program succeeded, but its result is not JSON ({where}); it begins with {_show_beginning(text)}"
        return "result-json", cause, _advise(text, error)
    except (ValueError, RecursionError) as error:
        cause = f"The program succeeded, but its result cannot be parsed: {clean_line(str(error))}"
        return "result-json", cause, "Write a simpler result, with fewer levels and smaller numbers."
    if numbers:
        cause = f"The program succeeded, but its result has {numbers[0]}, which does not exist in JSON"
        return "result-number", cause, "Write null or a text instead; json.dump(…, allow_nan=False) finds the place."
    return None


def _advise(text: str, error: json.JSONDecodeError) -> str:
    if error.msg == "Extra data":
        return f"Write a single value to {RESULT_FILE}, such as one list; no other output."
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
        return "The text ends too early: write it wholly, and close the file before the program ends."
    if re.match(r"[\[{(]\s*'|[\[{(].*\b(None|True|False)\b", text.strip()):
        return "This is Python's notation: write it with json.dump."
    if text[0] == "\ufeff":
        return "The file begins with a byte order mark: write UTF-8 without one."
    return f"Write JSON to {RESULT_FILE}, for example with json.dump: also a single text needs quotation marks."


def _show_beginning(text: str) -> str:
    shown = text[:_BEGINNING]
    return json.dumps(shown) + ("…" if len(text) > _BEGINNING else "")


def _describe_error(facts: Facts, error: str) -> Cause:
    """Describe why a result could not be read, by the words of the reader."""
    for name, pattern, text, fix in _ERRORS:
        if re.search(pattern, error):
            lost = facts.state.container(XCOM_CONTAINER) if name == "result-lost" else None
            why = f" ({lost.reason}, exit code {lost.exit_code})" if lost and lost.exit_code else ""
            return _build(facts, name, f"{text}{why}", fix, error)
    text = f"The program succeeded, but its result cannot be read: {clean_line(error).rstrip('. ')}"
    fix = Fix("Check the container and the node of the pod; a retry of the task reads the result.")
    return _build(facts, "result-unreadable", text, fix, is_vague=True)


def _find_refused_writes(facts: Facts) -> Iterator[Cause]:
    """Find in the log that the program could not write the file of the result."""
    program, lines = facts.program, read_lines(facts.log_tail, facts.program.message)
    if not program.is_terminated or not facts.find_container(program.name):
        return
    is_message = program.message_path == RESULT_FILE
    has_result = is_message or any(each.name == XCOM_CONTAINER for each in facts.state.containers)
    if not has_result and (line := find_line(_NO_FOLDER, lines)):
        text = f"The program cannot write its result, because the task has none: {line}"
        patch = {"spec": {"containers": [{"name": program.name, **FIELDS}]}}
        fix = Fix("Set xcom=True (do_xcom_push=True for the stock operator).", patch=patch)
        yield _build(facts, "result-unexpected", text, fix, severity=_weigh(facts))
    elif is_message and (line := find_line(_INDIRECT, lines) or _find_move(facts, lines)):
        text = f"The program cannot move a file to {RESULT_FILE} or create files beside it: {line}"
        fix = Fix(f"Write directly into {RESULT_FILE}, without a temporary file, mv or os.replace.")
        yield _build(facts, "result-directly", text, fix, severity=_weigh(facts))


def _find_move(facts: Facts, lines: list[str]) -> str:
    """Find the error of a move onto the file that names only the moved one: the command tells where it was to go."""
    spec = facts.find_container(facts.program.name)
    words = [word for key in ("command", "args") for word in spec.get(key) or () if isinstance(word, str)]
    is_moved = any(_MOVES.search(word) for word in words)
    return find_line(_MOVE_ERROR, lines) if is_moved else ""


def _weigh(facts: Facts) -> Severity:
    return "error" if facts.program.exit_code else "warning"
