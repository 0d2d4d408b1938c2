"""The cluster's network: a namespace that one veth pair connects to the host, without a route to other networks.

Routes connect the host to the node, the pods and the Services. From inside, only the host is reachable.
"""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Any

from common.command import CommandError, capture_output
from common.errors import ScriptError
from local_cluster.addresses import BENCHMARK_RANGE, HOST_IP, NAME, NODE_IP, POD_CIDR, SERVICE_CIDR
from local_cluster.mounts import read_mounts, unmount_below

HOST_INTERFACE = "kpo-host"
NAMESPACES = Path("/run/netns")  # the folder of `ip netns`
_NODE_INTERFACE = "eth0"

# Not `ip netns exec`: it mounts a new /sys, which hides the cgroups from the kubelet.
ENTER_NAMESPACE = ("nsenter", f"--net={NAMESPACES / NAME}")


def find_conflicting_routes(routes: list[dict[str, Any]]) -> list[str]:
    """Return the routes of a machine that overlap the cluster's addresses.

    Args:
        routes: the output of `ip -json route show`.
    """
    cluster_network = ipaddress.ip_network(BENCHMARK_RANGE)
    conflicts = []
    for route in routes:
        if route["dst"] == "default" or route.get("dev") == HOST_INTERFACE:
            continue
        if ipaddress.ip_network(route["dst"], strict=False).overlaps(cluster_network):
            conflicts.append(f"{route['dst']} dev {route.get('dev', '-')}")
    return conflicts


def make_network() -> None:
    """Create the namespace, the interfaces and the routes.

    Raises:
        ScriptError: another route of this machine uses the addresses.
    """
    conflicts = find_conflicting_routes(json.loads(capture_output(("ip", "-json", "-4", "route", "show"))))
    if conflicts:
        raise ScriptError(
            f"Cannot create the cluster's network {BENCHMARK_RANGE}: this machine has the route {conflicts[0]} in it. "
            "Remove that route and run this again."
        )
    _ip("netns", "add", NAME)
    _ip("link", "add", HOST_INTERFACE, "type", "veth", "peer", "name", _NODE_INTERFACE, "netns", NAME)
    _create_host_side()
    _create_node_side()


def network_exists() -> bool:
    """Return whether the namespace exists."""
    return (NAMESPACES / NAME).exists()


def remove_network() -> None:
    """Remove the namespace, the interfaces and the routes, if they exist."""
    if Path("/sys/class/net", HOST_INTERFACE).exists():
        _ip("link", "delete", HOST_INTERFACE)  # also deletes its peer and its routes
    if network_exists():
        try:
            _ip("netns", "delete", NAME)
        except CommandError:
            (NAMESPACES / NAME).unlink()  # a plain file, left by an interrupted `ip netns add`
    _unmount_empty_namespace_folder()


def _create_host_side() -> None:
    _ip("address", "add", f"{HOST_IP}/30", "dev", HOST_INTERFACE)
    _ip("link", "set", HOST_INTERFACE, "up")
    for network in (POD_CIDR, SERVICE_CIDR):
        _ip("route", "add", network, "via", NODE_IP)


def _create_node_side() -> None:
    _ip("-n", NAME, "link", "set", "lo", "up")
    _ip("-n", NAME, "address", "add", f"{NODE_IP}/30", "dev", _NODE_INTERFACE)
    _ip("-n", NAME, "link", "set", _NODE_INTERFACE, "up")
    _ip("-n", NAME, "route", "add", "blackhole", "default")
    forwarding = (
        "echo 1 >/proc/sys/net/ipv4/ip_forward"  # the file belongs to the namespace of the process that opens it
    )
    capture_output((*ENTER_NAMESPACE, "sh", "-c", forwarding))


def _ip(*words: str) -> None:
    capture_output(("ip", *words))


def _unmount_empty_namespace_folder() -> None:
    """Unmount the folder that the first `ip netns add` mounts, once it contains no namespace."""
    mounted = any(mount.point == NAMESPACES for mount in read_mounts())
    if mounted and not list(NAMESPACES.iterdir()):
        unmount_below(NAMESPACES)
