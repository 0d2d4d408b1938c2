"""Running other programs: with a deadline, without a shell, with errors that name command and reason."""

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
from common.interrupt import ended_by_interrupt

Say = Callable[[str], None]
LINES_IN_ERROR = 12


class CommandError(ScriptError):
    """A command failed or took too long.

    Attributes:
        command: the command as one would type it.
        code: its exit code; None when it was ended at its deadline.
        output: the last lines it wrote.
    """

    def __init__(self, command: str, code: int | None, reason: str, output: str) -> None:
        self.command = command
        self.code = code
        self.output = output
        super().__init__(f"`{command}` {reason}" + (f"; its last words:\n{indent(output)}" if output else "."))


def indent(text: str) -> str:
    """Set every line of a text in by four columns."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def last_lines(text: str, count: int = LINES_IN_ERROR) -> str:
    """Give the last lines of a text that are not empty."""
    return "\n".join([line for line in text.splitlines() if line.strip()][-count:])


def capture(
    argv: Sequence[str | Path],
    *,
    timeout_s: float = 30,
    stdin: str = "",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a short command and give what it wrote to stdout.

    Args:
        argv: program and arguments; never put a secret there, every user of the machine can read it.
        timeout_s: seconds after which the command is ended.
        stdin: what it reads.
        cwd: the folder it runs in.
        env: variables to set beside those of this process.

    Raises:
        CommandError: it could not be started, failed, or took too long; carries its last lines.
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
    say: Say | None = None,
) -> None:
    """Run a long command, keep all its output in a log file, and tell its latest line while it runs.

    Args:
        argv: program and arguments; never put a secret there.
        log: the file that takes stdout and stderr; it is appended to.
        timeout_s: seconds after which the command is ended.
        cwd: the folder it runs in.
        env: variables to set beside those of this process.
        say: told the latest line of the output, about once a second.

    Raises:
        CommandError: it could not be started, failed, or took too long; carries its last lines.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a+", errors="replace") as stream:
        stream.seek(0, os.SEEK_END)
        start = stream.tell()
        ended = threading.Event()
        teller = threading.Thread(target=_tell, args=(log, start, say, ended), daemon=True)
        teller.start()
        try:
            _execute(argv, stream, stream, timeout_s=timeout_s, stdin="", cwd=cwd, env=env)
        except CommandError as error:
            output = last_lines(_content(stream, start))
            raise CommandError(
                error.command, error.code, f"{_reason(error.code, timeout_s)} (log: {log})", output
            ) from None
        finally:
            ended.set()
            teller.join()


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
            start_new_session=True,  # so that its children can be ended with it
        )
    except OSError as error:
        raise ScriptError(f"`{command}` could not be started: {error}.") from error
    with ended_by_interrupt(process.pid):
        try:
            process.communicate(stdin, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise CommandError(command, None, "", "") from None
        finally:
            end_group(process)
    if process.returncode:
        raise CommandError(command, process.returncode, "", "")


def end_group(process: subprocess.Popen[Any], first: signal.Signals = signal.SIGTERM, grace_s: float = 5) -> None:
    """End a command and its children: nothing it started outlives a deadline, an error or a Ctrl-C.

    Args:
        process: started in a session of its own; one that has ended already is left alone.
        first: the signal by which it may tidy up.
        grace_s: seconds it has for that, before it is killed.
    """
    for number in (first, signal.SIGKILL):
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(grace_s)


def _reason(code: int | None, timeout_s: float) -> str:
    return f"took longer than {timeout_s:g} s" if code is None else f"failed with exit code {code}"


def _content(stream: IO[str], start: int = 0) -> str:
    stream.flush()
    stream.seek(start)
    return stream.read()


def _tell(log: Path, start: int, say: Say | None, ended: threading.Event) -> None:
    if not say:
        return
    with log.open(errors="replace") as stream:
        stream.seek(start)
        while not ended.wait(1):
            if line := last_lines(stream.read(), 1):
                say(line)
