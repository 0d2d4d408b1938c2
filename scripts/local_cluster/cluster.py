"""Start and removal of the cluster."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from common.command import Progress, capture_output
from common.errors import ScriptError
from common.files import write_atomically
from common.mutex import hold_lock
from common.steps import Steps
from local_cluster import cgroups, processes, teardown
from local_cluster.certificates import make_certificates
from local_cluster.cluster_paths import ClusterPaths, check_path_length, default_paths
from local_cluster.components import Component, cluster_components
from local_cluster.config import write_config
from local_cluster.debian_packages import ensure_debian_packages, require_root
from local_cluster.health import wait_until_healthy
from local_cluster.kubeconfigs import write_kubeconfigs
from local_cluster.mounts import read_mounts
from local_cluster.network import make_network
from local_cluster.node_images.base_images import build_base_images
from local_cluster.node_images.image_import import load_archives
from local_cluster.stale_containers import remove_stale_containers
from local_cluster.toolchain import build_programs, programs_folder

__all__ = ["build_programs", "down", "kubeconfig_path", "load", "programs_folder", "up"]

_LOCK_ACTIVITY = "changing the local cluster"


def kubeconfig_path() -> Path:
    """Return the path of the administrator's kubeconfig, which exists while the cluster is up."""
    return default_paths().admin_kubeconfig


def up(steps: Steps) -> None:
    """Start an empty cluster, or restart stopped components of a running one.

    Can be interrupted at any time and called again.

    Raises:
        ScriptError: this machine does not meet the requirements, or a component is not healthy in time.
    """
    require_root()
    paths = default_paths()
    check_path_length(paths)
    with hold_lock(paths.lock, _LOCK_ACTIVITY, steps.note):
        ensure_debian_packages(steps)
        teardown.check_owner(paths)
        if not programs_folder().exists():
            with steps.step("Build the cluster's programs") as step:
                build_programs(step.detail)
        base_images = build_base_images(steps)
        components = cluster_components(paths, programs_folder())
        if paths.completion_marker.exists() and teardown.is_running(paths):
            _repair(paths, components, steps)
        else:
            _start_empty(paths, components, base_images, steps)


def down(steps: Steps) -> bool:
    """Remove the cluster, running or not; images, programs and logs are kept.

    Returns:
        Whether there was anything to remove.

    Raises:
        ScriptError: a process, mount or cgroup could not be removed.
    """
    require_root()
    paths = default_paths()
    with hold_lock(paths.lock, _LOCK_ACTIVITY, steps.note):
        teardown.check_owner(paths)
        if not teardown.has_remains(paths):
            return False
        with steps.step("Remove the local cluster"):
            teardown.remove_cluster(paths)
        return True


def load(archives: Iterable[Path], progress: Progress) -> None:
    """Load the images of archives into the node, except those that it has already.

    Args:
        archives: as `docker save` or `buildah push docker-archive:` write them.
        progress: called with the image that is being loaded.

    Raises:
        ScriptError: the cluster is not up, or an archive cannot be read.
    """
    require_root()
    paths = default_paths()
    with hold_lock(paths.lock, _LOCK_ACTIVITY, progress):
        if not processes.find_process(paths, "containerd"):
            raise ScriptError("The local cluster is not running. Run `scripts/cluster up` first.")
        load_archives(paths, archives, progress)


def _repair(paths: ClusterPaths, components: dict[str, Component], steps: Steps) -> None:
    if paths.completion_marker.read_text(encoding="utf-8") != str(programs_folder()):
        steps.note("The running cluster has an earlier version. To replace it: `scripts/cluster down` and `up`.")
    with steps.step("Check the running cluster") as step:
        for component in components.values():
            if not processes.find_process(paths, component.name):
                steps.note(f"{component.name} has stopped; it is restarted")
                processes.start_process(paths, component.name, component.argv)
            wait_until_healthy(paths, component, step.detail)


def _start_empty(paths: ClusterPaths, components: dict[str, Component], base_images: list[Path], steps: Steps) -> None:
    if teardown.has_remains(paths):
        with steps.step("Remove the remains of an earlier cluster"):
            teardown.remove_cluster(paths)
    with steps.step("Prepare network, certificates and configuration") as step:
        paths.run.mkdir(parents=True)  # first: it marks that there is something to remove
        teardown.record_owner(paths)
        shutil.rmtree(paths.logs, ignore_errors=True)
        cgroups.create_cgroups(cgroups.select_hierarchies(read_mounts()))
        make_network()
        make_certificates(paths)
        write_kubeconfigs(paths)
        write_config(paths)
        remove_stale_containers(paths, step.detail)
    with steps.step("Start etcd, containerd and the API server") as step:
        for name in ("etcd", "containerd", "kube-apiserver"):
            processes.start_process(paths, name, components[name].argv)
        wait_until_healthy(paths, components["containerd"], step.detail)
        load_archives(paths, base_images, step.detail)
        wait_until_healthy(paths, components["kube-apiserver"], step.detail)
    with steps.step("Start the other components") as step:
        _create_addons(paths, components)
        for component in components.values():
            if not processes.find_process(paths, component.name):
                processes.start_process(paths, component.name, component.argv)
        for component in components.values():
            wait_until_healthy(paths, component, step.detail)
    write_atomically(paths.completion_marker, str(programs_folder()))


def _create_addons(paths: ClusterPaths, components: dict[str, Component]) -> None:
    """Create the RBAC of components that are not part of Kubernetes, and the StorageClass."""
    kubectl = Path(components["kube-apiserver"].argv[0]).with_name("kubectl")
    capture_output((kubectl, "--kubeconfig", paths.admin_kubeconfig, "create", "-f", paths.config / "addons.yaml"))
