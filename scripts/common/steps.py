"""Progress for people: what is being done, for how long, and how long it took.

On a terminal the current step is one line that is redrawn; elsewhere, or with NO_COLOR, every step is a line when
it begins, a line now and then while it lasts, and a line when it ends. All of it goes to stderr.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TextIO

from common.files import write_whole

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_REDRAW_S = 0.1
_PLAIN_NEWS_S = 30.0
_CLEAR_LINE = "\r\x1b[2K"


@dataclass(frozen=True)
class StepTime:
    """How one step went.

    Attributes:
        name: what was done.
        seconds: how long it took.
        depth: 0 for a step of its own, 1 for a step within one, and so on.
        outcome: `ok`, `failed` or `interrupted`.
    """

    name: str
    seconds: float
    depth: int
    outcome: str


@dataclass
class Step:
    """A step that is being taken."""

    name: str
    depth: int
    started: float = field(default_factory=time.monotonic)
    now: str = ""

    @property
    def seconds(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self.started

    def detail(self, now: str) -> None:
        """Say what is happening now, in a few words; shown beside the step while it lasts."""
        self.now = " ".join(now.split())


class Steps:
    """Shows steps as they are taken and remembers how long each took.

    Attributes:
        times: the finished steps, in the order in which they ended.
    """

    def __init__(self, stream: TextIO | None = None, live: bool | None = None) -> None:
        """Begin a report.

        Args:
            stream: where it is shown; stderr by default.
            live: redraw one line (True) or write plain lines (False); by default whatever the stream can do.
        """
        self.times: list[StepTime] = []
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty() and not os.environ.get("NO_COLOR") if live is None else live
        self._open: list[Step] = []
        self._writing = threading.Lock()

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Take a step: it begins with the block, ends with it, and fails when the block raises.

        Steps may be nested; the inner ones are shown set in.

        Args:
            name: what is done, as an order, like "Start the API server".
        """
        step = Step(name, len(self._open))
        self._begin(step)
        outcome = "failed"
        try:
            yield step
            outcome = "ok"
        except KeyboardInterrupt:
            outcome = "interrupted"
            raise
        finally:
            self._end(step, outcome)

    def note(self, text: str) -> None:
        """Say something beside the steps, on a line of its own."""
        with self._writing:
            self._write_line("  " * len(self._open) + text)

    def save(self, file: Path) -> None:
        """Save the times of the finished steps as a JSON list."""
        times = [{**asdict(time_), "seconds": round(time_.seconds, 2)} for time_ in self.times]
        write_whole(file, json.dumps(times, indent=2, ensure_ascii=False) + "\n")

    def _begin(self, step: Step) -> None:
        with self._writing:
            if not self._live:
                self._write_line(f"{'  ' * step.depth}▸ {step.name}")
            elif self._open:
                # The outer step's line makes room for the inner one and stays to be read.
                self._write_line(f"{'  ' * self._open[-1].depth}▸ {self._open[-1].name}")
            self._open.append(step)
        if step.depth == 0:
            self._done = threading.Event()
            self._ticker = threading.Thread(target=self._tick, args=(self._done,), daemon=True)
            self._ticker.start()

    def _end(self, step: Step, outcome: str) -> None:
        if step.depth == 0:
            self._done.set()
            self._ticker.join()
        with self._writing:
            self._open.pop()
            self.times.append(StepTime(step.name, step.seconds, step.depth, outcome))
            self._write_line(self._last_line(step, outcome))

    def _last_line(self, step: Step, outcome: str) -> str:
        mark, color = ("✔", 32) if outcome == "ok" else ("✗", 31)
        if self._live:
            mark = f"\x1b[{color}m{mark}\x1b[0m"
        took = f"{step.seconds:.1f} s" + ("" if outcome == "ok" else f", {outcome}")
        return f"{'  ' * step.depth}{mark} {step.name} ({took})"

    def _tick(self, done: threading.Event) -> None:
        turn = 0
        while not done.wait(_REDRAW_S if self._live else _PLAIN_NEWS_S):
            with self._writing:
                if self._open and self._live:
                    self._redraw(self._open[-1], _SPINNER[turn % len(_SPINNER)])
                elif self._open:
                    self._write_line(_news(self._open[-1]))
            turn += 1

    def _redraw(self, step: Step, sign: str) -> None:
        line = f"{'  ' * step.depth}{sign} {step.name}  {step.seconds:.0f} s  {step.now}"
        self._stream.write(_CLEAR_LINE + line[: shutil.get_terminal_size().columns - 1])
        self._stream.flush()

    def _write_line(self, line: str) -> None:
        self._stream.write((_CLEAR_LINE if self._live else "") + line + "\n")
        self._stream.flush()


def _news(step: Step) -> str:
    """Describe a step that still lasts."""
    return f"{'  ' * step.depth}… {step.name}: {step.seconds:.0f} s" + (f", {step.now}" if step.now else "")
