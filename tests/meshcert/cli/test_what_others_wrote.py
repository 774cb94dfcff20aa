"""What tasks, events and files say reaches a person, and steers no terminal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from meshcert.cli.__main__ import main
from meshcert.cli.exit_codes import USAGE
from meshcert.cli.terminal import tell_fault
from meshcert.lifecycle.audit import AuditEntry
from meshcert.lifecycle.observation import Acknowledgement
from tests.meshcert.cli.cli_account import Terminal
from tests.meshcert.lifecycle.world import DAY, IDENTITY, MINUTE

if TYPE_CHECKING:
    from pathlib import Path


EVIL = "\x1b[2A\x1b[2K\x1b[32msettled \x1b]0;pwned\x1b\\ \x1b]52;c;Y3VybA==\x07 \x9b31m \u202egood\rnext\nlast"


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str]) -> Terminal:
    """The command line over a mesh in which a task, an event and the audit log say what they like."""
    terminal = Terminal(capsys)
    world = terminal.world
    world.acm.renew(IDENTITY.certificate_arn)
    world.pass_time(5 * MINUTE)
    world.look()
    for task in world.ecs.services["gateway"].tasks:
        task.deaf = True
        said = Acknowledgement(world.clock.now(), EVIL, EVIL, world.clock.now() + DAY, EVIL, EVIL)
        world.ecs.forged.setdefault("gateway", {})[task.arn] = {IDENTITY.name: said}
    world.audit.record(AuditEntry(world.clock.now(), IDENTITY.name, EVIL, EVIL, EVIL, EVIL, EVIL, EVIL, EVIL))
    terminal.verdict |= {"faults": [EVIL], "subject": EVIL, "version_id": EVIL, "not_after": EVIL}
    return terminal


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("status", "--json"),
        ("plan",),
        ("plan", "--json"),
        ("history", IDENTITY.name),
        ("history", IDENTITY.name, "--json"),
        ("verify", IDENTITY.name),
        ("renew", IDENTITY.name, "--reason", EVIL, "--wait", "60"),
        ("rollback", IDENTITY.name, "--reason", EVIL, "--wait", "60"),
    ],
    ids=lambda arguments: f"{arguments[0]}-{arguments[-1]}",
)
def test_no_command_lets_a_row_steer_the_terminal(terminal: Terminal, arguments: tuple[str, ...]) -> None:
    """No cursor is moved, no line erased, no title or clipboard set, no line turned around."""
    ended = terminal.run(*arguments)

    shown = ended.out + ended.err
    assert "\\x1b" in shown or "\\u001b" in shown or arguments[0] not in {"status", "history", "verify"}
    assert shown.replace("\n", "").isprintable()


def test_faults_of_a_mesh_file_do_not_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """YAML has escapes of its own."""
    file = tmp_path / "mesh.yaml"
    file.write_text('name: "color\\e]0;pwned\\a\\u202e"\n"key\\e[2A": 1\n')

    assert main(["check", str(file)]) == 1

    out = capsys.readouterr().out
    assert "\\x1b" in out
    assert out.replace("\n", "").isprintable()


@pytest.mark.parametrize("command", ["status", "plan"])
def test_what_makes_no_sense_about_one_identity_hides_no_other(terminal: Terminal, command: str) -> None:
    """It is one line, and needs a person; the other identity is shown in full."""
    world = terminal.world
    other = replace(world.identity, name="ledger", services=())
    world.declared.remember(other)
    found = terminal.account.remembered

    class Odd:
        def memory(self, identity: str) -> Any:
            if identity == "ledger":
                raise OverflowError("date value out of range")
            return found.memory(identity)

    terminal.breaks(remembered=Odd())
    ended = terminal.run(command)

    assert ended.code == 4
    assert "ledger: what is written about it makes no sense (OverflowError)" in " ".join(ended.out.split())
    assert IDENTITY.name in ended.out
    assert terminal.run(command, "--json").document["unreadable"] == ["ledger"]


@pytest.mark.parametrize(
    "typed",
    [
        (EVIL,),
        (f"--{EVIL}",),
        ("plan", f"--{EVIL}"),
        ("history", IDENTITY.name, "--since", EVIL),
        ("renew", IDENTITY.name, "--wait", EVIL),
        ("verify", IDENTITY.name, EVIL),
        ("check", IDENTITY.name, EVIL),
    ],
)
def test_a_wrong_command_line_does_not_steer_the_terminal(terminal: Terminal, typed: tuple[str, ...]) -> None:
    """A script may have typed what somebody else wrote."""
    ended = terminal.run(*typed)

    assert ended.code == USAGE
    assert "\\x1b" in ended.err
    assert (ended.out + ended.err).replace("\n", "").isprintable()


def test_an_unforeseen_error_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Its traceback is complete, and its message escaped."""
    with pytest.raises(ValueError, match="invalid") as raised:
        int(EVIL)
    tell_fault(raised.type, RuntimeError(EVIL), raised.tb)

    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "RuntimeError: \\x1b" in shown
    assert shown.replace("\n", "").isprintable()
