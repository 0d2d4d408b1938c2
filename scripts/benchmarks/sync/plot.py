"""The plot of the stages: a bar per stage and engine, as SVG."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

_LABEL, _PLOT, _VALUE = 190, 400, 60
_BAR, _GAP, _HEAD = 9, 10, 40
_COLORS = ("#8a8f98", "#1f6feb")


def draw_bars(title: str, bars: Mapping[str, Mapping[str, float]]) -> str:
    """Return an SVG with a group of horizontal bars per row.

    Args:
        title: the title, also for readers who cannot see the plot.
        bars: row → series → seconds; a row may lack a series.
    """
    series = list(dict.fromkeys(name for row in bars.values() for name in row))
    longest = max((seconds for row in bars.values() for seconds in row.values()), default=0.0) or 1.0
    height, width = _BAR * len(series) + _GAP, _LABEL + _PLOT + _VALUE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_HEAD + height * len(bars)}" role="img" '
        f'aria-label="{escape(title)}" font-family="sans-serif" font-size="11">',
        f"<title>{escape(title)}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        *(_draw_legend(number, name) for number, name in enumerate(series)),
    ]
    for number, (row, values) in enumerate(bars.items()):
        top = _HEAD + number * height
        middle = top + _BAR * len(series) / 2 + 4
        parts.append(f'<text x="{_LABEL - 8}" y="{middle:g}" text-anchor="end">{escape(row)}</text>')
        parts += [
            _draw_bar(top + _BAR * index, values[name], longest, index)
            for index, name in enumerate(series)
            if name in values
        ]
    return "\n".join([*parts, "</svg>", ""])


def _draw_legend(number: int, name: str) -> str:
    left, color = _LABEL + 160 * number, _COLORS[number % len(_COLORS)]
    square = f'<rect x="{left}" y="14" width="10" height="10" fill="{color}"/>'
    return f'{square}<text x="{left + 16}" y="23">{escape(name)}</text>'


def _draw_bar(top: int, seconds: float, longest: float, index: int) -> str:
    width, color = _PLOT * max(seconds, 0.0) / longest, _COLORS[index % len(_COLORS)]
    bar = f'<rect x="{_LABEL}" y="{top}" width="{width:.1f}" height="{_BAR - 1}" fill="{color}"/>'
    return f'{bar}<text x="{_LABEL + width + 4:.1f}" y="{top + _BAR - 1}" font-size="9">{seconds:.2f}</text>'
