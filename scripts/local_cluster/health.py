"""Waiting until a part works, or saying why it does not."""

from __future__ import annotations

from common.errors import ScriptError
from common.run import Say, indent, last_lines
from common.waiting import wait_for
from local_cluster import processes
from local_cluster.cluster_paths import Layout
from local_cluster.components import Part


def wait_until_well(layout: Layout, part: Part, say: Say) -> None:
    """Wait until a part that was started is well.

    Args:
        layout: the cluster's files.
        part: the part.
        say: told what its probe saw last.

    Raises:
        ScriptError: it died or did not become well in time; shows the last lines of its log.
    """

    def probe() -> None:
        if not processes.find(layout, part.name):
            raise ScriptError(f"{part.name} ended by itself")
        part.probe()

    def say_of_part(seen: str) -> None:
        say(f"{part.name}: {seen}")

    try:
        wait_for(f"{part.name} to be well", probe, part.deadline_s, interval_s=0.1, say=say_of_part)
    except ScriptError as error:
        log = layout.log(part.name)
        tail = indent(last_lines(log.read_text(errors="replace"))) if log.exists() else ""
        raise ScriptError(
            f"{error} (`scripts/cluster down` and `up` start afresh); the end of {log}:\n{tail}"
        ) from None
