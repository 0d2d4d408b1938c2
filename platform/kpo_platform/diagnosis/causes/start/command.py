"""Commands that a container runtime cannot execute."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator

from kpo_platform.diagnosis.cause import Cause, build_cause
from kpo_platform.diagnosis.causes.end.program_log import clean_line
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.fixes.amounts import patch_containers
from kpo_platform.diagnosis.signals import Signal
from kpo_platform.finding import Fix, Rule
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.json_fields import read_text

RULES: dict[str, Rule] = {
    "start-command": Rule("KPO-STA114", "The image has the command of the container."),
    "start-executable": Rule("KPO-STA115", "The command of the container can be executed."),
    "start-format": Rule("KPO-STA116", "The command is built for the node's processor, or begins with #!."),
    "start-arguments": Rule("KPO-STA117", "The arguments and the environment of the container are not too long."),
    "start-directory": Rule("KPO-STA118", "The working directory of the container can be used."),
    "start-no-command": Rule("KPO-STA119", "The container or its image has a command."),
}
"""The causes of this module by name."""

MAKES_DIRECTORY = re.compile(r"container init: mkdir (\S+): (.*)")
"""The runtime creates the working directory; what it says of a mount names the mount."""

_DIRECTORY = re.compile(
    r"(?:chdir to (?:cwd )?\(?[\"'`\\]*|container init: mkdir )([^\"'`\\): ]+)[^:]*: *(.*)"
    r"|(?:working directory|\bcwd\b)(?P<rest>.*)"
)
_NO_COMMAND = re.compile(r"no command specified", re.IGNORECASE)
_TOO_LONG = re.compile(r"argument list too long", re.IGNORECASE)
_FORMAT = re.compile(r"exec format error", re.IGNORECASE)
_DENIED = re.compile(r"permission denied|is a directory|not a regular file|operation not permitted", re.IGNORECASE)
_MISSING = re.compile(
    r"executable file\b.*\bnot found|\bexec:? .*no such file|stat .*no such file|command .*not found",
    re.IGNORECASE,
)
EXEC = re.compile(r'\bexec: \\*"(.+?)\\*": ')
"""The runtime's words before a failed command."""

_EXECUTED = (
    EXEC,
    re.compile(r"executable file [`'](.+?)[`'] not found"),
    re.compile(r"\bexec(?: container process)? [`'\"]?(/?[^\s`'\":]+)[`'\"]?(?: failed)?: "),
    re.compile(r"the path [`'](.+?)[`']|open [`'](.+?)[`']"),
)
_EXEC_LINE = re.compile(
    r"^(?:\S+ )?exec (?:container process )?[`'\"]?/?[^\s`'\":]+[`'\"]?: "
    r"(no such file or directory|permission denied|argument list too long|is a directory)\W*$",
    re.IGNORECASE,
)
_SHELL = re.compile(r"[|&;<>$*`]")
_INTERPRETERS = {"sh": "sh", "bash": "bash", "py": "python"}


def describe_command(facts: Facts, signal: Signal) -> Cause | None:
    """Describe a command that cannot be executed; None if the signal is about something else."""
    message, container = signal.message.removesuffix(": unknown"), signal.container
    image = read_text(facts.find_container(container).get("image"))
    place = f"the image {image}" if image else "the image"
    command = _read_command(message)
    name = f'The command "{command}"' if command else f'The command of the container "{container}"'
    if _NO_COMMAND.search(message):
        text = f'Neither the container "{container}" nor {place} has a command'
        return _build(facts, signal, "start-no-command", text, Fix("Set cmds to the program, or CMD in the image."))
    if _TOO_LONG.search(message):
        text = f'The arguments and variables of the container "{container}" are too long for the node'
        fix = Fix("Pass long values in a file: a ConfigMap or Secret in volumes, or a volume.")
        return _build(facts, signal, "start-arguments", text, fix)
    if _FORMAT.search(message):
        text = f"{name} is built for another processor than that of the node, or is a script without a first line"
        fix = Fix("Build the image for the processor of the nodes, or add the first line, such as #!/bin/sh.")
        return _build(facts, signal, "start-format", text, fix)
    if found := _DIRECTORY.search(message):
        directory = read_text(facts.find_container(container).get("workingDir")) or (found[1] or "").strip()
        text = f"The working directory{f' {sanitize(directory, 200)}' if directory else ''} of the container "
        text += f'"{container}" cannot be used: {sanitize(found[2] or found["rest"], 200)}'.rstrip(": .")
        fix = Fix(
            "Correct workingDir in pod_override, or WORKDIR in the image: the user of the pod must be able to enter it."
        )
        return _build(facts, signal, "start-directory", text, fix)
    if _MISSING.search(message):
        return _build(
            facts, signal, "start-command", f"{name} does not exist in {place}", _advise(facts, container, command)
        )
    if _DENIED.search(message) and command:
        text = f"{name} cannot be executed: it is a directory, or not executable for the user of the pod"
        return _build(facts, signal, "start-executable", text, _advise_interpreter(facts, container, command))
    return None


def find_exec_problems(facts: Facts) -> Iterator[Cause]:
    """Find a command that failed after the runtime reported the start: the only line of the log tells it."""
    program, lines = facts.program, [line for line in facts.log_tail if line.strip()]
    if program.is_terminated and program.exit_code and len(lines) == 1 and _EXEC_LINE.search(lines[0].strip()):
        signal = Signal("terminated", program.reason or "Error", clean_line(lines[0]), program.name)
        if cause := describe_command(facts, signal):
            yield cause


def _build(facts: Facts, signal: Signal, name: str, text: str, fix: Fix) -> Cause:
    return build_cause(RULES[name], facts.pod_ref, text, signal, fix)


def _read_command(message: str) -> str:
    for pattern in _EXECUTED:
        if match := pattern.search(message):
            return sanitize(next(filter(None, match.groups()), ""), 200)
    return ""


def _advise(facts: Facts, container: str, command: str) -> Fix:
    """Advise on a command that does not exist; one with blanks was meant for a shell, or as several words."""
    field, words = _find_field(facts, container, command)
    argument = "arguments" if field == "args" else "cmds"
    if " " not in command.strip():
        hint = " If it is a script, the interpreter in its first line may be missing, too." if "/" in command else ""
        if command in ("bash", "/bin/bash"):
            hint = " Small images have sh instead of bash."
        return Fix(f"Correct {argument}, or install the command in the image.{hint}")
    new = ["sh", "-c", command] if _SHELL.search(command) else _split(command)
    patch = patch_containers(facts, {container: {field: [*new, *words[1:]]}}) if words else None
    rest = ", …" if words[1:] else ""
    text = f"{json.dumps(new, ensure_ascii=False)[:-1]}{rest}]"
    return Fix(f"A command is a list of words, and no shell reads it: {argument}={text}.", patch=patch)


def _advise_interpreter(facts: Facts, container: str, command: str) -> Fix:
    field, words = _find_field(facts, container, command)
    interpreter = _INTERPRETERS.get(command.rpartition(".")[2], "")
    text = "Make it executable in the image (chmod +x)"
    if not interpreter:
        return Fix(f"{text}, or correct cmds.")
    patch = patch_containers(facts, {container: {field: [interpreter, *words]}}) if words else None
    call = json.dumps([interpreter, command], ensure_ascii=False)
    return Fix(f"{text}, or call its interpreter: cmds={call}.", patch=patch)


def _find_field(facts: Facts, container: str, command: str) -> tuple[str, list[str]]:
    """Find the field of a container that begins with a command, and its words; without words if none does."""
    spec = facts.find_container(container)
    for field in ("command", "args"):
        words = spec.get(field)
        if isinstance(words, list) and words:
            texts = [word for word in words if isinstance(word, str)]
            return field, texts if texts[:1] == [command] else []
    return "command", []


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return ["sh", "-c", command]
