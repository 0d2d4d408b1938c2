"""Run programs with a deadline and without a shell; errors name the command and the cause."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from common.errors import ScriptError
from common.interrupt import forward_interrupts

Progress = Callable[[str], None]
LINES_IN_ERROR = 12


class CommandError(ScriptError):
    """A command failed or took too long.

    Attributes:
        command: the command line.
        code: its exit code; None after a timeout.
        output: the last lines of its output.
    """

    def __init__(self, command: str, code: int | None, reason: str, output: str) -> None:
        self.command = command
        self.code = code
        self.output = output
        super().__init__(f"`{command}` {reason}" + (f"; its last lines:\n{indent(output)}" if output else "."))


def indent(text: str) -> str:
    """Indent every line of a text by four columns."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def last_lines(text: str, count: int = LINES_IN_ERROR) -> str:
    """Return the last non-empty lines of a text."""
    return "\n".join([line for line in text.splitlines() if line.strip()][-count:])


def capture_output(
    argv: Sequence[str | Path],
    *,
    timeout_s: float = 30,
    stdin: str = "",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a short command and return its stdout.

    Args:
        argv: program and arguments; never a secret, which every user of the machine could read.
        timeout_s: seconds after which the command is terminated.
        stdin: the text for its stdin.
        cwd: its working directory.
        env: variables to add to those of this process.

    Raises:
        CommandError: it did not start, failed, or timed out; contains its last lines.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as out, tempfile.TemporaryFile("w+", errors="replace") as err:
        try:
            _execute(argv, out, err, timeout_s=timeout_s, stdin=stdin, cwd=cwd, env=env)
        except CommandError as error:
            output = _content(err) + _content(out)
            raise CommandError(error.command, error.code, _reason(error.code, timeout_s), last_lines(output)) from None
        return _content(out)


def run_logged(
    argv: Sequence[str | Path],
    log: Path,
    *,
    timeout_s: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> None:
    """Run a long command, append its output to a log file, and report its latest line.

    Args:
        argv: program and arguments; never a secret.
        log: the file for stdout and stderr; it is appended to.
        timeout_s: seconds after which the command is terminated.
        cwd: its working directory.
        env: variables to add to those of this process.
        progress: called with the latest line of the output, about once a second.

    Raises:
        CommandError: it did not start, failed, or timed out; contains its last lines.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a+", errors="replace") as stream:
        stream.seek(0, os.SEEK_END)
        start = stream.tell()
        end = threading.Event()
        reporter = threading.Thread(target=_report_lines, args=(log, start, progress, end), daemon=True)
        reporter.start()
        try:
            _execute(argv, stream, stream, timeout_s=timeout_s, stdin="", cwd=cwd, env=env)
        except CommandError as error:
            output = last_lines(_content(stream, start))
            raise CommandError(
                error.command, error.code, f"{_reason(error.code, timeout_s)} (log: {log})", output
            ) from None
        finally:
            end.set()
            reporter.join()


def _execute(
    argv: Sequence[str | Path],
    out: IO[str],
    err: IO[str],
    *,
    timeout_s: float,
    stdin: str,
    cwd: Path | None,
    env: Mapping[str, str] | None,
) -> None:
    words = [str(word) for word in argv]
    command = shlex.join(words)
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=err,
            text=True,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            start_new_session=True,  # so that its children can be terminated with it
        )
    except OSError as error:
        raise ScriptError(f"`{command}` did not start: {error}.") from error
    with forward_interrupts(process.pid):
        try:
            process.communicate(stdin, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise CommandError(command, None, "", "") from None
        finally:
            end_process_group(process)
    if process.returncode:
        raise CommandError(command, process.returncode, "", "")


def end_process_group(
    process: subprocess.Popen[Any], first: signal.Signals = signal.SIGTERM, grace_s: float = 5
) -> None:
    """Terminate a command and its children after a deadline, an error or Ctrl-C.

    Args:
        process: leader of a session of its own; ignored if it has exited.
        first: the signal that requests the exit.
        grace_s: seconds to exit before it is killed.
    """
    for number in (first, signal.SIGKILL):
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(grace_s)


def _reason(code: int | None, timeout_s: float) -> str:
    return f"timed out after {timeout_s:g} s" if code is None else f"failed with exit code {code}"


def _content(stream: IO[str], start: int = 0) -> str:
    stream.flush()
    stream.seek(start)
    return stream.read()


def _report_lines(log: Path, start: int, progress: Progress | None, end: threading.Event) -> None:
    if not progress:
        return
    with log.open(errors="replace") as stream:
        stream.seek(start)
        while not end.wait(1):
            if line := last_lines(stream.read(), 1):
                progress(line)
