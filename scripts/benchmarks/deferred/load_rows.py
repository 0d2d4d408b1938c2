"""The rows of the loaded triggers: what they need, how soon they see ends, and what is lost, doubled or late."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.deferred.variants import STOCK, TEAM

Item = Mapping[str, Any]
Items = Sequence[Item]
Rows = list[list[str]]

_COLUMNS = (STOCK, TEAM)
_NEEDS: tuple[tuple[str, str, Callable[[Item], str]], ...] = (
    ("requests per second while they wait", "≤ 2", lambda item: _format_rate(item["waiting"])),
    ("share of a core while they wait", "< 10 %", lambda item: _format_share(item["waiting"])),
    ("share of a core while they end", "", lambda item: _format_share(item["completing"])),
    (
        "memory of the process that runs the triggers, and of its container, MiB",
        "< 300",
        lambda item: "{runner:.0f}, {container:.0f}".format(**item["waiting"]["memory_mib"]),
    ),
)
_GOALS = {500: "p99 < 1", 5000: "p99 < 5"}


def build_load_rows(items: Items) -> Rows:
    """Build the rows of the loaded triggers, for each number of pods."""
    rows = []
    for pods in sorted({item["pods"] for item in items}):
        of_pods = {item["engine"]: item for item in items if item["pods"] == pods}
        for name, goal, format_item in _NEEDS:
            cells = [format_item(of_pods[engine]) if engine in of_pods else "" for engine in _COLUMNS]
            rows.append([f"{pods:,} deferred tasks: {name}", goal if pods == min(_GOALS) else "", *cells, ""])
        title = f"{pods:,} deferred tasks: end of the pod → seen by the trigger: p50, p99"
        rows.append([title, _GOALS.get(pods, ""), *(_format_seen(of_pods.get(engine)) for engine in _COLUMNS), ""])
    return rows


def build_loss_row(items: Items) -> Rows:
    """Build the row of the rounds in which losses are counted."""
    if not items:
        return []
    counts = ", ".join(str(sum(item[key] for item in items)) for key in ("lost", "doubled", "late"))
    total = sum(item["tasks"] for item in items)
    return [["lost, doubled, late tasks, loaded", "0", "", f"{counts} of {total:,}", ""]]


def _format_rate(usage: Item) -> str:
    return f"{sum(usage['requests'].values()) / usage['seconds']:.1f}"


def _format_share(usage: Item) -> str:
    return f"{100 * usage['cpu_s'] / usage['seconds']:.1f} %"


def _format_seen(item: Item | None) -> str:
    return "{p50:.2f}, {p99:.2f}".format(**item["seen"]) if item and item["seen"] else ""
