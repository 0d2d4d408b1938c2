"""The cgroup every process of the cluster lives in: parts, container shims and containers alike.

It is how `down` finds them all, even those whose parents were killed. Works with cgroup v1, v2 and both at once.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from common.errors import ScriptError
from common.waiting import NotYet, wait_for
from local_cluster.addresses import NAME
from local_cluster.mounts import Mount

ROOT = f"/{NAME}"  # the kubelet puts its pods below it
_PARTS = "parts"  # v2 wants processes in the leaves of the tree only


@dataclass(frozen=True)
class Hierarchy:
    """One mounted cgroup tree.

    Attributes:
        mount: where it is mounted.
        version: 1 or 2.
        controllers: what it controls; for version 2 what its root offers.
    """

    mount: Path
    version: int
    controllers: frozenset[str]

    @property
    def ours(self) -> Path:
        """The cluster's cgroup in this tree."""
        return self.mount / NAME


def hierarchies(mounts: list[Mount]) -> list[Hierarchy]:
    """Give the cgroup trees among the mounts of a machine."""
    trees = []
    for mount in mounts:
        if mount.kind == "cgroup":
            trees.append(Hierarchy(mount.point, 1, mount.options))
        elif mount.kind == "cgroup2":
            offered = mount.point / "cgroup.controllers"
            words = offered.read_text().split() if offered.exists() else []
            trees.append(Hierarchy(mount.point, 2, frozenset(words)))
    return trees


def home_of_parts(trees: list[Hierarchy]) -> Path:
    """Give the cgroup that the cluster's own parts run in.

    One tree is enough to find them again. With version 1 it is that of `pids`, which limits nothing unless told to.

    Raises:
        ScriptError: no usable cgroup tree is mounted.
    """
    for tree in trees:
        if "pids" in tree.controllers:
            return tree.ours / _PARTS
    raise ScriptError("No cgroup tree with the pids controller is mounted: Kubernetes cannot run on this machine.")


def make_cgroups(trees: list[Hierarchy]) -> None:
    """Make the cluster's cgroup in every tree; the kubelet refuses a root that does not exist."""
    for tree in trees:
        if tree.version == 2:
            # A cgroup's children only get the controllers that it hands down.
            (tree.mount / "cgroup.subtree_control").write_text(
                " ".join(f"+{name}" for name in sorted(tree.controllers))
            )
        tree.ours.mkdir(exist_ok=True)
        if "cpuset" in tree.controllers and tree.version == 1:
            for file in ("cpuset.cpus", "cpuset.mems"):
                (tree.ours / file).write_text((tree.mount / file).read_text())
    home_of_parts(trees).mkdir(exist_ok=True)


def processes(trees: list[Hierarchy]) -> set[int]:
    """Give the ids of all processes in the cluster's cgroup."""
    found: set[int] = set()
    for tree in trees:
        for group in _groups(tree):
            with suppress(OSError):  # gone meanwhile
                found.update(int(word) for word in (group / "cgroup.procs").read_text().split())
    return found - {0}  # 0 stands for a process of another pid namespace


def kill_processes(trees: list[Hierarchy], deadline_s: float = 30) -> None:
    """Kill every process in the cluster's cgroup until none is left.

    Raises:
        ScriptError: some did not die, as processes do that hang in the kernel.
    """

    def probe() -> None:
        alive = processes(trees)
        for pid in alive:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if alive:
            raise NotYet(f"processes {', '.join(map(str, sorted(alive)))} are alive")

    wait_for("the cluster's processes to end", probe, deadline_s, interval_s=0.05)


def remove_cgroups(trees: list[Hierarchy], deadline_s: float = 10) -> None:
    """Remove the cluster's cgroup with all below it; its processes must be gone.

    Raises:
        ScriptError: one stays busy.
    """

    def probe() -> None:
        for tree in trees:
            for group in reversed(list(_groups(tree))):
                try:
                    group.rmdir()
                except FileNotFoundError:
                    continue
                except OSError as error:
                    raise NotYet(f"{group}: {error.strerror}") from None

    wait_for("the cluster's cgroups to be removed", probe, deadline_s, interval_s=0.1)


def _groups(tree: Hierarchy) -> Iterator[Path]:
    """Give the cluster's cgroup and all below it, parents before children."""
    for folder, _, _ in os.walk(tree.ours):
        yield Path(folder)
