"""Terminal output: results on stdout, messages on stderr, colour only on a terminal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import click

from kpo_platform.pod import cluster_text


def sanitize(text: str) -> str:
    """Make text from a cluster safe for a terminal: one line, no control or direction characters."""
    return cluster_text.sanitize(text, sys.maxsize)


def choose_mark(*, healthy: bool, verified: bool) -> tuple[str, str | None]:
    """Return the sign and colour of a check: passed, failed or incomplete."""
    if not healthy:
        return "✗", "red"
    return ("✔", None) if verified else ("?", "yellow")


def format_count(number: int, noun: str) -> str:
    """Return a number and its noun, such as ``2 problems``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def write_lines(lines: Iterable[tuple[str, str | None]]) -> None:
    """Write lines of the result to stdout, each in its colour."""
    for text, colour in lines:
        click.secho(text, fg=colour, color=_use_colour())


def style_lines(lines: Iterable[tuple[str, str | None]]) -> Iterator[str]:
    """Return lines of the result, each in its colour if stdout is a terminal that shows it."""
    has_colour = sys.stdout.isatty() and _use_colour() is None
    return (f"{click.style(text, fg=colour) if colour and has_colour else text}\n" for text, colour in lines)


def write_json(content: Any) -> None:
    """Write the result to stdout as JSON, which escapes control characters."""
    click.echo(json.dumps(content, indent=2))


def write_message(text: str, colour: str | None = None) -> None:
    """Write a message to stderr."""
    click.secho(sanitize(text), fg=colour, err=True, color=_use_colour())


def write_refusals(error: Exception) -> None:
    """Write the refusals of a pod to stderr, one per line."""
    for reason in str(error).splitlines():
        write_message(f"✗ {reason}", "red")


def _use_colour() -> bool | None:
    # With None click checks for a terminal. NO_COLOR: https://no-color.org
    return False if os.environ.get("NO_COLOR") else None
