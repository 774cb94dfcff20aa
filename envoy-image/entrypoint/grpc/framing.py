"""gRPC's framing of messages, and its statuses (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)."""

from __future__ import annotations

from enum import IntEnum

_PREFIX = 5


class Status(IntEnum):
    """The gRPC status codes that are used here."""

    OK = 0
    INVALID_ARGUMENT = 3
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    UNAVAILABLE = 14


class CallEnded(Exception):
    """
    Ends a call with a status.

    Args:
        reason: For the client's log; empty for ``OK``.
    """

    def __init__(self, status: Status, reason: str = "") -> None:
        self.status = status
        self.reason = reason
        super().__init__(f"{status.name}: {reason}")


def frame(message: bytes) -> bytes:
    """The message as gRPC sends it: uncompressed, after its length."""
    return b"\0" + len(message).to_bytes(4, "big") + message


class Deframer:
    """
    Puts messages together from the pieces in which they arrive.

    Args:
        largest_message: Size in bytes.
    """

    def __init__(self, largest_message: int) -> None:
        self._largest_message = largest_message
        self._pending = bytearray()

    def __len__(self) -> int:
        """The number of bytes kept of an incomplete message."""
        return len(self._pending)

    def feed(self, data: bytes) -> list[bytes]:
        """
        Take the next bytes and return the messages that they complete.

        Raises:
            CallEnded: If a message is compressed or too large.
        """
        self._pending += data
        messages = []
        while len(self._pending) >= _PREFIX:
            length = int.from_bytes(self._pending[1:_PREFIX], "big")
            if self._pending[0]:
                raise CallEnded(Status.UNIMPLEMENTED, "compressed messages are not supported")
            if length > self._largest_message:
                raise CallEnded(Status.RESOURCE_EXHAUSTED, f"a message has more than {self._largest_message} bytes")
            if len(self._pending) < _PREFIX + length:
                break
            messages.append(bytes(self._pending[_PREFIX : _PREFIX + length]))
            del self._pending[: _PREFIX + length]
        return messages


def percent_encoded(reason: str) -> str:
    """The text as ``grpc-message`` holds it: printable ASCII, and everything else as ``%XX`` of its UTF-8."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F and byte != 0x25 else f"%{byte:02X}" for byte in reason.encode())
