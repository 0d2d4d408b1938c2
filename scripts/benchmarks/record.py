"""Storage of benchmark results as JSON, and their page docs/benchmarks.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.machine import read_conditions
from common.files import write_atomically
from common.paths import REPOSITORY

RESULTS = REPOSITORY / "docs" / "benchmarks"
PAGE = REPOSITORY / "docs" / "benchmarks.md"

_INTRODUCTION = """# Benchmarks

Written by `scripts/bench NAME`, with a JSON file per benchmark. Compare ratios rather than seconds: machines differ. No
test depends on a figure.
"""


def write_result(name: str, result: dict[str, Any]) -> Path:
    """Write a result with its conditions, and render the page.

    Args:
        name: the benchmark's name.
        result: `title`, `text` (the description), `columns` and `rows`; optional: `figure` (a file beside the JSON
            file), `tables` (further ones with `text`, `columns` and `rows`) and `conditions`, if not those of now.

    Returns:
        The JSON file.
    """
    file = RESULTS / f"{name}.json"
    conditions = result.get("conditions") or read_conditions()
    write_atomically(file, json.dumps({**result, "conditions": conditions}, indent=2, ensure_ascii=False) + "\n")
    write_atomically(PAGE, render_page())
    return file


def render_page() -> str:
    """Return the page of all results."""
    results = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    return "\n".join([_INTRODUCTION, *(render_section(result) for result in results)])


def render_section(result: dict[str, Any]) -> str:
    """Return a result as a section of the page."""
    figure = [f"![{result['title']}]({RESULTS.name}/{result['figure']})"] if "figure" in result else []
    parts = [f"## {result['title']}", result["text"], *figure, _render_table(result)]
    for table in result.get("tables", ()):
        parts += [table["text"], _render_table(table)]
    conditions = ", ".join(f"{name} {value}" for name, value in result["conditions"].items())
    return "\n\n".join([*parts, f"Conditions: {conditions}.\n"])


def _render_table(table: dict[str, Any]) -> str:
    columns = table["columns"]
    rows = [columns, ["---"] * len(columns), *table["rows"]]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)
