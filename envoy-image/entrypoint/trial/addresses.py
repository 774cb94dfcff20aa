"""The addresses of a backend's name, from the DNS server that Envoy asks."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER_BYTES = 12
_LARGEST_ANSWER = 4096
_RECURSION_DESIRED = 0x0100
_TYPE_A = b"\x00\x01"
_CLASS_IN = b"\x00\x01"
_POINTER = 0xC0
_RECORD_BYTES = 10
_ADDRESS_BYTES = 4


def addresses_of(host: str, resolver: str, timeout_s: float) -> list[str]:
    """
    The IPv4 addresses of a name, the only ones that Envoy's clusters use (``dns_lookup_family: V4_ONLY``).

    Args:
        resolver: ``host:port`` of the DNS server to ask; empty for the system's resolver, which has its own time limit.
        timeout_s: Longest wait for the named DNS server, seconds.

    Raises:
        OSError: If there is no answer, or no address in it.
    """
    if resolver:
        return _asked(host, resolver, timeout_s)
    found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
    return [str(place[0]) for *_, place in found]


def _asked(host: str, resolver: str, timeout_s: float) -> list[str]:
    """Ask one question (RFC 1035) without a library: the image has none, and only a named DNS server needs this."""
    server, _, port = resolver.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.settimeout(timeout_s)
        connection.connect((server, int(port)))
        number = os.urandom(2)
        connection.send(number + _question(host))
        answer = connection.recv(_LARGEST_ANSWER)
    try:
        found = list(_addresses(answer)) if answer[:2] == number else []
    except IndexError:
        found = []
    if not found:
        raise OSError(f"{resolver} knows no address of {host}")
    return found


def _question(host: str) -> bytes:
    header = _RECURSION_DESIRED.to_bytes(2, "big") + (1).to_bytes(2, "big") + bytes(6)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in host.rstrip(".").split("."))
    return header + labels + b"\0" + _TYPE_A + _CLASS_IN


def _addresses(answer: bytes) -> Iterator[str]:
    """The addresses of all A records in the answer, under any name, because a CNAME may lead to them."""
    place = _after_name(answer, _HEADER_BYTES) + len(_TYPE_A + _CLASS_IN)
    for _ in range(int.from_bytes(answer[6:8], "big")):
        place = _after_name(answer, place)
        kind, length = answer[place : place + 2], int.from_bytes(answer[place + 8 : place + _RECORD_BYTES], "big")
        place += _RECORD_BYTES + length
        if kind == _TYPE_A and length == _ADDRESS_BYTES <= len(answer[place - length : place]):
            yield socket.inet_ntoa(answer[place - length : place])


def _after_name(answer: bytes, place: int) -> int:
    while answer[place]:
        if answer[place] >= _POINTER:
            return place + 2
        place += 1 + answer[place]
    return place + 1
