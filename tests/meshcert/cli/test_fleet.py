"""A thousand identities: in order, under ACM's quota, and nobody waits in the dark."""

from __future__ import annotations

from dataclasses import replace

import pytest

from meshcert.errors import AwsRefused
from tests.meshcert.cli.cli_account import Broken, Terminal


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str]) -> Terminal:
    """A thousand identities that share a certificate; nobody uses them."""
    terminal = Terminal(capsys)
    for number in reversed(range(1000)):
        terminal.world.declared.remember(replace(terminal.world.identity, name=f"i{number:03}", services=()))
    terminal.world.declared.rows.pop("colorteller")
    terminal.sleep = terminal.world.clock.sleep  # type: ignore[method-assign]
    return terminal


def test_a_thousand_identities_are_told_in_order_at_four_a_second(terminal: Terminal) -> None:
    """ACM answers ten a second for an account, and the renewal function needs its share."""
    begin = terminal.monotonic()

    document = terminal.run("status", "--live", "--json").document

    took_s = terminal.monotonic() - begin
    assert [one["identity"] for one in document["identities"]] == [f"i{number:03}" for number in range(1000)]
    assert 1000 / took_s == pytest.approx(4.0, rel=0.05)


def test_who_waits_is_told_how_long_and_how_far(terminal: Terminal) -> None:
    """On standard error: the document stays one."""
    ended = terminal.run("plan", "--json")

    told = ended.err.splitlines()
    assert told[0].startswith("looking at 1,000 identities takes about 248 seconds")
    assert told[1:3] == ["  70 of 1,000", "  130 of 1,000"]
    assert len(told) == 1 + 16


def test_a_few_are_looked_at_without_a_pause_or_a_word(terminal: Terminal) -> None:
    """Ten fit into ACM's quota at once."""
    begin = terminal.monotonic()

    ended = terminal.run("status", *(f"i{number:03}" for number in range(10)))

    assert ended.err == ""
    assert terminal.monotonic() == begin


def test_names_keep_their_order_and_come_once(terminal: Terminal) -> None:
    """As they were asked for."""
    document = terminal.run("status", "--json", "i007", "i001", "i007").document

    assert [one["identity"] for one in document["identities"]] == ["i007", "i001"]


def test_a_session_that_expires_ends_it_at_once(terminal: Terminal) -> None:
    """Not after the nine hundred others."""
    begin = terminal.monotonic()
    terminal.breaks(remembered=Broken(AwsRefused("dynamodb:GetItem", "i000", "ExpiredTokenException", "expired")))

    ended = terminal.run("status", "--live")

    assert ended.code == 77
    assert ended.err.splitlines()[-1].startswith("meshcert: your AWS session has expired. Sign in")
    assert terminal.monotonic() - begin < 60
