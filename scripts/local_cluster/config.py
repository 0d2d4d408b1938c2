"""The configuration files of the parts: templates below files/, with the cluster's names and paths filled in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import Template

from common.files import write_whole
from local_cluster import addresses
from local_cluster.cgroups import ROOT
from local_cluster.cluster_paths import Layout
from local_cluster.node_images.base_images import BUSYBOX, PAUSE
from local_cluster.packages import CNI_PLUGINS

TEMPLATES = Path(__file__).with_name("files")
_PLACES = {"pods.conflist": "cni/pods.conflist"}  # containerd reads every file of its folder


def write_config(layout: Layout) -> None:
    """Write the configuration files of all parts into the cluster's config folder."""
    values = values_of(layout)
    for template in sorted(TEMPLATES.iterdir()):
        text = render(template.read_text(encoding="utf-8"), values)
        write_whole(layout.config / _PLACES.get(template.name, template.name), text)
    # Without the plugin that serves the kubelet containerd is a mere store of images (see containers.py).
    store = values | {"disabled_plugins": '"io.containerd.grpc.v1.cri"'}
    write_whole(store_config(layout), render((TEMPLATES / "containerd.toml").read_text(encoding="utf-8"), store))


def store_config(layout: Layout) -> Path:
    """Give the configuration of a containerd that runs no pods."""
    return layout.config / "containerd-store.toml"


def render(template: str, values: Mapping[str, str]) -> str:
    """Fill in a template (`string.Template`).

    Raises:
        KeyError: the template asks for a value that is not there.
    """
    return Template(template).substitute(values)


def values_of(layout: Layout) -> dict[str, str]:
    """Give what the templates may ask for."""
    paths = ("config", "pki", "run", "cni", "containerd", "containerd_socket", "kubelet", "pod_logs", "volumes")
    return {
        **{path: str(getattr(layout, path)) for path in paths},
        "name": addresses.NAME,
        "node_ip": addresses.NODE_IP,
        "pod_cidr": addresses.POD_CIDR,
        "cgroup_root": ROOT,
        "cni_plugins": CNI_PLUGINS,
        "pause_image": PAUSE,
        "busybox_image": BUSYBOX,
        "disabled_plugins": "",
    }
