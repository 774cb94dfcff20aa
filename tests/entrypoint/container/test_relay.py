"""Log lines for which nobody waits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from entrypoint.container.relay import MOST_BYTES, Relay
from entrypoint.log import Log, lost_lines
from evidence.fixtures.container import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

LINES = 2_000


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe that nobody reads until the test does."""
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def _read(reader: int) -> bytes:
    """Whatever is in the pipe now."""
    os.set_blocking(reader, False)
    text = b""
    with suppress(BlockingIOError):
        while piece := os.read(reader, 65_536):
            text += piece
    return text


def test_lines_come_out_in_order(pipe: tuple[int, int]) -> None:
    """All of them, whole."""
    reader, writer = pipe
    relay = Relay(lost_lines, descriptor=writer)
    log = Log("info", relay.put, relay.flush)

    for number in range(100):
        log.info("line", number=number)

    assert relay.flush(5.0)
    assert [json.loads(line)["number"] for line in _read(reader).splitlines()] == list(range(100))


def test_nobody_waits_for_a_pipe_that_nobody_reads(pipe: tuple[int, int]) -> None:
    """What does not fit is lost and counted, and nothing else happens; once somebody reads, it is told."""
    reader, writer = pipe
    relay = Relay(lost_lines, descriptor=writer)
    log = Log("info", relay.put, relay.flush)

    # Nobody reads as long as this goes on: a write that waits would never come back.
    for number in range(LINES):
        log.info("line", number=number, filling="x" * 200)
    assert not relay.flush(0.05)

    written = bytearray()

    def taken() -> bool:
        written.extend(_read(reader))
        return relay.flush(0.0)

    eventually(taken, "somebody reads")
    written += _read(reader)
    *lines, last = [json.loads(line) for line in bytes(written).splitlines()]
    assert last["event"] == "log-lines-lost"
    assert len(lines) + last["lines"] == LINES
    assert len(written) <= 2 * MOST_BYTES


def test_a_reader_that_has_gone_stops_nobody() -> None:
    """A closed standard output ends nothing."""
    reader, writer = os.pipe()
    os.close(reader)
    relay = Relay(lost_lines, descriptor=writer)

    relay.put(b"nobody reads this\n")

    assert relay.flush(5.0)
    os.close(writer)


def test_a_child_begins_anew() -> None:
    """A fork has the parent's queue and none of its threads; what waited is the parent's to write."""
    program = (
        "import os\n"
        "from entrypoint.container.relay import Relay\n"
        "relay = Relay(lambda lost: b'')\n"
        "relay.put(b'parent\\n'); relay.flush(5.0)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    relay.put(b'child\\n'); os._exit(0 if relay.flush(5.0) else 1)\n"
        "raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )

    environ = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, env=environ)

    assert (done.returncode, done.stdout) == (0, b"parent\nchild\n")
