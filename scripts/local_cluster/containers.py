"""Making containerd forget the containers of an earlier cluster while it keeps the images."""

from __future__ import annotations

import shutil

from common.errors import ScriptError
from common.run import Say, capture
from local_cluster import cgroups, processes
from local_cluster.cluster_paths import Layout
from local_cluster.components import containerd
from local_cluster.config import store_config
from local_cluster.health import wait_until_well
from local_cluster.mounts import read_mounts
from local_cluster.node_images.load import ctr

# What the plugins write down about containers, beside containerd's own metadata.
_MEMORIES = ("io.containerd.grpc.v1.cri", "io.containerd.runtime.v2.task")


def forget_containers(layout: Layout, say: Say) -> None:
    """Remove what containerd remembers of earlier containers; nothing of the cluster may run.

    It is done by a containerd that serves no kubelet, because one that does would take the containers up again as it
    starts. When containerd's memory is damaged, all of it goes, the images too.
    """
    if not layout.containerd.exists():
        return
    for memory in _MEMORIES:
        shutil.rmtree(layout.containerd / memory, ignore_errors=True)
    store = containerd(layout, store_config(layout))
    processes.start(layout, store.name, store.argv)
    try:
        wait_until_well(layout, store, say)
        _remove_containers(layout)
        _remove_snapshots(layout)
        intact = True
    except ScriptError:
        intact = False
    cgroups.kill_processes(cgroups.hierarchies(read_mounts()))
    if not intact:
        say("containerd's store is damaged: the loaded images are removed")
        shutil.rmtree(layout.containerd)


def _remove_containers(layout: Layout) -> None:
    containers = capture((*ctr(layout), "containers", "list", "--quiet")).split()
    if containers:
        capture((*ctr(layout), "containers", "delete", *containers), timeout_s=120)


def _remove_snapshots(layout: Layout) -> None:
    """Remove file systems that belong to no image: of containers half made, of archives half unpacked."""
    rows = [line.split() for line in capture((*ctr(layout), "snapshots", "list")).splitlines()[1:]]
    for name in (row[0] for row in rows if row[-1] != "Committed"):
        capture((*ctr(layout), "snapshots", "delete", name))
