"""Who accepts connections is found out by connecting."""

from __future__ import annotations

import os
import resource
import socket
import time
from contextlib import ExitStack

import pytest

from entrypoint.discovery import connecting
from entrypoint.discovery.connecting import accepting

HERE = "127.0.0.1"


def listening(stack: ExitStack) -> tuple[str, int]:
    """An address that accepts connections until the stack is closed."""
    server = stack.enter_context(socket.create_server((HERE, 0)))
    address: tuple[str, int] = server.getsockname()
    return address


def test_who_listens_accepts_and_who_refuses_does_not() -> None:
    """Whoever has stopped listening is no longer among them."""
    with ExitStack() as stack, ExitStack() as others:
        open_ones = [listening(stack) for _ in range(3)]
        gone = [listening(others) for _ in range(3)]
        others.close()

        assert accepting([*open_ones, *gone]) == frozenset(open_ones)


def test_nobody_is_nobody() -> None:
    """Without an address no time passes."""
    assert accepting([]) == frozenset()


def test_the_silent_cost_a_wait_and_hide_nobody() -> None:
    """Packets to a full backlog are dropped as those to an address without a task are."""
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_server((HERE, 0), backlog=0))
        for _ in range(2):
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(silent.getsockname())
        open_one = listening(stack)
        began = time.monotonic()

        found = accepting([silent.getsockname(), open_one], within_s=0.1)

        assert found == {open_one}
        assert time.monotonic() - began >= 0.1


def test_more_than_are_tried_at_once_are_tried_in_turn() -> None:
    """Each part has a time of its own."""
    with ExitStack() as stack:
        everybody = [listening(stack) for _ in range(connecting.AT_ONCE + 2)]

        assert accepting(everybody) == frozenset(everybody)


@pytest.mark.parametrize("left", [0, 1])
def test_without_file_descriptors_nobody_accepts_and_nothing_is_raised(left: int) -> None:
    """The next look tries again; of the descriptors that were there, none is lost."""
    with ExitStack() as stack:
        address = listening(stack)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + left, hard))

        assert accepting([address]) == frozenset()

        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert accepting([address]) == {address}


def test_a_tried_connection_brings_nothing() -> None:
    """It is closed at once, without a byte."""
    with socket.create_server((HERE, 0)) as server:
        assert accepting([server.getsockname()])
        connection, _ = server.accept()
        with connection:
            assert connection.recv(1) == b""
