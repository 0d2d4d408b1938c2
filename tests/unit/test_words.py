"""Words that the project does not use, because readers of technical English stumble over them."""

from __future__ import annotations

import re

from common.command import capture_output
from common.paths import REPOSITORY

FOLDERS = ("platform", "helm", "scripts", "rbac", "pod_templates", "dags", "docs", "tests", "*.md")

WORDS = re.compile(
    r"\b(anew|beneath|for ever|mend(s|ed|ing)?|nobody(?!:)|somebody|whoever|another hand|goes on|unheard|doomed"
    r"|shut in|of no matter|speaks against)\b",
    re.IGNORECASE,
)


def test_texts_have_no_archaic_words():
    found = [
        f"{name}:{number}: {line.strip()}"
        for name in capture_output(["git", "ls-files", *FOLDERS], cwd=REPOSITORY).splitlines()
        if name != "tests/unit/test_words.py"
        if not (path := REPOSITORY / name).is_symlink()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if WORDS.search(line)
    ]
    assert found == []
