"""Keep a benchmark's result as JSON, and show all results as tables in docs/benchmarks.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.machine import conditions
from common.files import write_atomically
from common.paths import REPOSITORY

_RESULTS = REPOSITORY / "docs" / "benchmarks"
_PAGE = REPOSITORY / "docs" / "benchmarks.md"
_INTRODUCTION = """# Benchmarks

Measured by `scripts/bench NAME`, which writes this page and the JSON files beside it. Machines differ and so will
your figures; compare ratios, not seconds. No test passes or fails by a figure.
"""


def record(name: str, result: dict[str, Any]) -> Path:
    """Write a result with its conditions and render the page anew.

    Args:
        name: the benchmark's name.
        result: `title`, `text` (what was measured), `columns` and `rows`.

    Returns:
        The JSON file.
    """
    file = _RESULTS / f"{name}.json"
    write_atomically(file, json.dumps({**result, "conditions": conditions()}, indent=2, ensure_ascii=False) + "\n")
    results = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(_RESULTS.glob("*.json"))]
    write_atomically(_PAGE, "\n".join([_INTRODUCTION, *(section(one) for one in results)]))
    return file


def section(result: dict[str, Any]) -> str:
    """Render one result as a section of the page."""
    columns = result["columns"]
    rows = [columns, ["---"] * len(columns), *result["rows"]]
    table = "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)
    taken = ", ".join(f"{name} {value}" for name, value in result["conditions"].items())
    return f"## {result['title']}\n\n{result['text']}\n\n{table}\n\nTaken with: {taken}.\n"
