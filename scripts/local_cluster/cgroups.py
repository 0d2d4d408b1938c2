"""The cgroup of the cluster, which contains all its processes: components, container shims and containers.

`down` finds all processes through it, even those whose parents were killed. Supports cgroup v1, v2 and both together.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from common.errors import ScriptError
from common.polling import NotYet, wait_for
from local_cluster.addresses import NAME
from local_cluster.mounts import Mount

ROOT = f"/{NAME}"  # the kubelet creates the cgroups of pods below it
_COMPONENTS = "components"  # cgroup v2 allows processes only in cgroups without children


@dataclass(frozen=True)
class Hierarchy:
    """A mounted cgroup hierarchy.

    Attributes:
        mount: the mount point.
        version: 1 or 2.
        controllers: its controllers; for version 2 those that its root offers.
    """

    mount: Path
    version: int
    controllers: frozenset[str]

    @property
    def cluster_cgroup(self) -> Path:
        """The cluster's cgroup in this hierarchy."""
        return self.mount / NAME


def select_hierarchies(mounts: list[Mount]) -> list[Hierarchy]:
    """Return the cgroup hierarchies among the mounts of a machine."""
    hierarchies = []
    for mount in mounts:
        if mount.kind == "cgroup":
            hierarchies.append(Hierarchy(mount.point, 1, mount.options))
        elif mount.kind == "cgroup2":
            controllers_file = mount.point / "cgroup.controllers"
            words = controllers_file.read_text().split() if controllers_file.exists() else []
            hierarchies.append(Hierarchy(mount.point, 2, frozenset(words)))
    return hierarchies


def component_cgroup(hierarchies: list[Hierarchy]) -> Path:
    """Return the cgroup of the cluster's components.

    One hierarchy is enough to find all processes. With version 1 it is `pids`, which has no limits by default.

    Raises:
        ScriptError: no hierarchy with the pids controller is mounted.
    """
    for hierarchy in hierarchies:
        if "pids" in hierarchy.controllers:
            return hierarchy.cluster_cgroup / _COMPONENTS
    raise ScriptError("Cannot run Kubernetes: no cgroup hierarchy with the pids controller is mounted. Mount one.")


def create_cgroups(hierarchies: list[Hierarchy]) -> None:
    """Create the cluster's cgroup in every hierarchy; the kubelet requires that its root exists."""
    for hierarchy in hierarchies:
        if hierarchy.version == 2:
            # Child cgroups get only the controllers of subtree_control.
            (hierarchy.mount / "cgroup.subtree_control").write_text(
                " ".join(f"+{name}" for name in sorted(hierarchy.controllers))
            )
        hierarchy.cluster_cgroup.mkdir(exist_ok=True)
        if "cpuset" in hierarchy.controllers and hierarchy.version == 1:
            for file in ("cpuset.cpus", "cpuset.mems"):
                (hierarchy.cluster_cgroup / file).write_text((hierarchy.mount / file).read_text())
    component_cgroup(hierarchies).mkdir(exist_ok=True)


def list_processes(hierarchies: list[Hierarchy]) -> set[int]:
    """Return the ids of all processes in the cluster's cgroup."""
    pids: set[int] = set()
    for hierarchy in hierarchies:
        for cgroup in _cluster_cgroups(hierarchy):
            with suppress(OSError):  # removed in the meantime
                pids.update(int(word) for word in (cgroup / "cgroup.procs").read_text().split())
    return pids - {0}  # 0 is a process of another pid namespace


def kill_processes(hierarchies: list[Hierarchy], deadline_s: float = 30) -> None:
    """Kill all processes in the cluster's cgroup.

    Raises:
        ScriptError: some did not exit in time, for example because they hang in the kernel.
    """

    def probe() -> None:
        alive = list_processes(hierarchies)
        for pid in alive:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if alive:
            raise NotYet(f"processes {', '.join(map(str, sorted(alive)))} are alive")

    wait_for("the cluster's processes to end", probe, deadline_s, interval_s=0.05)


def remove_cgroups(hierarchies: list[Hierarchy], deadline_s: float = 10) -> None:
    """Remove the cluster's cgroup and its children; they must not contain processes.

    Raises:
        ScriptError: one could not be removed in time.
    """

    def probe() -> None:
        for hierarchy in hierarchies:
            for cgroup in reversed(list(_cluster_cgroups(hierarchy))):
                try:
                    cgroup.rmdir()
                except FileNotFoundError:
                    continue
                except OSError as error:
                    raise NotYet(f"{cgroup}: {error.strerror}") from None

    wait_for("the cluster's cgroups to be removed", probe, deadline_s, interval_s=0.1)


def _cluster_cgroups(hierarchy: Hierarchy) -> Iterator[Path]:
    """Yield the cluster's cgroup and all below it, parents first."""
    for folder, _, _ in os.walk(hierarchy.cluster_cgroup):
        yield Path(folder)
