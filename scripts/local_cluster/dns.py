"""A DNS client for one query, which shows whether the cluster's DNS server works."""

from __future__ import annotations

import secrets
import socket
import struct

from common.polling import NotYet

_TYPE_A = 1
_CLASS_IN = 1
_RECURSION_DESIRED = 0x0100


def resolve(name: str, server: str, timeout_s: float = 2.0) -> str:
    """Return the first IPv4 address of a name.

    Args:
        name: the full name, without a trailing dot.
        server: IP address of the DNS server.
        timeout_s: seconds to wait for the response.

    Raises:
        NotYet: no response, or a response without an address.
    """
    query_id = secrets.randbelow(1 << 16)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout_s)
        try:
            sock.connect((server, 53))
            sock.send(encode_question(name, query_id))
            return parse_first_address(sock.recv(4096), query_id)
        except OSError as error:
            raise NotYet(f"{server} does not respond to DNS: {error}") from None


def encode_question(name: str, query_id: int) -> bytes:
    """Return the query for the IPv4 address of a name (RFC 1035, section 4)."""
    header = struct.pack("!HHHHHH", query_id, _RECURSION_DESIRED, 1, 0, 0, 0)
    labels = b"".join(bytes([len(label)]) + label.encode("ascii") for label in name.split("."))
    return header + labels + b"\0" + struct.pack("!HH", _TYPE_A, _CLASS_IN)


def parse_first_address(response: bytes, query_id: int) -> str:
    """Return the first IPv4 address of a response.

    Raises:
        NotYet: the response is for another query, an error, or without an address.
    """
    response_id, flags, _, count, _, _ = struct.unpack_from("!HHHHHH", response)
    if response_id != query_id:
        raise NotYet("the response is for another query")
    if flags & 0xF:
        raise NotYet(f"the DNS server responds with error code {flags & 0xF}")
    position = _after_name(response, 12) + 4
    for _ in range(count):
        position = _after_name(response, position)
        kind, _, _, length = struct.unpack_from("!HHIH", response, position)
        position += 10
        if kind == _TYPE_A:
            return socket.inet_ntoa(response[position : position + length])
        position += length
    raise NotYet("the response contains no address")


def _after_name(packet: bytes, position: int) -> int:
    """Return the position after a name, which ends with an empty label or a two-byte pointer."""
    while (length := packet[position]) and length < 0xC0:
        position += length + 1
    return position + (2 if length else 1)
