"""Work that goes on beside other work, and ends with it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from common.errors import ScriptError
from common.paths import REPOSITORY, cache_folder
from common.run import end_group, indent, last_lines

_DEADLINE_S = 1800.0
_GRACE_S = 10.0


@contextmanager
def beside(name: str, command: Sequence[str | Path]) -> Iterator[None]:
    """Run a command while the block runs, and wait for its end after the block.

    A block that fails, or Ctrl-C, ends the command with all its children.

    Args:
        name: names its log.
        command: program and arguments; it runs in scripts/.

    Raises:
        ScriptError: the block ended well, but the command failed or took half an hour more; has its last lines.
    """
    log = cache_folder("logs", f"{name}.log")
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
        raise ScriptError(f"{name} took longer than {_DEADLINE_S:g} s after all else was done (log: {log}).") from None
    finally:
        end_group(process, grace_s=_GRACE_S)
    if code:
        tail = indent(last_lines(log.read_text(errors="replace")))
        raise ScriptError(f"`{' '.join(map(str, command))}` failed with exit code {code} (log: {log}):\n{tail}")
