"""Taking a cluster off the machine, whatever state it is in: whole, half started, killed."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from common.errors import ScriptError
from common.files import write_whole
from local_cluster import cgroups, processes
from local_cluster.addresses import NAME
from local_cluster.cluster_paths import Layout
from local_cluster.components import NAMES
from local_cluster.mounts import read_mounts, unmount_below
from local_cluster.network import network_exists, remove_network

_OWNER = Path("/run/kpo-platform-cluster.owner")

# Where kubelet, CNI library and containerd leave things, whatever they are told.
_CONTAINER_LOG_LINKS = Path("/var/log/containers")
_DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins")
_CNI_RESULTS = Path("/var/lib/cni/results")
_SHIM_SOCKETS = Path("/run/containerd/s")


def claim(layout: Layout) -> None:
    """Note down that the machine's one cluster is this one."""
    write_whole(_OWNER, str(layout.state))


def require_own(layout: Layout) -> None:
    """Refuse to touch a running cluster that was started from another cache folder.

    Raises:
        ScriptError: there is one; says where.
    """
    if layout.run.exists() or not cgroups.processes(cgroups.hierarchies(read_mounts())):
        return
    owner = Path(_OWNER.read_text(encoding="utf-8")) if _OWNER.exists() else Path("an unknown folder")
    if owner == layout.state:  # its folder was deleted under it
        return
    raise ScriptError(
        f"This machine's local cluster runs from {owner}, not from {layout.state}: "
        "set XDG_CACHE_HOME as it was when it was started."
    )


def exist(layout: Layout) -> bool:
    """Tell whether anything of a cluster is on the machine, running or not."""
    trees = cgroups.hierarchies(read_mounts())
    return network_exists() or layout.run.exists() or any(tree.ours.exists() for tree in trees)


def anything_runs(layout: Layout) -> bool:
    """Tell whether any part of the cluster lives."""
    return any(processes.find(layout, name) for name in NAMES)


def remove(layout: Layout) -> None:
    """Remove processes, mounts, network, cgroups and state; keep images and logs.

    Raises:
        ScriptError: a process, mount or cgroup would not go. Nothing of the state is removed while anything is mounted.
    """
    trees = cgroups.hierarchies(read_mounts())
    cgroups.kill_processes(trees)
    _remove_shim_sockets(layout)
    unmount_own(layout)
    remove_network()
    cgroups.remove_cgroups(trees)
    _remove_strays(layout)
    _OWNER.unlink(missing_ok=True)
    layout.admin_kubeconfig.unlink(missing_ok=True)
    for folder in layout.passing:
        shutil.rmtree(folder, ignore_errors=True)


def unmount_own(layout: Layout) -> None:
    """Take down the mounts of kubelet and containerd. The folder of state may be a mount too, of its owner: that stays.

    Raises:
        ScriptError: one is still there afterwards.
    """
    for folder in layout.state.iterdir() if layout.state.exists() else ():
        unmount_below(folder)


def _remove_shim_sockets(layout: Layout) -> None:
    """Remove the sockets of killed shims."""
    for note in (layout.run / "containerd").glob("io.containerd.runtime.v2.task/*/*/address"):
        Path(note.read_text(encoding="utf-8").removeprefix("unix://")).unlink(missing_ok=True)
    _remove_if_empty(_SHIM_SOCKETS, _SHIM_SOCKETS.parent)


def _remove_strays(layout: Layout) -> None:
    for result in _CNI_RESULTS.glob(f"{NAME}-*"):
        sandbox = result.name.removeprefix(f"{NAME}-").partition("-")[0]
        for of_sandbox in _CNI_RESULTS.glob(f"*-{sandbox}-*"):
            of_sandbox.unlink()
    if _CONTAINER_LOG_LINKS.is_dir():
        for link in _CONTAINER_LOG_LINKS.iterdir():
            if link.is_symlink() and link.readlink().is_relative_to(layout.pod_logs):
                link.unlink()
    _DEVICE_PLUGINS.joinpath("kubelet.sock").unlink(missing_ok=True)
    for folder in (_CNI_RESULTS, _CONTAINER_LOG_LINKS, _DEVICE_PLUGINS):
        _remove_if_empty(folder)
    _remove_if_empty(_CNI_RESULTS.parent, _DEVICE_PLUGINS.parent)


def _remove_if_empty(*folders: Path) -> None:
    for folder in folders:
        with suppress(OSError):  # not there; or not empty, because it is somebody else's, too
            folder.rmdir()
