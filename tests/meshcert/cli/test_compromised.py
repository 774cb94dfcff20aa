"""compromised: what is said of a leaked key, what is done about it, and how that is followed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from meshcert.errors import AwsRefused
from tests.meshcert.cli.cli_account import Terminal
from tests.meshcert.lifecycle.runs import THROTTLED, failing
from tests.meshcert.lifecycle.world import DAY, ROOT, SECRET
from tests.meshcert.mesh.mesh_slips import changed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str]) -> Terminal:
    """The command line over a mesh whose second certificate is half-way."""
    terminal = Terminal(capsys)
    terminal.world.pass_time(DAY)
    terminal.world.look("renew", message="before")
    terminal.world.settle()
    terminal.world.pass_time(200 * DAY)
    return terminal


def test_it_says_beforehand_what_is_revoked_and_how_long_the_old_key_lives(terminal: Terminal) -> None:
    """With every serial number and its end; without a list, what closes the door now."""
    old = terminal.world.current
    first, second = terminal.world.acm.serial_numbers

    ended = terminal.run("compromised", "colorteller", "--reason", "it was in a log")

    lines = ended.out.splitlines()
    assert ended.code == 0
    assert lines[0].endswith("and those with the old key have ended, these are revoked for good:")
    assert lines[1] == f"  {old[:8]}  serial …{second[-8:]}, until 2027-02-01 12:06 UTC, 195 days from now"
    assert f"serial …{first[-8:]}, until 2027-01-31" in lines[2]
    assert lines[3].startswith("its CA writes no revocation list, so peers accept the old key until 2027-02-01 12:06")
    assert "in three deploys" in lines[4]
    assert "PERMISSIVE is no answer" in lines[4]
    assert "First: renew: its key is compromised: it was in a log" in lines[5]
    assert terminal.world.acm.renewals_asked == 2


def test_with_a_list_it_says_when_peers_refuse_the_old_key(terminal: Terminal) -> None:
    """AWS writes it half an hour after a revocation; proxies poll. The CA that signs is asked."""
    asked: list[str] = []
    terminal.breaks(has_list=lambda authority: not asked.append(authority))  # type: ignore[func-returns-value]

    out = terminal.run("compromised", "colorteller").out

    assert "in its CA's revocation list about 30 minutes after its revocation" in out
    assert "poll_interval_s" in out
    assert "no revocation list" not in out
    assert asked == [ROOT]


@pytest.mark.parametrize(
    ("lists", "told"),
    [(True, "about 30 minutes after its revocation"), (False, "proxies read no revocation list of its CA")],
)
def test_of_a_ca_of_yours_the_mesh_file_says_whether_proxies_read_its_list(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, lists: bool, told: str
) -> None:
    """Its owner revokes, and keeps the list; nobody asks the CA. Without the file nobody knows."""
    arn = "arn:aws:acm-pca:us-west-1:999988887777:certificate-authority/01234567-89ab-cdef-0123-456789abcdef"
    existing = {"arn": arn, "root": "root.pem", **({"lists": ["s3://their-pki/crl/a.crl"]} if lists else {})}
    hierarchy = {"existing": existing, "key_algorithm": "RSA_2048", **({"revocation": "crl"} if lists else {})}
    file = tmp_path / "color.yaml"
    file.write_bytes(changed(("hierarchies.colorteller", hierarchy)))
    monkeypatch.chdir(tmp_path)
    identity = terminal.world.declared.find("colorteller")
    assert identity is not None
    terminal.world.declared.remember(replace(identity, has_existing_authority=True))

    assert told in terminal.run("compromised", "colorteller", "--mesh", str(file)).out
    assert "is not known" in terminal.run("compromised", "colorteller", "--mesh", "color").out


def test_without_the_right_to_ask_the_ca_it_says_both(terminal: Terminal) -> None:
    """And orders it all the same."""

    def denied(authority: str) -> bool:
        raise AwsRefused("acm-pca:DescribeCertificateAuthority", authority, "AccessDeniedException")

    terminal.breaks(has_list=denied)

    ended = terminal.run("compromised", "colorteller", "--json")

    assert "whether its CA writes a revocation list is not known" in ended.err
    assert ended.document["revocation_list"] is None
    assert terminal.world.memory.compromise


def test_under_a_ca_of_yours_its_owner_is_told_what_to_revoke_and_when(terminal: Terminal) -> None:
    """Nobody of the mesh may; the order gives the identity another key, and ends when that is served."""
    world, (_, second) = terminal.world, terminal.world.acm.serial_numbers
    world.declared.remember(replace(world.identity, has_existing_authority=True))

    ended = terminal.run("compromised", "colorteller", "--wait", "3600")

    lines = ended.out.splitlines()
    assert ended.code == 0
    assert lines[0] == "colorteller gets another key."
    assert lines[1].startswith(
        "Its CA is yours, and nobody of the mesh may revoke there. Once every task serves another"
    )
    assert lines[3] == (
        f"    aws acm-pca revoke-certificate --certificate-authority-arn {ROOT} --certificate-serial "
        f"{bytes.fromhex(second).hex(':')} --revocation-reason KEY_COMPROMISE"
    )
    assert "for good" not in ended.out
    assert "proxies read no revocation list of its CA, so peers accept the old key until 2027-02-01 12:06" in ended.out
    assert "its hierarchy, deployed before this order" not in ended.out
    assert "`revocation: crl` with its CA's `lists`" in ended.out
    assert lines[-2].startswith("settled: ")
    assert lines[-1] == "now have the CA's owner revoke what is listed above for it"
    assert world.acm.revoked == []
    assert terminal.run("status", "colorteller").out.count("by the owner of its CA") == 2


def test_it_is_followed_until_the_old_certificates_are_revoked(terminal: Terminal) -> None:
    """Not only until the new key is served; `history` tells who and why, and `status` shows it."""
    serials = list(terminal.world.acm.serial_numbers)

    ended = terminal.run("compromised", "colorteller", "--reason", "it was in a log", "--wait", "3600")

    lines = [line.split(maxsplit=1)[1] for line in ended.out.splitlines() if line.startswith("  ") and ":" in line[:8]]
    assert ended.code == 0
    assert lines[-5].startswith("prove ")
    assert lines[-4] == "wait: 2 certificates to be revoked once 2 tasks with the old key have ended"
    assert lines[-3:-1] == ["revoke: done"] * 2
    assert ended.out.splitlines()[-1].startswith("settled: ")
    assert sorted(terminal.world.acm.revoked) == serials
    history = terminal.run("history", "colorteller").out
    assert f"done: to be revoked: {serials[1]}, {serials[0]}" in history
    assert serials[0] in history
    assert terminal.run("status", "colorteller").out.count(" revoked 2026-") == 2


def test_a_revocation_that_fails_is_no_end(terminal: Terminal) -> None:
    """The new key is served by then; the wait goes on, and says what is missing."""

    def sleep(seconds: float) -> None:
        terminal.world.clock.sleep(seconds)
        terminal.world.tick(failing({"revoke"}, THROTTLED))

    terminal.sleep = sleep  # type: ignore[method-assign]

    ended = terminal.run("compromised", "colorteller", "--wait", "900", "--json")

    assert ended.code in {3, 4}
    assert ended.document["after"]["settled"] is False
    assert [each["revoked_at"] for each in ended.document["after"]["compromised"]] == [None, None]
    assert "not settled after 900 seconds; the order stays" in ended.err
    assert "revoke: its key is compromised" in ended.err


def test_an_order_about_a_version_that_is_gone_is_refused_and_said(terminal: Terminal) -> None:
    """The secret was made anew between the look and the order."""
    sends = terminal.send

    def send(order: str, identity: str, reason: str, version: str = "") -> str:
        return sends(order, identity, reason, version[::-1])

    terminal.send = send  # type: ignore[method-assign]

    ended = terminal.run("compromised", "colorteller", "--wait")

    assert ended.code == 4
    assert "order about a compromised key: refused: no such version was published" in ended.out


def test_where_nothing_is_published_nothing_is_ordered(terminal: Terminal) -> None:
    """Nobody can have a key of it."""
    terminal.world.vault.secrets.pop(SECRET)
    terminal.world.vault.seed(SECRET)

    ended = terminal.run("compromised", "colorteller")

    assert (ended.code, ended.out) == (4, "")
    assert (
        ended.err == "meshcert: nothing is published for colorteller, so nobody has a key of it. Nothing was ordered\n"
    )
    assert terminal.world.memory.compromise is None
