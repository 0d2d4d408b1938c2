"""The components' configuration files, rendered from the templates in files/."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import Template

from common.files import write_atomically
from local_cluster import addresses
from local_cluster.cgroups import ROOT
from local_cluster.cluster_paths import ClusterPaths
from local_cluster.debian_packages import CNI_PLUGINS
from local_cluster.node_images.base_images import BUSYBOX, PAUSE

TEMPLATES = Path(__file__).with_name("files")
_TARGETS = {"pods.conflist": "cni/pods.conflist"}  # containerd reads every file of its folder


def write_config(paths: ClusterPaths) -> None:
    """Write the configuration files of all components to the cluster's config folder."""
    values = template_values(paths)
    for template in sorted(TEMPLATES.iterdir()):
        text = render(template.read_text(encoding="utf-8"), values)
        write_atomically(paths.config / _TARGETS.get(template.name, template.name), text)
    # Without its CRI plugin containerd runs no pods (see stale_containers.py).
    store = values | {"disabled_plugins": '"io.containerd.grpc.v1.cri"'}
    write_atomically(
        image_store_config(paths), render((TEMPLATES / "containerd.toml").read_text(encoding="utf-8"), store)
    )


def image_store_config(paths: ClusterPaths) -> Path:
    """Return the configuration file of a containerd that runs no pods."""
    return paths.config / "containerd-store.toml"


def render(template: str, values: Mapping[str, str]) -> str:
    """Render a template (`string.Template`).

    Raises:
        KeyError: a value of the template is missing.
    """
    return Template(template).substitute(values)


def template_values(paths: ClusterPaths) -> dict[str, str]:
    """Return the values of the templates."""
    names = ("config", "pki", "run", "cni", "containerd", "containerd_socket", "kubelet", "pod_logs", "volumes")
    return {
        **{name: str(getattr(paths, name)) for name in names},
        "name": addresses.NAME,
        "node_ip": addresses.NODE_IP,
        "pod_cidr": addresses.POD_CIDR,
        "cgroup_root": ROOT,
        "cni_plugins": CNI_PLUGINS,
        "pause_image": PAUSE,
        "busybox_image": BUSYBOX,
        "disabled_plugins": "",
    }
