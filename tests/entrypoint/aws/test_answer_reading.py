"""HTTP/1.1 answers as servers send them, cut, forged or endless; the parser h11 is asked about the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrypoint.aws.answer_reading import LARGEST_ANSWER, AnswerReader, HttpAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def _arriving(answer: bytes, at_once: int = 1 << 16) -> Callable[[int], bytes]:
    """A stream that gives so many bytes at a time, and then ends."""
    parts = (answer[at : at + at_once] for at in range(0, len(answer), at_once))
    return lambda _: next(parts, b"")


def _read(answer: bytes, at_once: int = 1 << 16) -> tuple[HttpAnswer, bool]:
    return AnswerReader(_arriving(answer, at_once)).read()


@pytest.mark.parametrize("at_once", [1, 7, 1 << 16])
@pytest.mark.parametrize(
    ("answer", "status", "body", "stays"),
    [
        (OK + b"Content-Length: 4\r\n\r\nbody", 200, b"body", True),
        (OK + b'content-length:4\r\nETag: "1"\r\n\r\nbody', 200, b"body", True),
        (OK + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nbody", 200, b"body", True),
        (OK + b"Content-Length: 0\r\n\r\n", 200, b"", True),
        (OK + b"Connection: close\r\nContent-Length: 4\r\n\r\nbody", 200, b"body", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody", 200, b"body", False),
        (OK + b"\r\nuntil the end", 200, b"until the end", False),
        (CHUNKED + b"2\r\nbo\r\n2;x=y\r\ndy\r\n0\r\n\r\n", 200, b"body", True),
        (CHUNKED + b"4\r\nbody\r\n00\r\nX-Trailer: 1\r\n\r\n", 200, b"body", True),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 4\r\n\r\nbody", 200, b"body", True),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n", 304, b"", True),
        (b"HTTP/1.1 204\r\n\r\n", 204, b"", True),
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}", 400, b"{}", True),
        (OK + b"Content-Length: 4\r\n\r\nbodyHTTP/1.1 200 OK\r\n", 200, b"body", False),
    ],
)
def test_an_answer_is_read_to_its_end_and_no_further(  # the last one is more than was asked for
    answer: bytes, status: int, body: bytes, at_once: int, *, stays: bool
) -> None:
    """However few bytes arrive at a time; what follows it unasked ends the connection."""
    found, may_stay = _read(answer, at_once)

    assert (found.status, found.body) == (status, body)
    if at_once > 100 or stays:
        assert may_stay is stays


def test_the_entity_tag_is_told() -> None:
    """With its quotes, as S3 wants it back."""
    assert _read(OK + b'ETag: "1"\r\nContent-Length: 0\r\n\r\n')[0].entity_tag == '"1"'


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "ends in the middle"),
        (b"HTTP/1.1 200 OK", "ends in the middle"),
        (OK + b"Content-Length: 5\r\n\r\nbody", "ends in the middle"),
        (CHUNKED + b"4\r\nbody\r\n", "ends in the middle"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "no HTTP/1.1"),
        (b"HTTP/2 200\r\n\r\n", "no HTTP/1.1"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "no HTTP/1.1"),
        (b"HTTP/1.1 \xb2\xb3\xb9 OK\r\n\r\n", "no HTTP/1.1"),
        (OK + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nbody!", "ambiguous"),
        (OK + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\nbody", "ambiguous"),
        (OK + b"Transfer-Encoding: gzip\r\n\r\nbody", "ambiguous"),
        (OK + b"Content-Length: -4\r\n\r\nbody", "no number"),
        (OK + b"Content-Length: 0x4\r\n\r\nbody", "no number"),
        (OK + "Content-Length: \uff14\r\n\r\nbody".encode(), "no number"),
        (OK + b"Content-Length: 4, 4\r\n\r\nbody", "no number"),
        (OK + b"Content-Length: 99999999999999999999\r\n\r\n", "no number, or too large"),
        (OK + b"Content-Length: 1048577\r\n\r\n", "larger than 1048576 bytes"),
        (OK + b"Content-Length : 4\r\n\r\nbody", "malformed"),
        (OK + b"Content-Length: 4\r\n folded\r\n\r\nbody", "malformed"),
        (OK + b"no colon\r\n\r\n", "malformed"),
        (OK + b": no name\r\n\r\n", "malformed"),
        (CHUNKED + b"\r\n\r\n", "no size"),
        (CHUNKED + b"+4\r\nbody\r\n0\r\n\r\n", "no size"),
        (CHUNKED + b"4\r\nbodybody\r\n0\r\n\r\n", "another size|too long"),
        (CHUNKED + b"100001\r\n", "larger than 1048576 bytes"),
        (CHUNKED + b"123456789\r\n", "no size"),
    ],
)
def test_what_is_no_whole_answer_is_refused(answer: bytes, said: str) -> None:
    """Cut, of another protocol, or of a length that two readers would read differently (RFC 9112, section 11.2)."""
    with pytest.raises((ConnectionError, ValueError), match=said):
        _read(answer)


def _endless(first: bytes, then: bytes) -> Iterator[bytes]:
    yield first
    while True:
        yield then


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"H", b"x" * 4096),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (OK, b"x" * 4096),
        (OK, b"X-Header: 1\r\n"),
        (OK + b"\r\n", b"x" * 4096),
        (CHUNKED, b"100\r\n" + b"x" * 256 + b"\r\n"),
        (CHUNKED, b"1;" + b"x" * 4096),
        (CHUNKED + b"0\r\n", b"X-Trailer: 1\r\n"),
    ],
    ids=["status", "interim", "header", "headers", "body", "chunks", "extension", "trailers"],
)
def test_what_never_ends_is_refused_within_its_bound(first: bytes, then: bytes) -> None:
    """Each part of an answer has its own."""
    stream, taken = _endless(first, then), 0

    def receive(_: int) -> bytes:
        nonlocal taken
        part = next(stream)
        taken += len(part)
        return part

    with pytest.raises(ValueError, match=r"too large|too long|larger than|does not come"):
        AnswerReader(receive).read()
    assert taken <= LARGEST_ANSWER + (1 << 17)


TOKENS = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12).filter(lambda name: name[0] != "-")
VALUES = st.text('abc 0123456789,;=/"', max_size=20).map(str.strip)


@given(
    status=st.integers(200, 599).filter(lambda status: status not in {204, 304}),
    headers=st.lists(
        st.tuples(TOKENS, VALUES).filter(lambda field: field[0] not in {"content-length", "transfer-encoding"}),
        max_size=4,
    ),
    parts=st.lists(st.binary(min_size=1, max_size=50), max_size=4),
    at_once=st.integers(1, 200),
    chunked=st.booleans(),
)
def test_what_h11_writes_is_read_as_h11_reads_it(
    *, status: int, headers: list[tuple[str, str]], parts: list[bytes], at_once: int, chunked: bool
) -> None:
    """Any status, headers and body, with its length or in chunks, whatever arrives at a time."""
    length = [] if chunked else [("content-length", str(sum(map(len, parts))))]
    server = h11.Connection(h11.SERVER)
    server.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    server.next_event()
    written = [server.send(h11.Response(status_code=status, headers=[*headers, *length]))]
    written += [server.send(h11.Data(data=part)) for part in parts]
    written.append(server.send(h11.EndOfMessage()))

    found, stays = _read(b"".join(part or b"" for part in written), at_once)

    assert (found.status, found.body) == (status, b"".join(parts))
    closes = any("close" in value for name, value in headers if name == "connection")
    assert stays is not closes


@given(answer=st.binary(max_size=200), before=st.sampled_from([b"", OK, CHUNKED, OK + b"Content-Length: 9\r\n\r\n"]))
def test_no_bytes_are_answered_with_another_error(answer: bytes, before: bytes) -> None:
    """A refusal, or an answer that those bytes could mean."""
    try:
        found, _ = _read(before + answer)
    except (ConnectionError, ValueError):
        return
    assert found.status >= 200
    assert found.body in before + answer or before == CHUNKED or b"chunked" in answer.lower()
