"""HTTP/2 frames by the side of h2, which cannot live with a graceful GOAWAY."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFACE_BYTES = 24
"""Length of what a client sends first (RFC 9113 section 3.4), bytes."""
_HEADER_BYTES = 9
_LENGTH_BYTES = 3
_GOAWAY = 0x7
_STREAM_MASK = 0x7FFF_FFFF


class GoAway(NamedTuple):
    """
    A GOAWAY frame (RFC 9113 section 6.8).

    Args:
        last_stream: The last stream that the sender has taken or may yet take.
        error: Its error code; 0 is a goodbye in good order.
    """

    last_stream: int
    error: int


class Frames:
    """
    Cuts received bytes into frames and takes every GOAWAY out.

    To h2 a GOAWAY ends the connection: it raises at the next frame. But one that says goodbye in good order comes
    *before* the answers to what was asked, and those must not be lost.

    Args:
        skip: Bytes to pass on before the first frame: :data:`PREFACE_BYTES` where a client is listened to.
    """

    def __init__(self, skip: int = 0) -> None:
        self._skip = skip
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes | GoAway]:
        """
        What has come in whole, in its order.

        Args:
            data: As it was received.

        Yields:
            Bytes for h2, and what it must not see.
        """
        data = self._rest + data
        place = passed = 0
        if self._skip:
            place = min(self._skip, len(data))
            self._skip -= place
        while not self._skip and len(data) - place >= _HEADER_BYTES:
            end = place + _HEADER_BYTES + int.from_bytes(data[place : place + _LENGTH_BYTES])
            if len(data) < end:
                break
            if data[place + _LENGTH_BYTES] == _GOAWAY:
                if place > passed:
                    yield data[passed:place]
                payload = data[place + _HEADER_BYTES : end]
                yield GoAway(int.from_bytes(payload[:4]) & _STREAM_MASK, int.from_bytes(payload[4:8]))
                passed = end
            place = end
        if place > passed:
            yield data[passed:place]
        self._rest = data[place:]
