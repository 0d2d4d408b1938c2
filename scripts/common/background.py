"""A command that runs in the background of a block."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from common.command import end_process_group, indent, last_lines
from common.errors import ScriptError
from common.paths import REPOSITORY, cache_path

_DEADLINE_S = 1800.0
_GRACE_S = 10.0


@contextmanager
def run_in_background(name: str, command: Sequence[str | Path]) -> Iterator[None]:
    """Run a command during the block, and wait for its end after the block.

    If the block fails or is interrupted, the command and its children are terminated.

    Args:
        name: the name of its log file.
        command: program and arguments; the working directory is scripts/.

    Raises:
        ScriptError: the block succeeded, but the command failed or ran half an hour longer; contains its last lines.
    """
    log = cache_path("logs", f"{name}.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as stream:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=REPOSITORY / "scripts",
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        yield
        code = process.wait(_DEADLINE_S)
    except subprocess.TimeoutExpired:
        raise ScriptError(
            f"{name} timed out: it still ran {_DEADLINE_S:g} s after all other work. See {log}."
        ) from None
    finally:
        end_process_group(process, grace_s=_GRACE_S)
    if code:
        tail = indent(last_lines(log.read_text(errors="replace")))
        raise ScriptError(f"`{' '.join(map(str, command))}` failed with exit code {code} (log: {log}):\n{tail}")
