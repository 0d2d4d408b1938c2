"""Progress output: the current step, its duration so far, and the duration of finished steps.

On a terminal the current step is one line that is redrawn. Elsewhere, or with NO_COLOR, a step prints a line when it
starts, a line every 30 s, and a line when it ends. All output goes to stderr.
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

from common.files import write_atomically

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_REDRAW_S = 0.1
_PLAIN_INTERVAL_S = 30.0
_CLEAR_LINE = "\r\x1b[2K"


@dataclass(frozen=True)
class StepTime:
    """The result of one step.

    Attributes:
        name: name of the step.
        seconds: its duration.
        depth: 0 for an outer step, 1 for a step within it, and so on.
        outcome: `ok`, `failed` or `interrupted`.
    """

    name: str
    seconds: float
    depth: int
    outcome: str


@dataclass
class Step:
    """A running step."""

    name: str
    depth: int
    started: float = field(default_factory=time.monotonic)
    current_detail: str = ""

    @property
    def seconds(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self.started

    def detail(self, text: str) -> None:
        """Set the short text that is shown next to the step while it runs."""
        self.current_detail = " ".join(text.split())


class Steps:
    """Prints steps and records the duration of each.

    Attributes:
        times: the finished steps, in order of their ends.
    """

    def __init__(self, stream: TextIO | None = None, live: bool | None = None) -> None:
        """Initialize without steps.

        Args:
            stream: the output stream; stderr by default.
            live: redraw one line (True) or write plain lines (False); by default True for a terminal.
        """
        self.times: list[StepTime] = []
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty() and not os.environ.get("NO_COLOR") if live is None else live
        self._open: list[Step] = []
        self._writing = threading.Lock()

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Run the block as a step; the step fails if the block raises.

        Steps may be nested; inner steps are printed indented.

        Args:
            name: the step as an imperative, like "Start the API server".
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
        """Print a line between the steps."""
        with self._writing:
            self._write_line("  " * len(self._open) + text)

    def save(self, file: Path) -> None:
        """Save the durations of finished steps as a JSON list."""
        times = [{**asdict(time_), "seconds": round(time_.seconds, 2)} for time_ in self.times]
        write_atomically(file, json.dumps(times, indent=2, ensure_ascii=False) + "\n")

    def _begin(self, step: Step) -> None:
        with self._writing:
            if not self._live:
                self._write_line(f"{'  ' * step.depth}▸ {step.name}")
            elif self._open:
                # Keep the outer step's line above the inner one.
                self._write_line(f"{'  ' * self._open[-1].depth}▸ {self._open[-1].name}")
            self._open.append(step)
        if step.depth == 0:
            self._stopped = threading.Event()
            self._ticker = threading.Thread(target=self._tick, args=(self._stopped,), daemon=True)
            self._ticker.start()

    def _end(self, step: Step, outcome: str) -> None:
        if step.depth == 0:
            self._stopped.set()
            self._ticker.join()
        with self._writing:
            self._open.pop()
            self.times.append(StepTime(step.name, step.seconds, step.depth, outcome))
            self._write_line(self._end_line(step, outcome))

    def _end_line(self, step: Step, outcome: str) -> str:
        mark, color = ("✔", 32) if outcome == "ok" else ("✗", 31)
        if self._live:
            mark = f"\x1b[{color}m{mark}\x1b[0m"
        duration = f"{step.seconds:.1f} s" + ("" if outcome == "ok" else f", {outcome}")
        return f"{'  ' * step.depth}{mark} {step.name} ({duration})"

    def _tick(self, stopped: threading.Event) -> None:
        frame = 0
        while not stopped.wait(_REDRAW_S if self._live else _PLAIN_INTERVAL_S):
            with self._writing:
                if self._open and self._live:
                    self._redraw(self._open[-1], _SPINNER[frame % len(_SPINNER)])
                elif self._open:
                    self._write_line(_progress_line(self._open[-1]))
            frame += 1

    def _redraw(self, step: Step, spinner: str) -> None:
        line = f"{'  ' * step.depth}{spinner} {step.name}  {step.seconds:.0f} s  {step.current_detail}"
        self._stream.write(_CLEAR_LINE + line[: shutil.get_terminal_size().columns - 1])
        self._stream.flush()

    def _write_line(self, line: str) -> None:
        self._stream.write((_CLEAR_LINE if self._live else "") + line + "\n")
        self._stream.flush()


def _progress_line(step: Step) -> str:
    """Return the plain line of a step that still runs."""
    return f"{'  ' * step.depth}… {step.name}: {step.seconds:.0f} s" + (
        f", {step.current_detail}" if step.current_detail else ""
    )
