"""The measured parts in docs/benchmarks/sync.json: each item is stored as soon as it is measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS, write_result
from benchmarks.sync.page import FIGURE, build_result, draw_figure
from common.files import write_atomically

NAME = "sync"


@dataclass
class Parts:
    """The parts: name → the commit at which it was measured, and its items.

    Attributes:
        conditions: of the measurement, for the page.
        parts: the parts.
    """

    conditions: dict[str, str]
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def read(self, name: str, count: int) -> list[Any]:
        """Return the items of a part that this measurement keeps: all of a complete one, or those of this commit.

        Args:
            name: the part's name.
            count: the number of items of a complete part.
        """
        part = self.parts.get(name, {"commit": "", "items": []})
        is_kept = len(part["items"]) >= count or part["commit"] == self._commit
        return list(part["items"]) if is_kept else []

    def write(self, name: str, items: list[Any]) -> None:
        """Store the items of a part, and write the page."""
        self.parts[name] = {"commit": self._commit, "items": items}
        write_figure(self.parts)
        write_result(NAME, {**build_result(self.parts), "conditions": self.conditions, "parts": self.parts})

    @property
    def _commit(self) -> str:
        return self.conditions["commit"]


@dataclass(frozen=True)
class Part:
    """A part of the benchmark.

    Attributes:
        name: its name.
        plan: what each item measures, in order.
        measure: measures one item.
        title: of the progress.
    """

    name: str
    plan: tuple[str, ...]
    measure: Callable[[str], Any]
    title: str


def read_parts(conditions: dict[str, str], folder: Path = RESULTS) -> Parts:
    """Read the stored parts.

    The files that the benchmark writes make the checkout dirty, so that a clean commit stays the same one.
    """
    file = folder / f"{NAME}.json"
    stored = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"parts": {}, "conditions": {}}
    is_same = stored["conditions"].get("commit") == conditions["commit"].removesuffix("-dirty")
    return Parts(stored["conditions"] if is_same else conditions, stored["parts"])


def write_figure(parts: dict[str, dict[str, Any]]) -> None:
    """Write the plot, or delete it if nothing for it is measured."""
    figure = draw_figure(parts)
    if figure:
        write_atomically(RESULTS / FIGURE, figure)
    else:
        (RESULTS / FIGURE).unlink(missing_ok=True)
