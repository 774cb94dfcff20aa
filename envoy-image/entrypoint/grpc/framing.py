"""gRPC's framing of messages, and its statuses (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)."""

from __future__ import annotations

from enum import IntEnum

LARGEST_MESSAGE = 256 * 1024
"""Bytes. The first request of each of Envoy's streams names all its extensions and has 60 KB; others have a hundred."""
_PREFIX = 5


class Status(IntEnum):
    """The gRPC status codes that are answered here."""

    OK = 0
    INVALID_ARGUMENT = 3
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14


class CallRefused(Exception):
    """
    A call that ends with an error.

    Args:
        status: Its gRPC status.
        reason: For the client's log.
    """

    def __init__(self, status: Status, reason: str) -> None:
        self.status = status
        self.reason = reason
        super().__init__(f"{status.name}: {reason}")


def frame(message: bytes) -> bytes:
    """A message, not compressed, with its length before it."""
    return b"\0" + len(message).to_bytes(4, "big") + message


class Deframer:
    """Puts messages together from the pieces in which they arrive."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def __len__(self) -> int:
        """How many bytes of an unfinished message are kept."""
        return len(self._pending)

    def feed(self, data: bytes) -> list[bytes]:
        """
        The messages that these bytes complete.

        Args:
            data: What has arrived.

        Raises:
            CallRefused: If a message is compressed, or larger than :data:`LARGEST_MESSAGE`.
        """
        self._pending += data
        messages = []
        while len(self._pending) >= _PREFIX:
            length = int.from_bytes(self._pending[1:_PREFIX], "big")
            if self._pending[0]:
                raise CallRefused(Status.UNIMPLEMENTED, "compressed messages are not taken")
            if length > LARGEST_MESSAGE:
                raise CallRefused(Status.RESOURCE_EXHAUSTED, f"a message has more than {LARGEST_MESSAGE} bytes")
            if len(self._pending) < _PREFIX + length:
                break
            messages.append(bytes(self._pending[_PREFIX : _PREFIX + length]))
            del self._pending[: _PREFIX + length]
        return messages


def percent_encoded(reason: str) -> str:
    """``grpc-message``: printable ASCII, the rest as ``%XX`` of its UTF-8."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F and byte != 0x25 else f"%{byte:02X}" for byte in reason.encode())
