"""Bringing the cluster up and taking it down."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from common.errors import ScriptError
from common.files import write_whole
from common.mutex import only_one_run
from common.run import Say, capture
from common.steps import Steps
from local_cluster import cgroups, processes, teardown
from local_cluster.certificates import make_certificates
from local_cluster.cluster_paths import Layout, default_layout, require_short
from local_cluster.components import Part, parts_of
from local_cluster.config import write_config
from local_cluster.containers import forget_containers
from local_cluster.health import wait_until_well
from local_cluster.kubeconfigs import write_kubeconfigs
from local_cluster.mounts import read_mounts
from local_cluster.network import make_network
from local_cluster.node_images.base_images import ensure_base_images
from local_cluster.node_images.load import load_archives
from local_cluster.packages import ensure_packages, require_root
from local_cluster.toolchain import build_programs, programs

__all__ = ["build_programs", "down", "kubeconfig", "load", "programs", "up"]

_CHANGING = "changing the local cluster"


def kubeconfig() -> Path:
    """Give the administrator's kubeconfig; it exists while the cluster is up."""
    return default_layout().admin_kubeconfig


def up(steps: Steps) -> None:
    """Bring the cluster up: start it empty, or see that a running one is well and restart what died.

    Can be interrupted at any moment and called again.

    Raises:
        ScriptError: something is missing on this machine, or a part did not become well in time.
    """
    require_root()
    layout = default_layout()
    require_short(layout)
    with only_one_run(layout.lock, _CHANGING, steps.note):
        ensure_packages(steps)
        teardown.require_own(layout)
        if not programs().exists():
            with steps.step("Build the cluster's programs") as step:
                build_programs(step.detail)
        base_images = ensure_base_images(steps)
        parts = parts_of(layout, programs())
        if layout.complete.exists() and teardown.anything_runs(layout):
            _mend(layout, parts, steps)
        else:
            _start_empty(layout, parts, base_images, steps)


def down(steps: Steps) -> bool:
    """Take the cluster off the machine, running or not; images, toolchain and logs stay.

    Returns:
        Whether there was anything to take down.

    Raises:
        ScriptError: a process, mount or cgroup would not go.
    """
    require_root()
    layout = default_layout()
    with only_one_run(layout.lock, _CHANGING, steps.note):
        teardown.require_own(layout)
        if not teardown.exist(layout):
            return False
        with steps.step("Take the local cluster down"):
            teardown.remove(layout)
        return True


def load(archives: Iterable[Path], say: Say) -> None:
    """Put the images of archives onto the node; one that is there already costs nothing.

    Args:
        archives: as `docker save` or `buildah push docker-archive:` write them.
        say: told what is being loaded.

    Raises:
        ScriptError: the cluster is not up, or an archive cannot be read.
    """
    require_root()
    layout = default_layout()
    with only_one_run(layout.lock, _CHANGING, say):
        if not processes.find(layout, "containerd"):
            raise ScriptError("The local cluster is not up: run `scripts/cluster up` first.")
        load_archives(layout, archives, say)


def _mend(layout: Layout, parts: dict[str, Part], steps: Steps) -> None:
    if layout.complete.read_text(encoding="utf-8") != str(programs()):
        steps.note("The running cluster is of an earlier version: `scripts/cluster down` and `up` renew it, empty.")
    with steps.step("Check the running cluster") as step:
        for part in parts.values():
            if not processes.find(layout, part.name):
                steps.note(f"{part.name} had died and is started again")
                processes.start(layout, part.name, part.argv)
            wait_until_well(layout, part, step.detail)


def _start_empty(layout: Layout, parts: dict[str, Part], base_images: list[Path], steps: Steps) -> None:
    if teardown.exist(layout):
        with steps.step("Remove what is left of an earlier cluster"):
            teardown.remove(layout)
    with steps.step("Prepare network, certificates and configuration") as step:
        layout.run.mkdir(parents=True)  # the first: from here on there is something to remove
        teardown.claim(layout)
        shutil.rmtree(layout.logs, ignore_errors=True)
        cgroups.make_cgroups(cgroups.hierarchies(read_mounts()))
        make_network()
        make_certificates(layout)
        write_kubeconfigs(layout)
        write_config(layout)
        forget_containers(layout, step.detail)
    with steps.step("Start etcd, containerd and the API server") as step:
        for name in ("etcd", "containerd", "kube-apiserver"):
            processes.start(layout, name, parts[name].argv)
        wait_until_well(layout, parts["containerd"], step.detail)
        load_archives(layout, base_images, step.detail)
        wait_until_well(layout, parts["kube-apiserver"], step.detail)
    with steps.step("Start the other parts") as step:
        _apply(layout, parts)
        for part in parts.values():
            if not processes.find(layout, part.name):
                processes.start(layout, part.name, part.argv)
        for part in parts.values():
            wait_until_well(layout, part, step.detail)
    write_whole(layout.complete, str(programs()))


def _apply(layout: Layout, parts: dict[str, Part]) -> None:
    """Create the rights of the parts that are not Kubernetes' own, and the StorageClass."""
    kubectl = Path(parts["kube-apiserver"].argv[0]).with_name("kubectl")
    capture((kubectl, "--kubeconfig", layout.admin_kubeconfig, "create", "-f", layout.config / "addons.yaml"))
