"""Input may be anything; our readers raise only what they promise."""

from __future__ import annotations

import json
import logging
import time

import pytest

from evidence.fixtures.hostile_input import Reader, TooSlow, checks, parsers, spoil
from evidence.fixtures.hostile_messages import answers, messages
from evidence.fixtures.hostile_rows import rows

PARSERS = {reader.name: reader for reader in [*parsers(), *messages(), *answers()]}
ROWS = {reader.name: reader for reader in rows()}
CHECKS = {reader.name: reader for reader in checks()}


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


@pytest.mark.parametrize("name", [*PARSERS, *ROWS, *CHECKS])
def test_good_input_is_read(name: str) -> None:
    """Guards the tests above: what is spoiled there was good before."""
    reader = (PARSERS | ROWS | CHECKS)[name]

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
        while b"\0" in text and time.process_time() - began < 0.1:
            pass

    with pytest.raises(TooSlow):
        spoil(Reader("slow", work, (), (b"good",)), 300, longest_s=0.05)
