"""HTTP/1.1 answers (RFC 9112), read from a stream that may say anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.values.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST_ANSWER = 1 << 20
"""Most bytes of an answer, so that none can fill the memory; a secret has at most 64 KiB."""

_LARGEST_HEAD = 1 << 16
_LONGEST_CHUNK_LINE = 256
_MOST_INTERIM = 8
_AT_ONCE = 1 << 16
_FINAL = 200
_WITHOUT_BODY = frozenset({204, 304})
_DIGITS = frozenset("0123456789")
_HEX_DIGITS = frozenset(b"0123456789abcdefABCDEF")
_LONGEST_NUMBER = 8
_OF_LENGTH = frozenset({"content-length", "transfer-encoding"})


class HttpAnswer(NamedTuple):
    """
    The answer to one request.

    Args:
        entity_tag: The ETag; empty if there is none.
    """

    status: int
    body: bytes
    entity_tag: str


class AnswerReader:
    """
    Reads the answer to one request that is no HEAD.

    Args:
        receive: Returns some bytes, that many at most; none at the stream's end.
    """

    def __init__(self, receive: Callable[[int], bytes]) -> None:
        self._receive = receive
        self._received = bytearray()

    def read(self) -> tuple[HttpAnswer, bool]:
        """
        The answer, and whether another one may follow on the same connection.

        Raises:
            ValueError: If it is no HTTP/1.1, its length is ambiguous, or it is too large.
            ConnectionError: If it ends in the middle.
        """
        status, interim = 0, 0
        while status < _FINAL:
            if (interim := interim + 1) > _MOST_INTERIM:
                raise ValueError("it does not come to its status")
            version, status, headers = self._head()
        body, ends = self._body(status, headers)
        stays = not ends and version == b"HTTP/1.1" and "close" not in headers.get("connection", "").lower()
        # More than was asked for would be taken for the next answer.
        return HttpAnswer(status, body, headers.get("etag", "")), stays and not self._received

    def _head(self) -> tuple[bytes, int, dict[str, str]]:
        """Version, status, and the first value of each header by its name in lower case."""
        size = 0
        version, _, rest = self._line(_LARGEST_HEAD).partition(b" ")
        if version not in (b"HTTP/1.1", b"HTTP/1.0") or not rest[:3].isdigit() or rest[3:4] not in (b"", b" "):
            raise ValueError("it is no HTTP/1.1")
        headers: dict[str, str] = {}
        while line := self._line(_LARGEST_HEAD):
            size += len(line)
            name, colon, value = line.decode("latin-1").partition(":")
            if size > _LARGEST_HEAD or not colon or not name or name != name.strip():
                raise ValueError("its headers are malformed or too large")
            name, value = name.lower(), value.strip(" \t")
            if headers.setdefault(name, value) != value and name in _OF_LENGTH:
                raise ValueError("its length is ambiguous")
        return version, int(rest[:3]), headers

    def _body(self, status: int, headers: dict[str, str]) -> tuple[bytes, bool]:
        """The body, and whether the stream has ended with it."""
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        if status in _WITHOUT_BODY:
            return b"", False
        if coding is not None:
            # Both at once is how answers are smuggled (RFC 9112, section 6.3).
            if coding.lower() != "chunked" or length is not None:
                raise ValueError("its length is ambiguous")
            return self._chunks(), False
        if length is not None:
            if not length or len(length) > _LONGEST_NUMBER or not _DIGITS.issuperset(length):
                raise ValueError("its length is no number, or too large")
            return self._taken(int(length)), False
        while self._more():
            _bound(len(self._received))
        return self._taken(len(self._received)), True

    def _chunks(self) -> bytes:
        """A body in chunks (RFC 9112, section 7.1), whose extensions and trailers are dropped."""
        body = bytearray()
        while size := self._chunk_size():
            _bound(len(body) + size)
            body += self._taken(size)
            if self._line(2):
                raise ValueError("a chunk of it has another size than it says")
        trailers = 0
        while line := self._line(_LARGEST_HEAD):
            if (trailers := trailers + len(line)) > _LARGEST_HEAD:
                raise ValueError("its trailers are too large")
        return bytes(body)

    def _chunk_size(self) -> int:
        digits = self._line(_LONGEST_CHUNK_LINE).partition(b";")[0].rstrip(b" \t")
        if not digits or len(digits) > _LONGEST_NUMBER or not _HEX_DIGITS.issuperset(digits):
            raise ValueError("a chunk of it has no size")
        return int(digits, 16)

    def _line(self, longest: int) -> bytes:
        """The next line without its end."""
        searched = 0
        while (end := self._received.find(b"\r\n", searched)) < 0:
            searched = max(0, len(self._received) - 1)
            if len(self._received) > longest:
                raise ValueError("a line of it is too long")
            if not self._more():
                raise ConnectionError("it ends in the middle")
        return self._taken(end + 2)[:-2]

    def _taken(self, length: int) -> bytes:
        _bound(length)
        while len(self._received) < length:
            if not self._more():
                raise ConnectionError("it ends in the middle")
        part = bytes(self._received[:length])
        del self._received[:length]
        return part

    def _more(self) -> bool:
        """Take in what comes next; False at the stream's end."""
        part = self._receive(_AT_ONCE)
        self._received += part
        return bool(part)


def _bound(size: int) -> None:
    if size > LARGEST_ANSWER:
        raise ValueError(f"it is larger than {LARGEST_ANSWER} bytes")
