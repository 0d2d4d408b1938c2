"""Storage of benchmark results as JSON, and their page docs/benchmarks.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.machine import read_conditions
from common.files import write_atomically
from common.paths import REPOSITORY

_RESULTS = REPOSITORY / "docs" / "benchmarks"
_PAGE = REPOSITORY / "docs" / "benchmarks.md"
_INTRODUCTION = """# Benchmarks

Written by `scripts/bench NAME`, with a JSON file per benchmark. Compare ratios rather than seconds: machines differ. No
test depends on a figure.
"""


def write_result(name: str, result: dict[str, Any]) -> Path:
    """Write a result with its conditions, and render the page.

    Args:
        name: the benchmark's name.
        result: `title`, `text` (the description), `columns` and `rows`.

    Returns:
        The JSON file.
    """
    file = _RESULTS / f"{name}.json"
    write_atomically(file, json.dumps({**result, "conditions": read_conditions()}, indent=2, ensure_ascii=False) + "\n")
    results = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(_RESULTS.glob("*.json"))]
    write_atomically(_PAGE, "\n".join([_INTRODUCTION, *(render_section(result) for result in results)]))
    return file


def render_section(result: dict[str, Any]) -> str:
    """Return a result as a section of the page."""
    columns = result["columns"]
    rows = [columns, ["---"] * len(columns), *result["rows"]]
    table = "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)
    conditions = ", ".join(f"{name} {value}" for name, value in result["conditions"].items())
    return f"## {result['title']}\n\n{result['text']}\n\n{table}\n\nConditions: {conditions}.\n"
