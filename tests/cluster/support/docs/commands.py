"""The commands of docs/airflow.md, followed to the letter: what stands there is what is tested."""

from __future__ import annotations

import os
import re
from pathlib import Path

from common.command import capture_output
from common.paths import REPOSITORY
from stack.release import Stack

PAGE = REPOSITORY / "docs" / "airflow.md"
_LONGEST_S = 900


def commands(heading: str, language: str = "sh") -> list[str]:
    """Give the blocks of shell commands below a heading, or those in another language, as they stand on the page."""
    text = PAGE.read_text(encoding="utf-8")
    section = re.search(rf"^(#+) {re.escape(heading)}$(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert section, f"{PAGE} has no heading {heading!r}"
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", section[2], re.MULTILINE | re.DOTALL)
    assert blocks, f"there is no {language} below {heading!r} in {PAGE}"
    return list(blocks)


def follow(stack: Stack, block: str, folder: Path) -> str:
    """Type a block of commands into a shell, in a folder, and give what it printed, errors in their place.

    Raises:
        CommandError: one of them failed; those after it were not typed.
    """
    env = {**stack.environment, "PATH": f"{stack.programs}:{os.environ['PATH']}"}
    return capture_output(
        ["bash", "-euo", "pipefail", "-c", f"exec 2>&1\n{block}"], env=env, cwd=folder, timeout_s=_LONGEST_S
    )
