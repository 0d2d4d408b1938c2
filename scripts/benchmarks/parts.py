"""A benchmark of several parts in one JSON file: each item is stored as soon as it is measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS, write_result
from common.files import write_atomically
from common.steps import Steps

Measured = Mapping[str, Mapping[str, Any]]
"""Part → the commit at which it was measured, and its items."""


@dataclass(frozen=True)
class Section:
    """A section of docs/benchmarks.md.

    Attributes:
        name: of the JSON file.
        build: builds the section from the measured parts.
        draw: draws the plot; empty if its parts are not measured.
        figure: the plot's file, beside the JSON file; empty without a plot.
    """

    name: str
    build: Callable[[Measured], dict[str, Any]]
    draw: Callable[[Measured], str] = lambda _: ""
    figure: str = ""

    def write_figure(self, parts: Measured) -> None:
        """Write the plot, or delete it if nothing for it is measured."""
        if not self.figure:
            return
        if figure := self.draw(parts):
            write_atomically(RESULTS / self.figure, figure)
        else:
            (RESULTS / self.figure).unlink(missing_ok=True)


@dataclass
class Parts:
    """The parts of a section that are measured.

    Attributes:
        section: the section.
        conditions: of the measurement, for the page.
        parts: the parts.
    """

    section: Section
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
        self.section.write_figure(self.parts)
        section = self.section.build(self.parts)
        write_result(self.section.name, {**section, "conditions": self.conditions, "parts": self.parts})

    @property
    def _commit(self) -> str:
        return self.conditions["commit"]


@dataclass(frozen=True)
class Part:
    """A part of a benchmark.

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


def read_parts(section: Section, conditions: dict[str, str], folder: Path = RESULTS) -> Parts:
    """Read the stored parts.

    The files that the benchmark writes make the checkout dirty, so that a clean commit stays the same one.
    """
    file = folder / f"{section.name}.json"
    stored = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"parts": {}, "conditions": {}}
    is_same = stored["conditions"].get("commit") == conditions["commit"].removesuffix("-dirty")
    return Parts(section, stored["conditions"] if is_same else conditions, stored["parts"])


def complete_parts(steps: Steps, parts: Parts, plans: Iterable[Part]) -> None:
    """Measure what the stored parts lack."""
    for part in plans:
        _complete(steps, parts, part)


def _complete(steps: Steps, parts: Parts, part: Part) -> None:
    items = parts.read(part.name, len(part.plan))
    for number, subject in list(enumerate(part.plan, 1))[len(items) :]:
        with steps.step(f"{part.title}: {subject} ({number} of {len(part.plan)})"):
            items.append(part.measure(subject))
        parts.write(part.name, items)
