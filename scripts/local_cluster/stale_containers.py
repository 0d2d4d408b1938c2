"""Removal of an earlier cluster's containers from containerd; the images are kept."""

from __future__ import annotations

import shutil

from common.command import Progress, capture_output
from common.errors import ScriptError
from local_cluster import cgroups, processes
from local_cluster.cluster_paths import ClusterPaths
from local_cluster.components import containerd
from local_cluster.config import image_store_config
from local_cluster.health import wait_until_healthy
from local_cluster.mounts import read_mounts
from local_cluster.node_images.image_import import ctr_command

# State of containers that containerd's plugins keep outside its metadata.
_PLUGIN_STATE = ("io.containerd.grpc.v1.cri", "io.containerd.runtime.v2.task")


def remove_stale_containers(paths: ClusterPaths, progress: Progress) -> None:
    """Remove all earlier containers from containerd; no process of the cluster may run.

    A containerd without the CRI plugin does it, because one with the plugin would resume the containers when it starts.
    If containerd's metadata is damaged, all of it is removed, with the images.
    """
    if not paths.containerd.exists():
        return
    for folder in _PLUGIN_STATE:
        shutil.rmtree(paths.containerd / folder, ignore_errors=True)
    store = containerd(paths, image_store_config(paths))
    processes.start_process(paths, store.name, store.argv)
    try:
        wait_until_healthy(paths, store, progress)
        _remove_containers(paths)
        _remove_snapshots(paths)
        is_intact = True
    except ScriptError:
        is_intact = False
    cgroups.kill_processes(cgroups.select_hierarchies(read_mounts()))
    if not is_intact:
        progress("containerd's metadata is damaged: removing the loaded images")
        shutil.rmtree(paths.containerd)


def _remove_containers(paths: ClusterPaths) -> None:
    containers = capture_output((*ctr_command(paths), "containers", "list", "--quiet")).split()
    if containers:
        capture_output((*ctr_command(paths), "containers", "delete", *containers), timeout_s=120)


def _remove_snapshots(paths: ClusterPaths) -> None:
    """Remove snapshots that belong to no image: of incomplete containers and of interrupted imports."""
    rows = [line.split() for line in capture_output((*ctr_command(paths), "snapshots", "list")).splitlines()[1:]]
    for name in (row[0] for row in rows if row[-1] != "Committed"):
        capture_output((*ctr_command(paths), "snapshots", "delete", name))
