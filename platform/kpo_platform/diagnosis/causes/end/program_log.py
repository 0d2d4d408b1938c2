"""What the last lines of a program's log say about its end."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kpo_platform.pod.cluster_text import sanitize

_LONGEST, _LONGEST_READ = 300, 2000
_LAST = 40
"""How many of the last lines are searched for an error that has no traceback."""

_URL_LOGIN = re.compile(r"(://)[^\s:/@]{0,200}:[^\s/@]{1,200}@")
_TRACEBACK = "Traceback (most recent call last)"
_GROUP_MARGIN = re.compile(r"^\s*[|+] ?")
"""The margin of a traceback within an exception group."""

_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(:|$)")
_ERRORS = (
    re.compile(r"^(Caused by: |Exception in thread |panic: |Uncaught |Unhandled exception)|\bpanicked at\b"),
    re.compile(r"^(\w+\.)*\w*(Error|Exception)\b"),
    re.compile(r"\b(error|fatal|critical|failed|failure|cannot|can't|unable to|denied|not found)\b", re.IGNORECASE),
)
"""Lines that tell an error, the most telling kind first."""

_MISSING_COMMAND = (
    re.compile(r"command not found: (\S+)\s*$"),
    re.compile(r"(?:^|[\s:])([^\s:]+): (?:command )?not found\s*$"),
    re.compile(r"\bexec(?: failed)?:? \"?([^\s:\"]+)\"?: .*(?:not found|[Nn]o such file)"),
    re.compile(r"(?:^|[\s:])[‘'`\"]?([^\s:‘’'`\"]+)[’'\"]?: No such file or directory"),
    re.compile(r"(?:^|[\s:])([^\s:]+): cannot execute: required file not found"),
)
_MISSING_LIBRARY = re.compile(r"[Ee]rror (?:while )?loading shared librar(?:ies|y):? ([^\s:]+):")
_NOT_EXECUTABLE = re.compile(
    r"(?:^|[\s:\"])([^\s:\"]+)\"?: (?:[Pp]ermission denied|[Ii]s a directory|cannot execute)|cannot execute: (\S+)"
)
EXEC_FORMAT = re.compile(r"(?:([^\s:\"]+)\"?: )?(?:cannot execute binary file: )?exec format error", re.IGNORECASE)
"""The runtime or the shell cannot run a file; it is named, if the line names it."""

CHILD_KILLED = re.compile(
    r"^(.*: +)?(\d+ +)?Killed(\s*$|\s{2,})|[Ss]ignals?[. ]SIGKILL|SIGKILL: 9|killed by signal: (Killed|9)|"
    r"signal[: ]+9\b|terminated abruptly|sent SIGKILL|OutOfMemoryKiller|oom-kill",
)
"""A process that the program has started was killed."""

NO_MEMORY = re.compile(
    r"\bMemoryError\b|Cannot allocate memory|OutOfMemoryError|std::bad_alloc|heap out of memory|"
    r"Unable to allocate .* for an array|cannot allocate \d+ bytes|cannot allocate vector",
)
"""A program says that it got no memory."""

NO_SHARED_MEMORY = re.compile(r"insufficient shared memory|/dev/shm\b.*No space left|signal: Bus error")
"""A program has filled the shared memory of its container."""


def read_lines(tail: Sequence[str], message: str) -> list[str]:
    """Return the last lines of a log, or those of the termination message if the log is not known."""
    return [line[:_LONGEST_READ] for line in (tail or message.splitlines()) if line.strip()]


def clean_line(line: str) -> str:
    """Return a line of a log in a safe form: without control characters, without a password in a URL, not too long."""
    return sanitize(_URL_LOGIN.sub(r"\1***@", line), _LONGEST)


def find_error_line(lines: Sequence[str]) -> str:
    """Find the line that tells best why a program has failed; empty if there is none.

    What a Python program writes to its standard output may follow its traceback, so the last line need not be it.
    """
    if (exception := _find_exception(lines)) is not None:
        return clean_line(exception)
    for pattern in _ERRORS:
        if found := _find_last(pattern, lines[-_LAST:]):
            return clean_line(found)
    return clean_line(lines[-1]) if lines else ""


def has_error(lines: Sequence[str]) -> bool:
    """Whether a line tells an error, so that `find_error_line` does not just return the last one."""
    return _find_exception(lines) is not None or any(_find_last(pattern, lines[-_LAST:]) for pattern in _ERRORS)


def find_missing_command(lines: Sequence[str]) -> str:
    """Find the command that a shell has not found; empty if no line names one."""
    return _find_word(_MISSING_COMMAND, lines)


def find_missing_library(lines: Sequence[str]) -> str:
    """Find the shared library that the loader has not found; empty if no line names one."""
    return _find_word((_MISSING_LIBRARY,), lines)


def find_unexecutable_file(lines: Sequence[str]) -> str:
    """Find the file that could not be executed; empty if no line names one."""
    return _find_word((_NOT_EXECUTABLE,), lines)


def find_line(pattern: re.Pattern[str], lines: Sequence[str]) -> str:
    """Find the last line that matches, among the last ones; empty if none does."""
    return clean_line(_find_last(pattern, lines[-_LAST:]))


def _find_last(pattern: re.Pattern[str], lines: Sequence[str]) -> str:
    return next((line for line in reversed(lines) if pattern.search(line)), "")


def _find_exception(lines: Sequence[str]) -> str | None:
    """Find the exception of the last traceback: its first line that is not indented."""
    starts = [number for number, line in enumerate(lines) if _TRACEBACK in line]
    following = [_GROUP_MARGIN.sub("", line) for line in lines[starts[-1] + 1 :]] if starts else []
    return next((line for line in following if _EXCEPTION.match(line)), None)


def _find_word(patterns: Sequence[re.Pattern[str]], lines: Sequence[str]) -> str:
    for line in reversed(lines[-_LAST:]):
        for pattern in patterns:
            if match := pattern.search(line):
                return clean_line(next(filter(None, match.groups()), ""))
    return ""
