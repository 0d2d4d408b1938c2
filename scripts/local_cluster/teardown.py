"""Removal of a cluster in any state: running, partly started, or killed."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from common.errors import ScriptError
from common.files import write_atomically
from local_cluster import cgroups, processes
from local_cluster.addresses import NAME
from local_cluster.cluster_paths import ClusterPaths
from local_cluster.components import NAMES
from local_cluster.mounts import read_mounts, unmount_below
from local_cluster.network import network_exists, remove_network

_OWNER = Path("/run/kpo-platform-cluster.owner")

# Files that kubelet, CNI library and containerd write outside their configured folders.
_CONTAINER_LOG_LINKS = Path("/var/log/containers")
_DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins")
_CNI_RESULTS = Path("/var/lib/cni/results")
_SHIM_SOCKETS = Path("/run/containerd/s")


def record_owner(paths: ClusterPaths) -> None:
    """Record these paths as those of the machine's cluster."""
    write_atomically(_OWNER, str(paths.state))


def check_owner(paths: ClusterPaths) -> None:
    """Reject changes of a running cluster of another cache folder.

    Raises:
        ScriptError: there is such a cluster; names its folder.
    """
    if paths.run.exists() or not cgroups.list_processes(cgroups.select_hierarchies(read_mounts())):
        return
    owner = Path(_OWNER.read_text(encoding="utf-8")) if _OWNER.exists() else Path("an unknown folder")
    if owner == paths.state:  # the cluster's folder was deleted while it ran
        return
    raise ScriptError(
        f"Cannot change the local cluster: it runs from {owner}, not from {paths.state}. "
        "Set XDG_CACHE_HOME as for its start."
    )


def has_remains(paths: ClusterPaths) -> bool:
    """Return whether any part of a cluster is on this machine, running or not."""
    hierarchies = cgroups.select_hierarchies(read_mounts())
    return network_exists() or paths.run.exists() or any(hierarchy.cluster_cgroup.exists() for hierarchy in hierarchies)


def is_running(paths: ClusterPaths) -> bool:
    """Return whether any component runs."""
    return any(processes.find_process(paths, name) for name in NAMES)


def remove_cluster(paths: ClusterPaths) -> None:
    """Remove processes, mounts, network, cgroups and state; keep images and logs.

    Raises:
        ScriptError: a process, mount or cgroup could not be removed. While anything is mounted, no state is removed.
    """
    hierarchies = cgroups.select_hierarchies(read_mounts())
    cgroups.kill_processes(hierarchies)
    _remove_shim_sockets(paths)
    unmount_volumes(paths)
    remove_network()
    cgroups.remove_cgroups(hierarchies)
    _remove_external_files(paths)
    _OWNER.unlink(missing_ok=True)
    paths.admin_kubeconfig.unlink(missing_ok=True)
    for folder in paths.ephemeral_folders:
        shutil.rmtree(folder, ignore_errors=True)


def unmount_volumes(paths: ClusterPaths) -> None:
    """Unmount the volumes of kubelet and containerd.

    The state folder itself may be a mount of the user and stays mounted.

    Raises:
        ScriptError: a mount remains.
    """
    for folder in paths.state.iterdir() if paths.state.exists() else ():
        unmount_below(folder)


def _remove_shim_sockets(paths: ClusterPaths) -> None:
    """Remove the sockets of killed containerd shims."""
    for address_file in (paths.run / "containerd").glob("io.containerd.runtime.v2.task/*/*/address"):
        Path(address_file.read_text(encoding="utf-8").removeprefix("unix://")).unlink(missing_ok=True)
    _remove_if_empty(_SHIM_SOCKETS, _SHIM_SOCKETS.parent)


def _remove_external_files(paths: ClusterPaths) -> None:
    for result in _CNI_RESULTS.glob(f"{NAME}-*"):
        sandbox = result.name.removeprefix(f"{NAME}-").partition("-")[0]
        for sandbox_result in _CNI_RESULTS.glob(f"*-{sandbox}-*"):
            sandbox_result.unlink()
    if _CONTAINER_LOG_LINKS.is_dir():
        for link in _CONTAINER_LOG_LINKS.iterdir():
            if link.is_symlink() and link.readlink().is_relative_to(paths.pod_logs):
                link.unlink()
    _DEVICE_PLUGINS.joinpath("kubelet.sock").unlink(missing_ok=True)
    for folder in (_CNI_RESULTS, _CONTAINER_LOG_LINKS, _DEVICE_PLUGINS):
        _remove_if_empty(folder)
    _remove_if_empty(_CNI_RESULTS.parent, _DEVICE_PLUGINS.parent)


def _remove_if_empty(*folders: Path) -> None:
    for folder in folders:
        with suppress(OSError):  # missing, or in use by another program
            folder.rmdir()
