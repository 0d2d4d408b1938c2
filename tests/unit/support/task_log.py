"""The log of a task in tests."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Log:
    """A logger that collects its lines, those of a level above info with the level."""

    lines: list[str] = field(default_factory=list)

    def log(self, level: int, text: Any, *values: Any, **_: Any) -> None:
        name = "" if level <= logging.INFO else f"{logging.getLevelName(level).lower()}: "
        self.lines.append(name + (str(text) % values if values else str(text)))

    def debug(self, text: Any, *values: Any, **_: Any) -> None:
        """Drop it."""

    def info(self, text: Any, *values: Any, **_: Any) -> None:
        self.log(logging.INFO, text, *values)

    def warning(self, text: Any, *values: Any, **_: Any) -> None:
        self.log(logging.WARNING, text, *values)

    def error(self, text: Any, *values: Any, **_: Any) -> None:
        self.log(logging.ERROR, text, *values)

    exception = error
