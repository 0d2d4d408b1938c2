"""How platformctl speaks: data on stdout, talk on stderr, colour only where a person sees it."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Iterable
from typing import Any

import click


def clean(text: str) -> str:
    """Text from a cluster made fit for a terminal: on one line, without control and direction characters."""
    flat = " ".join(text.split())
    return "".join(each for each in flat if unicodedata.category(each) not in ("Cc", "Cf"))


def mark(*, healthy: bool, verified: bool) -> tuple[str, str | None]:
    """The sign of something that was looked at, and its colour: well, wrong, or not seen whole."""
    if not healthy:
        return "✗", "red"
    return ("✔", None) if verified else ("?", "yellow")


def data_lines(lines: Iterable[tuple[str, str | None]]) -> None:
    """Write lines of the result to stdout, each with its colour."""
    for text, colour in lines:
        click.secho(text, fg=colour, color=_colour())


def data_json(content: Any) -> None:
    """Write the result to stdout as JSON, which escapes control characters itself."""
    click.echo(json.dumps(content, indent=2))


def say(text: str, colour: str | None = None) -> None:
    """Tell the person at the terminal something."""
    click.secho(clean(text), fg=colour, err=True, color=_colour())


def refused(error: Exception) -> None:
    """Tell why a pod is refused, every reason on a line of its own."""
    for reason in str(error).splitlines():
        say(f"✗ {reason}", "red")


def _colour() -> bool | None:
    # None lets click decide by whether there is a terminal; https://no-color.org asks for the rest.
    return False if os.environ.get("NO_COLOR") else None
