"""How a program has ended: by its own failure, out of memory, by a signal, or because its pod was ended."""

from __future__ import annotations

import re
import signal as signals
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from kpo_platform.diagnosis.cause import Cause, build_cause
from kpo_platform.diagnosis.causes.end import termination
from kpo_platform.diagnosis.causes.end.program_log import (
    CHILD_KILLED,
    EXEC_FORMAT,
    NO_MEMORY,
    NO_SHARED_MEMORY,
    clean_line,
    find_error_line,
    find_line,
    find_missing_command,
    find_missing_library,
    find_unexecutable_file,
    has_error,
    read_lines,
)
from kpo_platform.diagnosis.causes.run.probe_kill import find_kill, find_recent_end
from kpo_platform.diagnosis.facts import Facts, Lookup
from kpo_platform.diagnosis.fixes.sizes import build_fix, read_limit
from kpo_platform.diagnosis.signals import Signal
from kpo_platform.finding import Fix, Rule
from kpo_platform.pod.disruption import find_termination
from kpo_platform.pod.json_fields import read_integer, read_object, read_objects, read_text
from kpo_platform.pod.outcome import OutcomeKind, decide_outcome
from kpo_platform.pod.state import CANNOT_START, ContainerState

RULES: dict[str, Rule] = {
    "out-of-memory": Rule("KPO-END101", "The program needs no more memory than its limit."),
    "process-kill": Rule("KPO-END102", "No process of the program is killed."),
    "program-stop": Rule("KPO-END103", "The program ends before it receives SIGTERM."),
    "segmentation-fault": Rule("KPO-END104", "The program accesses no memory that is not its own."),
    "abort": Rule("KPO-END105", "The program does not abort itself."),
    "shared-memory": Rule("KPO-END106", "The program needs no more shared memory than it has."),
    "program-signal": Rule("KPO-END107", "The program is not ended by a signal."),
    "not-executable": Rule("KPO-END108", "The command is a file that can be executed."),
    "command-missing": Rule("KPO-END109", "The image has the command."),
    "exec-format": Rule("KPO-END110", "The node can execute the program's file."),
    "program-failure": Rule("KPO-END111", "The program ends with exit code 0."),
    "no-memory": Rule("KPO-END112", "The program gets the memory that it asks for."),
    **termination.RULES,
}
"""The causes of this family by name."""

_SIGNAL_BASE = 128
_SHARED_MEMORY = "dshm"
_WITHOUT_LIMIT = Fix("Set size or container_resources, so that a node with enough memory is chosen.")
_LINE_ENDS = re.compile(r"(\\r|\r|\^M)['’\":]")
_HINTS = (
    (r"[Rr]ead-only file system|EROFS", "The file system of the image is read-only: write to a volume."),
    (
        r"[Pp]ermission denied|EACCES|Operation not permitted",
        "The user of the pod lacks this right: write to a volume or a directory of this user, or correct the owner in "
        "the image.",
    ),
    (r"No space left on device|ENOSPC|[Dd]isk quota exceeded", "Write less, or use a larger volume or size."),
    (
        r"ModuleNotFoundError|No module named|Cannot find module|ClassNotFoundException",
        "Install the module in the image, or correct its name.",
    ),
    (r"No such file or directory|FileNotFoundError|can't open file", "Correct the path, or add the file to the image."),
    (r"\busage: |unrecognized arguments|invalid (option|choice)", "Correct cmds or arguments."),
)
"""Texts of errors, and what helps."""


@dataclass(frozen=True)
class _Crash:
    """An end by a signal that tells its cause: its name in `RULES`, the sentence's end and the fix."""

    name: str
    text: str
    fix: str


_CRASHES = {
    11: _Crash(
        "segmentation-fault",
        "crashed: it accessed memory that is not its own",
        "Look for a library with native code: update it, and check that it fits the image's processor and C library. "
        "PYTHONFAULTHANDLER=1 in env_vars shows where a Python program crashes.",
    ),
    6: _Crash("abort", "aborted itself", "Look in its log for a failed assertion or an error of a native library."),
    4: _Crash(
        "program-signal",
        "used an instruction that its processor does not have",
        "Use a build for the processors of the nodes, or select nodes with node_selector.",
    ),
}


def find_end_problems(facts: Facts, lookup: Lookup) -> Iterator[Cause]:
    """Find why a program has ended without success, or why its pod is being ended."""
    outcome = decide_outcome(facts.state, container=facts.program.name, is_gone=facts.is_gone, events=facts.events)
    ended = facts.program if facts.program.is_terminated else None
    if outcome is None:
        if facts.state.deletion_requested_at and (cause := find_termination(facts.state)):
            yield termination.describe_termination(facts, lookup, cause)
            return
        ended = find_recent_end(facts, facts.program)
    elif outcome.termination is not None:
        yield termination.describe_termination(facts, lookup, outcome.termination)
        return
    elif outcome.kind is OutcomeKind.SUCCEEDED:
        return
    if ended is None or not ended.exit_code or ended.is_lost or ended.reason in CANNOT_START:
        return
    if find_kill(facts, ended) is None:
        found = _describe_end(facts, ended)
        yield found if facts.program.phase != "running" else _weaken(facts, found)


def _weaken(facts: Facts, cause: Cause) -> Cause:
    """Say that the program was started again; after one start it may go well."""
    statuses = read_objects(read_object(read_object(facts.pod).get("status")).get("containerStatuses"))
    status = next((each for each in statuses if each.get("name") == facts.program.name), {})
    count = read_integer(status.get("restartCount")) or 1
    text = f"{cause.finding.cause}; Kubernetes has started it again ({count} time{'s' * (count > 1)})"
    finding = replace(cause.finding, cause=text, severity="warning" if count == 1 else "error")
    return replace(cause, finding=finding, outlook="waits")


def _describe_end(facts: Facts, ended: ContainerState) -> Cause:
    lines, code = read_lines(facts.log_tail, ended.message), ended.exit_code or 0
    if ended.reason == "OOMKilled":
        return _describe_out_of_memory(facts, ended, lines)
    if find_line(EXEC_FORMAT, lines):
        return _describe_exec_format(facts, ended, lines)
    if code == _SIGNAL_BASE + signals.SIGBUS or find_line(NO_SHARED_MEMORY, lines):
        return _describe_shared_memory(facts, ended, lines)
    if code == _SIGNAL_BASE + signals.SIGKILL or find_line(CHILD_KILLED, lines):
        return _describe_kill(facts, ended, lines)
    if line := find_line(NO_MEMORY, lines):
        fix = build_fix(
            facts,
            ended.name,
            "memory",
            advice=", or use less; a limit of the program itself, such as -Xmx, may be lower",
        )
        return _build(facts, ended, lines, "no-memory", f"The program could not get more memory: {line}", fix)
    if code == 126:
        return _describe_unexecutable(facts, ended, lines)
    if code == 127:
        return _describe_missing_command(facts, ended, lines)
    if code > _SIGNAL_BASE and (name := _find_signal(code)):
        return _describe_signal(facts, ended, lines, name)
    return _describe_failure(facts, ended, lines)


def _build(
    facts: Facts, ended: ContainerState, lines: Sequence[str], name: str, text: str, fix: Fix, *, is_vague: bool = False
) -> Cause:
    reason = ended.reason or "Error"
    signal = Signal("terminated", reason, clean_line(ended.message), ended.name, exit_code=ended.exit_code)
    evidence = (f"exit code {ended.exit_code}", *(clean_line(line) for line in lines[-3:]))
    cause = build_cause(
        RULES[name], facts.pod_ref, text.rstrip(". "), signal, fix, evidence=evidence, is_vague=is_vague
    )
    return replace(cause, reason="") if reason == "Error" else cause


def _describe_out_of_memory(facts: Facts, ended: ContainerState, lines: Sequence[str]) -> Cause:
    limit = read_limit(facts, ended.name, "memory")
    text = f'The program ran out of memory: container "{ended.name}" was killed'
    if limit:
        text += f" at its limit of {limit}"
        return _build(
            facts, ended, lines, "out-of-memory", text, build_fix(facts, ended.name, "memory", advice=", or use less")
        )
    text += " because its node or pod had no memory left; it has no limit of its own"
    return _build(facts, ended, lines, "out-of-memory", text, _WITHOUT_LIMIT)


def _describe_kill(facts: Facts, ended: ContainerState, lines: Sequence[str]) -> Cause:
    """Describe an end by SIGKILL without a reason of Kubernetes: only the log may tell that a process was killed."""
    limit = read_limit(facts, ended.name, "memory")
    if line := find_line(CHILD_KILLED, lines):
        text = f"A process of the program was killed (exit code {ended.exit_code}), most probably because it ran "
        text += f'out of memory; the limit of container "{ended.name}" is {limit or "not set"}: {line}'
        raised = build_fix(facts, ended.name, "memory", advice=", or use less")
        return _build(facts, ended, lines, "process-kill", text, raised if limit else _WITHOUT_LIMIT)
    text = f"The program was killed (SIGKILL, exit code {ended.exit_code}), and Kubernetes does not say why"
    memory = build_fix(facts, ended.name, "memory")
    fix = Fix(f"It or a process that it starts may need more memory. {memory} Otherwise find what kills it.")
    return _build(facts, ended, lines, "process-kill", text, replace(fix, patch=memory.patch), is_vague=True)


def _describe_shared_memory(facts: Facts, ended: ContainerState, lines: Sequence[str]) -> Cause:
    text = f"The program has most probably filled its shared memory (exit code {ended.exit_code}): /dev/shm has 64 MiB"
    mount = {"name": _SHARED_MEMORY, "mountPath": "/dev/shm"}
    volume = {"name": _SHARED_MEMORY, "emptyDir": {"medium": "Memory"}}
    patch = {"spec": {"containers": [{"name": ended.name, "volumeMounts": [mount]}], "volumes": [volume]}}
    fix = Fix("Mount an emptyDir of medium Memory at /dev/shm, with volumes and volume_mounts.", patch=patch)
    return _build(facts, ended, lines, "shared-memory", text, fix)


def _describe_exec_format(facts: Facts, ended: ContainerState, lines: Sequence[str]) -> Cause:
    match = EXEC_FORMAT.search(find_line(EXEC_FORMAT, lines))
    name = f' "{clean_line(match[1])}"' if match and match[1] else ""
    text = f"The node cannot execute the file{name} (exec format error, exit code {ended.exit_code})"
    text += ": it is built for another processor, or is a script without a first line such as #!/bin/sh"
    fix = Fix("Build the image for the processor of the nodes, or add the first line.")
    return _build(facts, ended, lines, "exec-format", text, fix)


def _describe_unexecutable(facts: Facts, ended: ContainerState, lines: Sequence[str]) -> Cause:
    file = find_unexecutable_file(lines)
    text = f"The command {_quote(file)}cannot be executed (exit code 126)"
    fix = Fix('Make it executable in the image (chmod +x), or call its interpreter, such as cmds=["sh", "run.sh"].')
    return _build(facts, ended, lines, "not-executable", text, _correct_line_ends(lines) or fix)


def _describe_missing_command(facts: Facts, ended: ContainerState, lines: Sequence[str]) -> Cause:
    image = read_text(facts.find_container(ended.name).get("image"))
    place = f"in the image {image}" if image else "in the image"
    if library := find_missing_library(lines):
        text = f'The shared library "{library}" does not exist {place} (exit code 127)'
        fix = Fix("Install it in the image, or use a program that is built for this image.")
    else:
        text = f"The command {_quote(find_missing_command(lines))}does not exist {place} (exit code 127)"
        fix = Fix("Correct cmds and arguments, or install the command in the image.")
    return _build(facts, ended, lines, "command-missing", text, _correct_line_ends(lines) or fix)


def _describe_signal(facts: Facts, ended: ContainerState, lines: Sequence[str], name: str) -> Cause:
    code = ended.exit_code or 0
    if name == "SIGTERM":
        text = f"The program ended after SIGTERM (exit code {code}), although its pod was not deleted"
        fix = Fix("Find what sends it: a command such as timeout, another process of its container, or the program.")
        return _build(facts, ended, lines, "program-stop", text, fix, is_vague=True)
    crash = _CRASHES.get(code - _SIGNAL_BASE)
    if crash is None:
        text = f"The program was ended by the signal {name} (exit code {code})"
        return _build(
            facts,
            ended,
            lines,
            "program-signal",
            text,
            Fix("Find what sends the signal: the program itself, or another process of its container."),
            is_vague=True,
        )
    text = f"The program {crash.text} ({name}, exit code {code})"
    return _build(facts, ended, lines, crash.name, text, Fix(crash.fix))


def _describe_failure(facts: Facts, ended: ContainerState, lines: Sequence[str]) -> Cause:
    """Describe an end that the program chose; its log tells why."""
    line = find_error_line(lines)
    text = f"The program failed with exit code {ended.exit_code}{f': {line}' if line else ''}".rstrip(". ")
    hint = next((hint for pattern, hint in _HINTS if re.search(pattern, line)), "")
    if ended.exit_code == 124 and not hint:
        hint = "124 is the exit code of the command timeout: raise its limit."
    fix = Fix(hint or (_choose_advice(lines) if line else "Look for the cause in its log."))
    return _build(facts, ended, lines, "program-failure", text, fix, is_vague=True)


def _choose_advice(lines: Sequence[str]) -> str:
    if has_error(lines):
        return "Correct the program or its arguments; its log tells more."
    return "That is the last line of its log: look there for the cause."


def _correct_line_ends(lines: Sequence[str]) -> Fix | None:
    has_wrong_ends = any(_LINE_ENDS.search(line) for line in lines)
    return Fix("The script has Windows line ends (CRLF): convert it to LF.") if has_wrong_ends else None


def _find_signal(exit_code: int) -> str:
    try:
        return signals.Signals(exit_code - _SIGNAL_BASE).name
    except ValueError:
        return ""


def _quote(name: str) -> str:
    return f'"{name}" ' if name else ""
