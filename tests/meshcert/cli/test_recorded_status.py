"""``meshcert status`` of many identities is told from the tables: what the last looks have found."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from meshcert.errors import AccessDenied, IdentityMissing
from meshcert.lifecycle.last_look import FaultSeen, LastLook
from tests.meshcert.cli.cli_account import Broken, Terminal

if TYPE_CHECKING:
    from meshcert.lifecycle.memory import Memory

MINUTE = dt.timedelta(minutes=1)
BEHIND = FaultSeen("ServedBehind", "task 1 serves another version")


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str]) -> Terminal:
    """A thousand identities that were all found settled; AWS besides the tables answers nobody."""
    terminal = Terminal(capsys)
    world = terminal.world
    memory = world.table.memory("colorteller")
    for number in reversed(range(1000)):
        name = f"i{number:03}"
        world.declared.remember(replace(world.identity, name=name))
        remember(terminal, name, memory)
    world.declared.rows.pop("colorteller")
    world.clock.sleep(720.0)
    denied = Broken(AccessDenied("acm:DescribeCertificate", "x", "AccessDeniedException"))
    terminal.breaks(labels=denied, platform=denied, acknowledgements=denied, authorities=denied)
    return terminal


def remember(terminal: Terminal, name: str, memory: Memory) -> None:
    """Write a memory, as a run does."""
    table, now = terminal.world.table, terminal.world.clock.now()
    lease = table.take(name, "a run", now, now + MINUTE)
    assert lease is not None
    table.release(lease, memory, None)


def found(terminal: Terminal, name: str, *faults: FaultSeen, settled: bool = False) -> None:
    """The last look at an identity has found something."""
    memory = terminal.world.table.memory(name)
    last_look = LastLook(terminal.world.clock.now(), settled=settled, action="wait", why="a rollout", faults=faults)
    remember(terminal, name, replace(memory, last_look=last_look))


def test_a_look_writes_down_what_it_ended_with(terminal: Terminal) -> None:
    """In the row that it writes anyway."""
    last_look = terminal.world.table.memory("i007").last_look

    assert last_look is not None
    assert (last_look.settled, last_look.action, last_look.faults) == (True, "nothing", ())


def test_a_thousand_are_told_without_a_wait_and_without_a_call_for_each(terminal: Terminal) -> None:
    """With how old it is, a page at a time."""
    begin = terminal.monotonic()

    ended = terminal.run("status")

    assert terminal.monotonic() == begin
    assert (ended.code, ended.err) == (0, "")
    assert "1,000 identities, 1,000 settled" in ended.out
    assert "as of each identity's last look, 12 minutes to 12 minutes ago; --live asks now" in ended.out
    assert "i049" in ended.out
    assert "i050" not in ended.out
    assert "page 1 of 20, 1,000 identities, those that need a person first; --page 2 goes on" in ended.out
    assert "i050" in terminal.run("status", "--page", "2").out


def test_who_needs_a_person_comes_first(terminal: Terminal) -> None:
    """With what is wrong and what to do, then what is under way; the exit code is the gravest."""
    found(terminal, "i700", BEHIND)
    found(terminal, "i500")

    ended = terminal.run("status")

    lines = [line.split()[0] for line in ended.out.splitlines() if line.startswith("  i")]
    assert lines[:4] == ["identity", "i700", "i500", "i000"]
    assert "ServedBehind: task 1 serves another version" in ended.out
    assert "Read the task's log (event rotation-waits;" in ended.out
    assert ended.code == 4


def test_what_is_chosen_is_counted_by_pages(terminal: Terminal) -> None:
    """By name, and by what is not settled."""
    found(terminal, "i700", BEHIND)

    assert "i701" not in terminal.run("status", "--unsettled", "--recorded").out
    document = terminal.run("status", "--recorded", "--match", "i70*", "--json").document
    assert [one["identity"] for one in document["identities"]] == ["i700", *(f"i70{n}" for n in range(1, 10))]
    assert terminal.run("status", "--recorded", "--match", "i1*").code == 0
    assert terminal.run("status", "--match", "nobody*").code == 0


def test_scripts_get_the_same_keys_and_none_for_what_tables_do_not_say(terminal: Terminal) -> None:
    """What is published is known from the last look; what tasks serve is not."""
    document = terminal.run("status", "--json").document

    told = document["identities"][0]
    assert (document["live"], document["files"]) == (False, None)
    assert (told["identity"], told["settled"], told["issued"]["status"]) == ("i000", True, "UNKNOWN")
    assert told["published"]["status"] == "PUBLISHED"
    assert told["published"]["left_s"] > 0
    assert told["published"]["last_good"] == told["published"]["version"]
    assert {service["exists"] for service in told["services"]} == {None}
    assert told["looked_at"] is not None


def test_what_no_look_has_told_is_under_way_and_what_is_old_is_not_believed(terminal: Terminal) -> None:
    """After an upgrade the first, when the renewal function stands still the second."""
    memory = terminal.world.table.memory("i001")
    remember(terminal, "i001", replace(memory, last_look=None))
    fresh = terminal.run("status")
    terminal.world.clock.sleep(3 * 3600.0)
    old = terminal.run("status")

    assert fresh.code == 3
    assert "no look has told of it yet" in fresh.out
    assert old.code == 69
    assert "AwsUnavailable: nothing has looked at it for 3 hours" in old.out
    assert "--live` asks now" in old.out


def test_a_row_that_makes_no_sense_hides_no_other(terminal: Terminal) -> None:
    """Of an identity, and of a look of another version."""
    terminal.world.declared.unreadable.add("i003")
    found(terminal, "i004", FaultSeen("Later", "a finding of a later version"))

    ended = terminal.run("status")

    assert ended.code == 4
    assert "998 identities" in ended.out
    assert "i003: the row of identity i003" in ended.out
    assert "i004: what its last look wrote is of another version" in ended.out


def test_a_few_or_those_named_are_asked_now_unless_told_otherwise(terminal: Terminal) -> None:
    """Who names an identity wants to know what is."""
    named = terminal.run("status", "--json", "i007").document
    recorded = terminal.run("status", "--json", "--recorded", "i007").document
    few = terminal.run("status", "--json", "--match", "i00*").document

    assert (named["live"], recorded["live"], few["live"]) == (True, False, True)
    assert [one["identity"] for one in recorded["identities"]] == ["i007"]
    assert terminal.run("status", "--recorded", "nobody").code == 64


def test_a_mesh_that_is_not_deployed_is_said_so(terminal: Terminal) -> None:
    """As it is of a look."""
    terminal.breaks(remembered=Broken(IdentityMissing("the table", "Deploy it")))

    ended = terminal.run("status", "--recorded")

    assert ended.code == 64
    assert "the mesh color in eu-west-1" in ended.err
