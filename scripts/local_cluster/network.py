"""The cluster's network: a namespace of its own, joined to the host by one pair of interfaces, with no way out.

The host reaches the node, the pods and the services through routes; nothing inside reaches further than the host.
"""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Any

from common.errors import ScriptError
from common.run import CommandError, capture
from local_cluster.addresses import BENCHMARK_RANGE, HOST_IP, NAME, NODE_IP, POD_CIDR, SERVICE_CIDR
from local_cluster.mounts import read_mounts, unmount_below

HOST_INTERFACE = "kpo-host"
NAMESPACES = Path("/run/netns")  # where `ip netns` keeps them
_NODE_INTERFACE = "eth0"

# Not `ip netns exec`: that mounts a new /sys over the old one and so hides the cgroups from the kubelet.
ENTER = ("nsenter", f"--net={NAMESPACES / NAME}")


def conflicts(routes: list[dict[str, Any]]) -> list[str]:
    """Give the routes of a machine that lead somewhere else with addresses the cluster needs.

    Args:
        routes: what `ip -json route show` gives.
    """
    ours = ipaddress.ip_network(BENCHMARK_RANGE)
    found = []
    for route in routes:
        if route["dst"] == "default" or route.get("dev") == HOST_INTERFACE:
            continue
        if ipaddress.ip_network(route["dst"], strict=False).overlaps(ours):
            found.append(f"{route['dst']} dev {route.get('dev', '-')}")
    return found


def make_network() -> None:
    """Make the namespace, the interfaces and the routes, from nothing.

    Raises:
        ScriptError: another network of this machine uses the addresses.
    """
    taken = conflicts(json.loads(capture(("ip", "-json", "-4", "route", "show"))))
    if taken:
        raise ScriptError(
            f"The local cluster needs {BENCHMARK_RANGE}, and this machine has the route {taken[0]} in it: "
            "remove that route and try again."
        )
    _ip("netns", "add", NAME)
    _ip("link", "add", HOST_INTERFACE, "type", "veth", "peer", "name", _NODE_INTERFACE, "netns", NAME)
    _make_host_side()
    _make_node_side()


def network_exists() -> bool:
    """Tell whether the namespace is there."""
    return (NAMESPACES / NAME).exists()


def remove_network() -> None:
    """Remove the namespace, the interfaces and the routes, as far as they exist."""
    if Path("/sys/class/net", HOST_INTERFACE).exists():
        _ip("link", "delete", HOST_INTERFACE)  # takes its peer and its routes along
    if network_exists():
        try:
            _ip("netns", "delete", NAME)
        except CommandError:
            (NAMESPACES / NAME).unlink()  # a plain file, left by an interrupted `ip netns add`
    _remove_empty_folder_of_namespaces()


def _make_host_side() -> None:
    _ip("address", "add", f"{HOST_IP}/30", "dev", HOST_INTERFACE)
    _ip("link", "set", HOST_INTERFACE, "up")
    for network in (POD_CIDR, SERVICE_CIDR):
        _ip("route", "add", network, "via", NODE_IP)


def _make_node_side() -> None:
    _ip("-n", NAME, "link", "set", "lo", "up")
    _ip("-n", NAME, "address", "add", f"{NODE_IP}/30", "dev", _NODE_INTERFACE)
    _ip("-n", NAME, "link", "set", _NODE_INTERFACE, "up")
    _ip("-n", NAME, "route", "add", "blackhole", "default")
    forwarding = "echo 1 >/proc/sys/net/ipv4/ip_forward"  # the file shows the namespace of whoever opens it
    capture((*ENTER, "sh", "-c", forwarding))


def _ip(*words: str) -> None:
    capture(("ip", *words))


def _remove_empty_folder_of_namespaces() -> None:
    """Undo the mount that the first `ip netns add` puts over its folder, once no namespace is left in it."""
    mounted = any(mount.point == NAMESPACES for mount in read_mounts())
    if mounted and not list(NAMESPACES.iterdir()):
        unmount_below(NAMESPACES)
