"""Shell commands read from pages in docs/, so that tests run what people copy."""

from __future__ import annotations

import os
import re
from pathlib import Path

from common.command import capture_output
from common.paths import REPOSITORY
from stack.release import Stack

_PAGES = REPOSITORY / "docs"
_LONGEST_S = 900


def read_commands(page: str, heading: str, language: str = "sh") -> list[str]:
    """Return the code blocks in a language below a heading of a page in docs/."""
    text = (_PAGES / page).read_text(encoding="utf-8")
    section = re.search(rf"^(#+) {re.escape(heading)}$(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert section, f"docs/{page} has no heading {heading!r}"
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", section[2], re.MULTILINE | re.DOTALL)
    assert blocks, f"docs/{page} has no {language} block below {heading!r}"
    return list(blocks)


def run_commands(stack: Stack, block: str, folder: Path) -> str:
    """Run a block of commands with bash in a folder; return stdout and stderr, interleaved.

    Raises:
        CommandError: a command failed; the commands after it did not run.
    """
    env = {**stack.environment, "PATH": f"{stack.programs}:{os.environ['PATH']}"}
    return capture_output(
        ["bash", "-euo", "pipefail", "-c", f"exec 2>&1\n{block}"], env=env, cwd=folder, timeout_s=_LONGEST_S
    )
