"""The team's network policy: whether it can allow a connection, and the rule that does."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from kpo_platform.pod.json_fields import read_integer, read_object, read_objects, read_text
from kpo_platform.pod.merge import Json

_DNS = 53
_CLUSTER = (".svc", ".cluster.local")


def is_denied(egress: Iterable[Json], host: str, port: int | None) -> bool:
    """Whether none of a team's rules can allow a TCP connection; False if that is not certain.

    Args:
        egress: rules of a NetworkPolicy besides that for DNS.
        host: the name or address of the host.
        port: the port; None if it is not known.
    """
    address = _parse_address(host)
    is_local = host == "localhost" or (address is not None and address.is_loopback)
    return bool(host) and not is_local and port != _DNS and not any(_may_allow(rule, host, port) for rule in egress)


def build_rule(host: str, port: int | None) -> str:
    """Build the rule for `network.egress` that allows a connection, as YAML in one line.

    A NetworkPolicy has no names of hosts: the rule for one outside of the cluster allows its port on all hosts.
    """
    ports = f"ports: [{{port: {port or 'PORT'}, protocol: TCP}}]"
    address, labels = _parse_address(host), host.split(".")
    if address is not None:
        return f"{{to: [{{ipBlock: {{cidr: {address}/{address.max_prefixlen}}}}}], {ports}}}"
    if len(labels) == 1:
        return f"{{to: [{{podSelector: {{}}}}], {ports}}}"
    if _is_service(host):
        selector = f"{{matchLabels: {{kubernetes.io/metadata.name: {labels[1]}}}}}"
        return f"{{to: [{{namespaceSelector: {selector}}}], {ports}}}"
    return f"{{{ports}}}"


def _parse_address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None


def _is_service(host: str) -> bool:
    """Whether a name, such as `db`, `db.data` or `db.data.svc`, can be a Service: its pods may have another port."""
    return host.count(".") < 2 or any(f"{end}." in f"{host}." for end in _CLUSTER)


def _may_allow(rule: Json, host: str, port: int | None) -> bool:
    address = _parse_address(host)
    is_mapped = _is_service(host) if address is None else address.is_private
    ports, peers = read_objects(rule.get("ports")), read_objects(rule.get("to"))
    has_port = not ports or port is None or is_mapped or any(_has_port(each, port) for each in ports)
    return has_port and (not peers or any(_has_peer(each, address) for each in peers))


def _has_port(fields: Json, port: int) -> bool:
    first = read_integer(fields.get("port"))
    last = read_integer(fields.get("endPort")) or first
    is_tcp = read_text(fields.get("protocol")) in ("", "TCP")
    return is_tcp and (first is None or last is None or first <= port <= last)


def _has_peer(peer: Json, address: IPv4Address | IPv6Address | None) -> bool:
    block = read_object(peer.get("ipBlock"))
    if address is None:
        return True
    if not block:
        return address.is_private
    excluded = block.get("except")
    try:
        is_excluded = any(address in ip_network(each) for each in (excluded if isinstance(excluded, list) else ()))
        return address in ip_network(read_text(block.get("cidr"))) and not is_excluded
    except (TypeError, ValueError):
        return True
