"""Input may be anything; our readers raise only what they promise."""

from __future__ import annotations

import json
import logging
import multiprocessing
import resource
import time
from contextlib import suppress
from pathlib import Path

import pytest

from evidence.fixtures.hostile_credentials import credentials
from evidence.fixtures.hostile_input import Reader, TooSlow, checks, parsers, spoil
from evidence.fixtures.hostile_messages import answers, messages
from evidence.fixtures.hostile_requests import requests
from evidence.fixtures.hostile_rows import rows
from evidence.fixtures.hostile_settings import packed
from meshcert.mesh.reading import source

PARSED = [*parsers(), *messages(), *answers(), *credentials(), *packed(), *requests()]
PARSERS = {reader.name: reader for reader in PARSED}
ROWS = {reader.name: reader for reader in rows()}
CHECKS = {reader.name: reader for reader in checks()}
READERS = PARSERS | ROWS | CHECKS


@pytest.fixture(autouse=True)
def unheard(caplog: pytest.LogCaptureFixture) -> None:
    """What readers log of spoiled input stays out of the reports: half a surrogate would end the whole run."""
    caplog.set_level(logging.CRITICAL)


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_answers_or_raises_what_it_promises(name: str) -> None:
    """For any input, within a second of the processor's time."""
    assert spoil(PARSERS[name], 100) > 60


@pytest.mark.parametrize("name", ROWS)
def test_a_row_ends_no_look_and_no_command(name: str) -> None:
    """From a row to the plan, to the measures, and to lines of which a terminal obeys nothing."""
    assert spoil(ROWS[name], 100) > 60


@pytest.mark.parametrize("name", CHECKS)
def test_the_preflight_answers_or_raises_what_it_promises(name: str) -> None:
    """From a secret's value to what Envoy would be handed."""
    assert spoil(CHECKS[name], 60) > 40


@pytest.mark.parametrize("name", READERS)
def test_good_input_is_read(name: str) -> None:
    """Guards the tests above: what is spoiled there was good before."""
    reader = READERS[name]

    for text in reader.good:
        reader.read(text)


def test_another_error_would_be_found() -> None:
    """Guards the tests above: a reader that promises less than it raises."""
    with pytest.raises(json.JSONDecodeError):
        spoil(Reader("hasty", json.loads, (UnicodeDecodeError, RecursionError), (b'{"a": 1}',)), 300)


def test_a_slow_reader_would_be_found() -> None:
    """The same for one that takes too long."""

    def work(text: bytes) -> None:
        began = time.process_time()
        while b"\0" in text and time.process_time() - began < 0.02:
            pass

    with pytest.raises(TooSlow):
        spoil(Reader("slow", work, (), (b"good",)), 300, longest_s=0.01)


LARGE = 2 * 2**20
MOST_MORE_BYTES = 64 * 2**20
FLOODS = (
    b"\0",
    b"[",
    b'{"a":',
    b"- ",
    b"&a [*a]\n",
    b"1",
    b"a",
    b"\x30\x84\x00\x3f\xff\xff",
    b"-----BEGIN CERTIFICATE-----\n",
)
"""What a large input repeats."""
LARGEST = {"function's environment": 4 * 2**10}
"""Where others cannot write as much: the environment of a function (AWS Lambda quotas)."""
FULLEST = {
    "mesh file": (
        b"identities: [" + b"a, " * (source.MOST_VALUES - 20) + b"]",
        b"identities:\n" + b"".join(b"  k%d: 1\n" % number for number in range(source.MOST_VALUES // 2 - 20)),
    )
}
"""Where a bound on values comes before the bound on bytes: as many values as are read."""
HOARDER = Reader("hoarder", lambda text: [text[start:] for start in range(64)], (), (b"good",))


def _read_floods(names: list[str], most_more: int) -> None:
    """Read every large input with so many bytes more than before it; MemoryError is promised by nobody."""
    logging.disable(logging.CRITICAL)
    for name in names:
        reader = (READERS | {HOARDER.name: HOARDER})[name]
        floods = (each * (LARGEST.get(name, LARGE) // max(len(each), 1)) for each in (*FLOODS, *reader.good))
        for text in (*FULLEST.get(name, ()), *floods):
            status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
            in_use = 1024 * int(status["VmData"].split()[0])
            resource.setrlimit(resource.RLIMIT_DATA, (in_use + most_more, resource.RLIM_INFINITY))
            with suppress(*reader.errors):
                reader.read(text)
            resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _exit_code(names: list[str], most_more: int) -> int | None:
    child = multiprocessing.get_context("spawn").Process(target=_read_floods, args=(names, most_more))
    child.start()
    child.join()
    return child.exitcode


@pytest.mark.parametrize("part", range(2))
def test_a_large_input_takes_no_more_memory_than_a_reader_may_have(part: int) -> None:
    """
    Two megabytes of the same, over and over: the kernel counts what a reader takes, libraries in C included.

    A process of its own for each half of the readers, because what is given back is not always seen to be.
    """
    assert _exit_code(list(READERS)[part::2], MOST_MORE_BYTES) == 0


def test_a_reader_that_takes_too_much_memory_would_be_found() -> None:
    """Guards the test above: one that keeps what it was given 64 times over."""
    assert _exit_code([HOARDER.name], MOST_MORE_BYTES) != 0
