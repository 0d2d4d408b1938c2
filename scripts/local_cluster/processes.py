"""The processes of the cluster's components, which outlive the script and are found by later runs.

Before a process executes the component, it records its boot id, process id and start tick. So no run loses a process
that it started, and a later process with the same id is never mistaken for it.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common.errors import ScriptError
from common.polling import NotYet, wait_for
from local_cluster import cgroups
from local_cluster.cluster_paths import ClusterPaths
from local_cluster.mounts import read_mounts
from local_cluster.network import ENTER_NAMESPACE

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_RECORD_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Process:
    """A unique identification of a process.

    Attributes:
        pid: process id.
        start_tick: clock ticks from the boot to its start.
        boot: the id of the boot.
    """

    pid: int
    start_tick: int
    boot: str


def start_process(paths: ClusterPaths, component: str, argv: Sequence[str]) -> None:
    """Start a component in the cluster's network and cgroup; append its output to its log.

    Args:
        paths: the cluster's files.
        component: its name.
        argv: program and arguments.

    Raises:
        ScriptError: the process did not write its record.
    """
    cgroup = cgroups.component_cgroup(cgroups.select_hierarchies(read_mounts()))
    record = _record_file(paths, component)
    record.unlink(missing_ok=True)
    paths.logs.mkdir(parents=True, exist_ok=True)
    with paths.log(component).open("ab") as log:
        child = subprocess.Popen(
            ("sh", "-c", _start_command(cgroup / "cgroup.procs", record, [*ENTER_NAMESPACE, *argv])),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )

    def probe() -> None:
        if child.poll() is not None:
            raise ScriptError(f"{component} exited during its start. See {paths.log(component)}.")
        if not find_process(paths, component):
            raise NotYet("it has not written its record")

    wait_for(f"the process of {component}", probe, _RECORD_TIMEOUT_S, interval_s=0.005)


def find_process(paths: ClusterPaths, component: str) -> Process | None:
    """Return the running process of a component, or None."""
    try:
        recorded = parse_process_record(_record_file(paths, component).read_text(encoding="utf-8", errors="replace"))
        current = parse_process_record(_boot_and_stat(recorded.pid)) if recorded else None
    except (FileNotFoundError, ProcessLookupError):
        return None
    return recorded if recorded == current else None


def read_start_time(paths: ClusterPaths, component: str) -> float:
    """Return the start time of a component's process, in seconds since 1970."""
    return _record_file(paths, component).stat().st_mtime


def parse_process_record(text: str) -> Process | None:
    """Parse a record: the boot id, and stat of proc(5).

    Returns None for an incomplete record and for a zombie.
    """
    boot, _, stat = text.partition("\n")
    head, _, tail = stat.rpartition(")")  # the program's name in parentheses may contain any character
    fields = tail.split()
    if len(fields) < 20 or fields[0] in "ZX":
        return None
    return Process(int(head.split()[0]), int(fields[19]), boot)


def _start_command(procs_file: Path, record: Path, argv: Sequence[str]) -> str:
    """Return the shell command that joins the cgroup, writes the record and executes the component.

    The order ensures that no child runs outside the cgroup and that the component never runs without a record.
    """
    join = f"echo $$ >{shlex.quote(str(procs_file))}"
    write_record = f"cat {_BOOT} /proc/$$/stat >{shlex.quote(str(record))}"
    return f"{join} && {write_record} && exec {shlex.join(argv)}"


def _boot_and_stat(pid: int) -> str:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return _BOOT.read_text(encoding="ascii") + stat


def _record_file(paths: ClusterPaths, component: str) -> Path:
    return paths.run / f"{component}.process"
