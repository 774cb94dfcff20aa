"""The addresses of a name by DNS, for tasks that start while Cloud Map's API does not answer. Loaded only then."""

from __future__ import annotations

import os
import socket

_ANSWER_WITHIN_S = 2.0
_LONGEST_ANSWER = 4_096
_TYPE_A = 1
_HEADER = 12


def addresses_of(name: str, server: str = "") -> tuple[str, ...]:
    """
    The IPv4 addresses of a name, sorted; empty if it has none, or nobody answers.

    Args:
        server: ``host:port`` of the DNS server; empty for the system's.
    """
    try:
        if server:
            host, _, port = server.rpartition(":")
            return tuple(sorted(set(_asked(name, host, int(port)))))
        return tuple(sorted({str(each[4][0]) for each in socket.getaddrinfo(name, None, socket.AF_INET)}))
    except (OSError, ValueError, IndexError):
        return ()


def _asked(name: str, host: str, port: int) -> list[str]:
    """Ask one server one question (RFC 1035, section 4)."""
    question = b"".join(bytes([len(label)]) + label for label in name.encode().split(b".")) + b"\0\0\x01\0\x01"
    number = os.urandom(2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(_ANSWER_WITHIN_S)
        asking.connect((host, port))
        asking.send(number + b"\x01\0\0\x01\0\0\0\0\0\0" + question)
        answer = asking.recv(_LONGEST_ANSWER)
    if answer[:2] != number or answer[_HEADER : _HEADER + len(question)] != question:
        return []
    found, position = [], _HEADER + len(question)
    for _ in range(_number(answer, 6)):
        position = _after_name(answer, position)
        kind, size = _number(answer, position), _number(answer, position + 8)
        position += 10
        if kind == _TYPE_A:
            found.append(socket.inet_ntoa(answer[position : position + size]))
        position += size
    return found


def _number(answer: bytes, position: int) -> int:
    return int.from_bytes(answer[position : position + 2])


def _after_name(answer: bytes, position: int) -> int:
    while answer[position]:
        if answer[position] >= 0xC0:  # a pointer, with which a name ends
            return position + 2
        position += 1 + answer[position]
    return position + 1
