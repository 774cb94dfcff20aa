"""gRPC's frames and protobuf's fields, put together and taken apart."""

from __future__ import annotations

import pytest

from entrypoint.grpc.connection import Limits
from entrypoint.grpc.framing import CallEnded, Deframer, Status, frame, percent_encoded
from entrypoint.grpc.wire import fields

LARGEST_MESSAGE = Limits().message


def test_long_messages_are_read_in_linear_time() -> None:
    """64 KB of one-byte fields is the worst case."""
    import time  # noqa: PLC0415 -- of this test only

    began = time.process_time()
    count = sum(1 for _ in fields(b"\x08\x01" * (LARGEST_MESSAGE // 8)))

    assert count == LARGEST_MESSAGE // 8
    assert time.process_time() - began < 0.5


def test_messages_are_put_together_from_any_pieces() -> None:
    """Byte by byte, or several in one piece."""
    messages = [b"", b"a", b"b" * 300]
    stream = b"".join(map(frame, messages))

    byte_by_byte, at_once = Deframer(LARGEST_MESSAGE), Deframer(LARGEST_MESSAGE)

    assert [message for byte in stream for message in byte_by_byte.feed(bytes([byte]))] == messages
    assert at_once.feed(stream + b"\0\0") == messages
    assert (len(byte_by_byte), len(at_once)) == (0, 2)


@pytest.mark.parametrize(
    ("prefix", "status"),
    [
        (b"\x01\0\0\0\x01", Status.UNIMPLEMENTED),
        (b"\0" + (LARGEST_MESSAGE + 1).to_bytes(4, "big"), Status.RESOURCE_EXHAUSTED),
        (b"\0\xff\xff\xff\xff", Status.RESOURCE_EXHAUSTED),
    ],
    ids=["compressed", "too large", "4 GB"],
)
def test_a_message_that_will_not_be_taken_is_refused_by_its_prefix(prefix: bytes, status: Status) -> None:
    """Nothing of it is kept."""
    with pytest.raises(CallEnded) as refusal:
        Deframer(LARGEST_MESSAGE).feed(prefix)

    assert refusal.value.status is status


def test_a_status_message_is_percent_encoded() -> None:
    """Everything but printable ASCII is, as gRPC demands."""
    assert percent_encoded("100 % nö\n") == "100 %25 n%C3%B6%0A"
