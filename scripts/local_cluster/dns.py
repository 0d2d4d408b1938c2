"""One DNS question, asked without a resolver: does the cluster's name server know this name?"""

from __future__ import annotations

import secrets
import socket
import struct

from common.waiting import NotYet

_TYPE_A = 1
_CLASS_IN = 1
_RECURSION_DESIRED = 0x0100


def resolve(name: str, server: str, timeout_s: float = 2.0) -> str:
    """Give the first IPv4 address that a name server has for a name.

    Args:
        name: the full name, without a dot at its end.
        server: the name server's IP address.
        timeout_s: seconds to wait for its answer.

    Raises:
        NotYet: no answer, or one without an address.
    """
    number = secrets.randbelow(1 << 16)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout_s)
        try:
            sock.connect((server, 53))
            sock.send(question(name, number))
            return first_address(sock.recv(4096), number)
        except OSError as error:
            raise NotYet(f"{server} does not answer DNS: {error}") from None


def question(name: str, number: int) -> bytes:
    """Give the packet that asks for the IPv4 address of a name (RFC 1035, section 4)."""
    header = struct.pack("!HHHHHH", number, _RECURSION_DESIRED, 1, 0, 0, 0)
    labels = b"".join(bytes([len(label)]) + label.encode("ascii") for label in name.split("."))
    return header + labels + b"\0" + struct.pack("!HH", _TYPE_A, _CLASS_IN)


def first_address(answer: bytes, number: int) -> str:
    """Give the first IPv4 address in an answer.

    Raises:
        NotYet: the answer is to another question, an error, or without an address.
    """
    answered, flags, _, count, _, _ = struct.unpack_from("!HHHHHH", answer)
    if answered != number:
        raise NotYet("the answer is to another question")
    if flags & 0xF:
        raise NotYet(f"the name server answers with error code {flags & 0xF}")
    position = _after_name(answer, 12) + 4
    for _ in range(count):
        position = _after_name(answer, position)
        kind, _, _, length = struct.unpack_from("!HHIH", answer, position)
        position += 10
        if kind == _TYPE_A:
            return socket.inet_ntoa(answer[position : position + length])
        position += length
    raise NotYet("the name server knows no address")


def _after_name(packet: bytes, position: int) -> int:
    """Give the position behind a name, which ends with an empty label or with a pointer of two bytes."""
    while (length := packet[position]) and length < 0xC0:
        position += length + 1
    return position + (2 if length else 1)
