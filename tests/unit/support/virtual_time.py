"""Time that passes only in sleeps, and a logger that collects lines, for tests of waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class VirtualTime:
    """A clock that stands still except in `sleep`.

    Attributes:
        now: the time, in seconds.
        slept: all sleeps, in seconds.
        on_sleep: called at each sleep with its number, from 1.
    """

    now: float = 0.0
    slept: list[float] = field(default_factory=list)
    on_sleep: Callable[[int], None] = lambda number: None

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)
        self.on_sleep(len(self.slept))


@dataclass
class LogLines:
    """A logger that collects its lines, each with its level."""

    lines: list[str] = field(default_factory=list)

    def info(self, text: str, *values: Any) -> None:
        self.lines.append(f"info: {text % values}")

    def warning(self, text: str, *values: Any) -> None:
        self.lines.append(f"warning: {text % values}")
