"""``meshcert envoy``: what one proxy's Envoy gets, and what Envoy says of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from meshcert.cli import exit_codes
from meshcert.cli.__main__ import main

ROOT = Path(__file__).parents[3]
MESH = ("--mesh", str(ROOT / "mesh.yaml"))


@pytest.mark.parametrize("name", ["colorteller", "colorgateway"])
def test_a_configuration_is_printed_with_all_of_its_listeners(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of a node, too, which a task opens when its application answers."""
    assert main(["envoy", name, *MESH]) == 0

    configuration = json.loads(capsys.readouterr().out)
    ports = {
        listener["address"]["socket_address"]["port_value"]
        for listener in configuration["static_resources"]["listeners"]
    }
    assert ports >= {9443 if name == "colorteller" else 8443}
    assert "dynamic_resources" not in configuration


def test_an_unknown_name_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """Services and proxies often have one name."""
    assert main(["envoy", "colorteler", *MESH]) == exit_codes.USAGE
    assert "Did you mean colorteller?" in capsys.readouterr().err


def test_without_an_envoy_nothing_is_said_to_be_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exit code of its own, and where to get one."""
    monkeypatch.setenv("PATH", str(tmp_path))

    assert main(["envoy", "colorteller", *MESH, "--validate"]) == 2
    assert "pip install envoy" in capsys.readouterr().err


def test_what_an_envoy_refuses_ends_with_1_and_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An Envoy that is too old, for example."""
    program = tmp_path / "envoy"
    program.write_text('#!/bin/sh\necho "unknown field" >&2\nexit 1\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert main(["envoy", "colorteller", *MESH, "--validate"]) == 1
    assert "unknown field" in capsys.readouterr().err
