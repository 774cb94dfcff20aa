"""``meshcert map``: what it writes, and what it says of files that are none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from local.cdk import ROOT
from meshcert.cli.__main__ import main
from tests.meshcert.cli.cli_account import Terminal
from tests.meshcert.cli.outside_hosts import shop_with_hosts
from tests.meshcert.cli.ruled_shop import shop_with_rules

if TYPE_CHECKING:
    from pathlib import Path

SHOP = str(ROOT / "examples" / "shop.yaml")


def test_it_says_what_it_has_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line, with the file."""
    page = tmp_path / "shop.html"

    assert main(["map", "--mesh", SHOP, "--output", str(page)]) == 0
    assert capsys.readouterr().out == (
        f"{page}: 4 services, 5 calls, 4 of them over mutual TLS; open it in a browser\n"
    )
    assert page.read_text().startswith('<!doctype html>\n<html lang="en">')


def test_a_host_outside_the_mesh_is_drawn_with_who_signs_its_certificate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has no listener of ours, and what it must prove is said."""
    page = tmp_path / "shop.html"

    assert main(["map", "--mesh", shop_with_hosts(tmp_path), "--output", str(page)]) == 0

    assert "6 calls" in capsys.readouterr().out
    assert "api.payments.example:443" in page.read_text()
    assert "demanded: roots of the public CAs, the host that it asks for" in page.read_text()


def test_what_a_caller_may_ask_for_is_written_at_its_call(tmp_path: Path) -> None:
    """Where the callee's listener has allow rules."""
    page = tmp_path / "shop.html"

    assert main(["map", "--mesh", shop_with_rules(tmp_path), "--output", str(page)]) == 0

    assert page.read_text().count("<small>may ask for ") == 1
    assert "<small>may ask for /*, not /partners*</small>" in page.read_text()


def test_a_real_status_of_the_same_mesh_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `meshcert status --json` prints is what `map` reads, unknown values included."""
    terminal = Terminal(capsys)
    file, page = tmp_path / "status.json", tmp_path / "map.html"
    file.write_text(terminal.run("status", "--json").out)

    drawn = ["map", "--mesh", str(ROOT / "mesh.yaml"), "--status", str(file), "--output", str(page)]
    assert main(drawn) == 0
    for identity in json.loads(file.read_text())["identities"]:
        assert f'<th scope="row">{identity["identity"]}</th>' in page.read_text()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "it is not JSON"),
        ('{"mesh": "color"}', "is no status of mesh shop. Write it with `meshcert status --mesh shop --json`"),
        ('{"mesh": "shop"}', "it is no document of meshcert status --json (KeyError)"),
        ('{"mesh": "shop", "identities": [{"published": {"lifetime_gone": "half"}}]}', "(ValueError)"),
        ('{"mesh": "shop", "identities": 7}', "(TypeError)"),
    ],
)
def test_what_is_no_status_of_this_mesh_is_a_wrong_command_line(
    content: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Never a traceback, and no page."""
    status, page = tmp_path / "status.json", tmp_path / "map.html"
    status.write_text(content)

    assert main(["map", "--mesh", SHOP, "--status", str(status), "--output", str(page)]) == 64
    assert says in " ".join(capsys.readouterr().err.split())
    assert not page.exists()


def test_files_that_cannot_be_read_or_written_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what stands in the way."""
    nowhere = tmp_path / "no" / "map.html"

    assert main(["map", "--mesh", SHOP, "--output", str(nowhere)]) == 64
    assert "cannot be written: No such file or directory" in capsys.readouterr().err
    assert main(["map", "--mesh", SHOP, "--status", str(nowhere), "--output", str(tmp_path / "map.html")]) == 64
    assert "cannot be read: No such file or directory" in capsys.readouterr().err


def test_a_mesh_file_with_faults_is_not_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its faults are told as `check` tells them."""
    faulty = tmp_path / "faulty.yaml"
    faulty.write_text((ROOT / "mesh.yaml").read_text().replace("egress: nat", "egres: nat"))

    assert main(["map", "--mesh", str(faulty), "--output", str(tmp_path / "map.html")]) == 64
    assert "network.egres: unknown key. Did you mean egress?" in capsys.readouterr().err
