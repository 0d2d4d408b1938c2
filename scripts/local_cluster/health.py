"""Wait for healthy components."""

from __future__ import annotations

from common.command import Progress, indent, last_lines
from common.errors import ScriptError
from common.polling import wait_for
from local_cluster import processes
from local_cluster.cluster_paths import ClusterPaths
from local_cluster.components import Component


def wait_until_healthy(paths: ClusterPaths, component: Component, progress: Progress) -> None:
    """Wait until a started component is healthy.

    Args:
        paths: the cluster's files.
        component: the component.
        progress: called with the state that its probe observed.

    Raises:
        ScriptError: it exited or is not healthy in time; contains the last lines of its log.
    """

    def probe() -> None:
        if not processes.find_process(paths, component.name):
            raise ScriptError(f"{component.name} exited")
        component.probe()

    def report_state(state: str) -> None:
        progress(f"{component.name}: {state}")

    try:
        wait_for(f"{component.name} to be healthy", probe, component.deadline_s, interval_s=0.1, progress=report_state)
    except ScriptError as error:
        log = paths.log(component.name)
        tail = indent(last_lines(log.read_text(errors="replace"))) if log.exists() else ""
        raise ScriptError(
            f"{error}. To start a new cluster: `scripts/cluster down` and `up`. Last lines of {log}:\n{tail}"
        ) from None
