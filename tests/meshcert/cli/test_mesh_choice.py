"""``--mesh``: a name or a file, before the command or after it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshcert.cli.__main__ import cli, main
from meshcert.cli.exit_codes import SETTLED, USAGE
from meshcert.contract.environment import MESH
from tests.meshcert.cli.cli_account import Terminal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshcert.cli.account import Account

ROOT = Path(__file__).parents[3]
FILE = str(ROOT / "mesh.yaml")


class Opened:
    """Opens the mesh in memory, and notes under which name."""

    def __init__(self, terminal: Terminal) -> None:
        self.account = terminal.account
        self.names: list[str] = []

    def __call__(self, mesh: str, _: Mapping[str, str]) -> Account:
        """As :func:`meshcert.cli.account.connect` does."""
        self.names.append(mesh)
        return self.account


@pytest.fixture
def opened(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Opened:
    """No mesh in the environment."""
    monkeypatch.delenv(MESH, raising=False)
    return Opened(Terminal(capsys))


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder without a mesh file."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["--mesh", "shop", "status"], "shop"),
        (["status", "--mesh", "shop"], "shop"),
        (["status", "colorteller", "--mesh=shop", "--json"], "shop"),
        (["--mesh", "color", "status", "--mesh", "shop"], "shop"),
        (["--mesh", FILE, "status"], "color"),
        (["plan", "--mesh", FILE], "color"),
        (["history", "--mesh", FILE, "colorteller"], "color"),
    ],
)
def test_a_mesh_is_named_or_its_file_anywhere_on_the_line(opened: Opened, arguments: list[str], name: str) -> None:
    """Where both places say something, the command's counts."""
    assert main(arguments, opened) == SETTLED
    assert opened.names == [name]


def test_the_environment_names_a_mesh_and_the_line_overrules_it(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for every other tool."""
    monkeypatch.setenv(MESH, "shop")

    main(["status"], opened)
    main(["status", "--mesh", "color"], opened)

    assert opened.names == ["shop", "color"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["status", "--mesh", "Shop"], "'Shop' is no name"),
        (["status", "--mesh", "no-such.yaml"], "no-such.yaml"),
        (["plan", "--offline", "--mesh", "shop"], "give --mesh FILE"),
        (["status"], "Give --mesh NAME or FILE"),
        (["plan", "--offline"], "Give --mesh NAME or FILE"),
        (["plan", "--offline", "colorteller", "--mesh", FILE], "leave NAME and --unsettled out"),
    ],
)
@pytest.mark.usefixtures("elsewhere")
def test_a_mesh_that_cannot_be_meant_is_refused_with_what_to_give(
    opened: Opened, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a folder without a mesh file."""
    assert main(arguments, opened) == USAGE
    assert said in capsys.readouterr().err


def test_every_command_about_a_mesh_takes_the_option() -> None:
    """`schema` is about no mesh, and `import` makes one."""
    without = {name for name, command in cli.commands.items() if not any(one.name == "mesh" for one in command.params)}

    assert without == {"schema", "import"}
