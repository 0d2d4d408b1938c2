"""The cluster's own processes: started apart from the terminal, found again by later runs.

A process signs itself in before it becomes the part: the boot, its id and the tick at which it began. So no run
can lose one that it started, and another process that got the same id is never taken for it.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common.errors import ScriptError
from common.waiting import NotYet, wait_for
from local_cluster import cgroups
from local_cluster.cluster_paths import Layout
from local_cluster.mounts import read_mounts
from local_cluster.network import ENTER

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_SIGN_IN_S = 10.0


@dataclass(frozen=True)
class Process:
    """A process, told apart from all others that ever ran on this machine.

    Attributes:
        pid: its id.
        began: the tick after the boot at which it began.
        boot: the id of the boot.
    """

    pid: int
    began: int
    boot: str


def start(layout: Layout, part: str, argv: Sequence[str]) -> None:
    """Start a part in the cluster's network and cgroup, its output appended to its log.

    Args:
        layout: the cluster's files.
        part: its name.
        argv: program and arguments.

    Raises:
        ScriptError: it could not even sign in.
    """
    home = cgroups.home_of_parts(cgroups.hierarchies(read_mounts()))
    record = _record(layout, part)
    record.unlink(missing_ok=True)
    layout.logs.mkdir(parents=True, exist_ok=True)
    with layout.log(part).open("ab") as log:
        child = subprocess.Popen(
            ("sh", "-c", _entrance(home / "cgroup.procs", record, [*ENTER, *argv])),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )

    def probe() -> None:
        if child.poll() is not None:
            raise ScriptError(f"{part} ended before it had begun; see {layout.log(part)}.")
        if not find(layout, part):
            raise NotYet("it has not signed in")

    wait_for(f"the process of {part}", probe, _SIGN_IN_S, interval_s=0.005)


def find(layout: Layout, part: str) -> Process | None:
    """Give the live process of a part, or None."""
    try:
        recorded = parse_record(_record(layout, part).read_text(encoding="utf-8", errors="replace"))
        current = parse_record(_boot_and_stat(recorded.pid)) if recorded else None
    except (FileNotFoundError, ProcessLookupError):
        return None
    return recorded if recorded == current else None


def since(layout: Layout, part: str) -> float:
    """Give when the process of a part was started, in seconds since 1970."""
    return _record(layout, part).stat().st_mtime


def parse_record(text: str) -> Process | None:
    """Read what a process signed in with (boot id, stat of proc(5)); None for half a record and for a zombie."""
    boot, _, stat = text.partition("\n")
    head, _, tail = stat.rpartition(")")  # the name of the program stands in parentheses and may hold anything
    fields = tail.split()
    if len(fields) < 20 or fields[0] in "ZX":
        return None
    return Process(int(head.split()[0]), int(fields[19]), boot)


def _entrance(group: Path, record: Path, argv: Sequence[str]) -> str:
    """Give the shell command that joins the cgroup, signs in and becomes the part.

    In this order: no child of the part can be born outside the cgroup, nor the part run unrecorded.
    """
    join = f"echo $$ >{shlex.quote(str(group))}"
    sign_in = f"cat {_BOOT} /proc/$$/stat >{shlex.quote(str(record))}"
    return f"{join} && {sign_in} && exec {shlex.join(argv)}"


def _boot_and_stat(pid: int) -> str:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return _BOOT.read_text(encoding="ascii") + stat


def _record(layout: Layout, part: str) -> Path:
    return layout.run / f"{part}.process"
