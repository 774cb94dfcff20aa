"""renew and rollback: what is foreseen, what is followed, and how they end."""

from __future__ import annotations

import pytest

from meshcert.errors import AwsUnavailable, IdentityMissing
from tests.meshcert.cli.cli_account import Broken, Terminal
from tests.meshcert.lifecycle.world import DAY, MINUTE, SECRET


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str]) -> Terminal:
    """The command line over a mesh whose certificate is half-way."""
    terminal = Terminal(capsys)
    terminal.world.pass_time(200 * DAY)
    return terminal


def test_a_renewal_is_ordered_and_left_to_the_renewal_function(terminal: Terminal) -> None:
    """Without --wait it ends when SQS has the order; it says what comes first and where to look."""
    ended = terminal.run("renew", "colorteller", "--reason", "drill")

    assert ended.code == 0
    assert "ordered: renew colorteller. First: renew: ordered: drill" in ended.out
    assert "`meshcert status colorteller`" in ended.out
    assert terminal.world.acm.renewals_asked == 1


def test_a_renewal_is_followed_until_it_is_served_and_proven(terminal: Terminal) -> None:
    """Each action and each wait is a line with its time."""
    before = terminal.world.current

    ended = terminal.run("renew", "colorteller", "--reason", "drill", "--wait")

    after = terminal.world.current
    lines = [line.split(maxsplit=1)[1] for line in ended.out.splitlines() if line.startswith("  ")]
    assert ended.code == 0
    assert lines[0] == "renew: done"
    assert f"export {before[:8]} → {after[:8]}: done" in lines
    assert "wait: watching the deployment of teller" in lines
    assert lines[-2:] == [f"prove {before[:8]} → {after[:8]}: done", "nothing: published, served and issued are one"]
    assert ended.out.splitlines()[-1] == f"settled: {before[:8]} → {after[:8]}"
    assert before != after == terminal.world.last_good


def test_a_roll_back_is_followed_until_a_fresh_renewal_is_served(terminal: Terminal) -> None:
    """The version that is left stays quarantined."""
    good = terminal.world.current
    terminal.run("renew", "colorteller", "--wait")
    bad = terminal.world.current
    terminal.world.pass_time(20 * MINUTE)

    ended = terminal.run("rollback", "colorteller", "--reason", "errors since", "--wait", "3600")

    assert f"leave {bad[:8]} and go back to {good[:8]}" in ended.out
    assert f"roll back {bad[:8]} → {good[:8]}: done" in ended.out
    assert ended.code == 0, ended.out
    assert terminal.world.quarantined == bad
    assert terminal.world.current not in {bad, good}


def test_a_roll_back_to_nothing_is_refused_before_it_is_ordered(terminal: Terminal) -> None:
    """The first version of all has none before it."""
    ended = terminal.run("rollback", "colorteller")

    assert ended.code == 4
    assert ended.err == (
        "meshcert: colorteller has no good version to go back to, so nothing was ordered. "
        "`meshcert renew colorteller` makes a new one\n"
    )
    assert terminal.world.audit.told()[-1] == ("prove", "done")


def test_an_order_that_the_function_refuses_ends_the_wait(terminal: Terminal) -> None:
    """What was good to go back to when it was ordered was gone when it was taken up."""
    terminal.run("renew", "colorteller", "--wait")
    world = terminal.world
    sends = terminal.send

    def send(order: str, identity: str, reason: str, version: str = "") -> str:
        world.vault.move_label(
            SECRET, "QUARANTINED", to=world.vault.secrets[SECRET].holders["AWSPREVIOUS"], away_from=None
        )
        return sends(order, identity, reason, version)

    terminal.send = send  # type: ignore[method-assign]

    ended = terminal.run("rollback", "colorteller", "--wait")

    assert ended.code == 4
    assert "order to rollback: refused: there is no good version to go back to" in ended.out


def test_a_wait_that_is_too_short_says_that_the_order_stays(terminal: Terminal) -> None:
    """Nobody takes it up here."""
    terminal.order_is_taken = False

    ended = terminal.run("renew", "colorteller", "--wait", "30")

    assert ended.code == 3
    assert "waiting for the renewal function" in ended.out
    assert "not settled after 30 seconds; the order stays, `meshcert status colorteller`" in ended.out


class Faltering:
    """What is remembered; the third question fails."""

    def __init__(self, terminal: Terminal, reason: str) -> None:
        self._remembered = terminal.account.remembered
        self._reason = reason
        self.asked = 0

    def memory(self, identity: str) -> object:
        """As the table tells it."""
        self.asked += 1
        if self.asked == 3:
            raise AwsUnavailable("dynamodb:GetItem", "x", self._reason)
        return self._remembered.memory(identity)


def test_a_wait_goes_on_while_aws_does_not_answer(terminal: Terminal) -> None:
    """One throttled look is a line, not the end."""
    faltering = Faltering(terminal, "Throttling")
    terminal.breaks(remembered=faltering)

    ended = terminal.run("renew", "colorteller", "--wait")

    assert faltering.asked > 3
    assert "AWS does not answer, trying again: dynamodb:GetItem on x: Throttling" in ended.out
    assert ended.code == 0


def test_a_session_that_expires_ends_the_wait(terminal: Terminal) -> None:
    """Only the operator can sign in again; the order stays."""
    terminal.breaks(remembered=Faltering(terminal, "ExpiredTokenException"))

    ended = terminal.run("renew", "colorteller", "--wait")

    assert ended.code == 77
    assert "ordered: renew colorteller" in ended.out
    assert ended.err.startswith("meshcert: your AWS session has expired. Sign in")


def test_a_wait_without_the_audit_log_follows_what_is_seen(terminal: Terminal) -> None:
    """Its lines are for people; what is seen decides."""

    def unreadable(*_: object) -> object:
        raise IdentityMissing("/meshcert/color/audit", "Deploy the stacks again")

    terminal.breaks(history=unreadable)

    ended = terminal.run("renew", "colorteller", "--wait")

    assert ended.code == 0
    assert "wait: watching the deployment of teller" in ended.out


def test_json_of_an_order_is_one_document_and_progress_goes_beside_it(terminal: Terminal) -> None:
    """The same keys with and without --wait."""
    ordered = terminal.run("renew", "colorteller", "--json")
    terminal.world.pass_time(20 * MINUTE)
    terminal.world.settle()
    followed = terminal.run("renew", "colorteller", "--json", "--wait", "3600")

    keys = {"schema", "mesh", "region", "at", "order", "identity", "message_id", "after"}
    assert set(ordered.document) == set(followed.document) == keys
    assert ordered.document["after"] is None
    assert followed.document["after"]["settled"] is True
    assert "watching the deployment of teller" in followed.err


def test_an_order_that_the_queue_does_not_take_is_no_order(terminal: Terminal) -> None:
    """The renewal stack is not deployed."""
    terminal.breaks(orders=Broken(IdentityMissing("meshcert-color-orders", "Deploy the stacks again")))

    ended = terminal.run("renew", "colorteller", "--wait")

    assert (ended.code, ended.out) == (64, "")
    assert ended.err == "meshcert: meshcert-color-orders does not exist. Deploy the stacks again\n"


def test_ctrl_c_ends_a_wait_and_not_the_order(terminal: Terminal) -> None:
    """As a shell expects it: 130."""

    def interrupt(seconds: float) -> None:
        del seconds
        raise KeyboardInterrupt

    terminal.sleep = interrupt  # type: ignore[method-assign]

    ended = terminal.run("renew", "colorteller", "--wait")

    assert ended.code == 130
    assert ended.err.strip() == "meshcert: interrupted; an order that was sent stays"
