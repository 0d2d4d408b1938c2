"""Status of the cluster: process, start time and health of every component."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from common.polling import NotYet
from local_cluster import processes
from local_cluster.addresses import API_SERVER
from local_cluster.cluster_paths import ClusterPaths
from local_cluster.components import Component, cluster_components
from local_cluster.toolchain import programs_folder


@dataclass(frozen=True)
class Health:
    """Health of a component.

    Attributes:
        component: its name.
        pid: its process id; None if it does not run.
        start_time: in seconds since 1970.
        healthy: whether its probe succeeds.
        evidence: the observation of its probe.
    """

    component: str
    pid: int | None
    start_time: float | None
    healthy: bool
    evidence: str


def read_health(paths: ClusterPaths) -> list[Health]:
    """Probe every component."""
    return [_probe_component(paths, component) for component in cluster_components(paths, programs_folder()).values()]


def render_report(paths: ClusterPaths, components: Sequence[Health]) -> str:
    """Return the status of the cluster as a table."""
    rows = [("COMPONENT", "PID", "SINCE", "HEALTHY", "EVIDENCE"), *(_row(component) for component in components)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]) for row in rows
    ]
    addresses = [
        f"API server  {API_SERVER}",
        f"kubeconfig  {paths.admin_kubeconfig}",
        f"programs    {programs_folder()}",
        f"logs        {paths.logs}",
    ]
    return "\n".join([*lines, "", *addresses])


def _probe_component(paths: ClusterPaths, component: Component) -> Health:
    process = processes.find_process(paths, component.name)
    if not process:
        return Health(component.name, None, None, False, "not running")
    try:
        healthy, evidence = True, component.probe()
    except NotYet as state:
        healthy, evidence = False, str(state)
    return Health(component.name, process.pid, processes.read_start_time(paths, component.name), healthy, evidence)


def _row(component: Health) -> tuple[str, str, str, str, str]:
    since = "-"
    if component.start_time:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(component.start_time))
    return (
        component.component,
        str(component.pid or "-"),
        since,
        "yes" if component.healthy else "NO",
        " ".join(component.evidence.split()),
    )
