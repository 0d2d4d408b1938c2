"""What a person wants to know of the cluster: which parts run, since when, and how one sees that they are well."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from common.waiting import NotYet
from local_cluster import processes
from local_cluster.addresses import API_SERVER
from local_cluster.cluster_paths import Layout
from local_cluster.components import Part, parts_of
from local_cluster.toolchain import programs


@dataclass(frozen=True)
class Health:
    """How a part is.

    Attributes:
        part: its name.
        pid: of its process; None when it does not run.
        since: when it was started, in seconds since 1970.
        well: whether it works.
        evidence: how one sees that.
    """

    part: str
    pid: int | None
    since: float | None
    well: bool
    evidence: str


def health(layout: Layout) -> list[Health]:
    """Ask every part how it is."""
    return [_health_of(layout, part) for part in parts_of(layout, programs()).values()]


def report(layout: Layout, parts: Sequence[Health]) -> str:
    """Give the state of the cluster as lines for a person."""
    rows = [("PART", "PID", "SINCE", "WELL", "EVIDENCE"), *(_row(part) for part in parts)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]) for row in rows
    ]
    addresses = [
        f"API server  {API_SERVER}",
        f"kubeconfig  {layout.admin_kubeconfig}",
        f"programs    {programs()}",
        f"logs        {layout.logs}",
    ]
    return "\n".join([*lines, "", *addresses])


def _health_of(layout: Layout, part: Part) -> Health:
    process = processes.find(layout, part.name)
    if not process:
        return Health(part.name, None, None, False, "not running")
    try:
        well, evidence = True, part.probe()
    except NotYet as seen:
        well, evidence = False, str(seen)
    return Health(part.name, process.pid, processes.since(layout, part.name), well, evidence)


def _row(part: Health) -> tuple[str, str, str, str, str]:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(part.since)) if part.since else "-"
    return (part.part, str(part.pid or "-"), since, "yes" if part.well else "NO", " ".join(part.evidence.split()))
