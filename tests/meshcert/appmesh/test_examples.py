"""The examples of App Mesh's definitions: each is complete, and its first lines say how to import it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from meshcert.cli.__main__ import main
from meshcert.mesh import read_mesh

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "examples/app-mesh").iterdir())


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_becomes_a_mesh_file_without_a_fault(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost, nothing is open, and each virtual service reaches somebody."""
    monkeypatch.chdir(ROOT)
    (command,) = re.findall(r"^# .*: meshcert (import .*)$", (ROOT / example).read_text(), re.MULTILINE)
    *words, output = shlex.split(command)

    assert main([*words, str(tmp_path / output)]) == 0

    mesh = read_mesh((tmp_path / output).read_bytes()).mesh
    assert mesh is not None
    assert {call.backend.virtual_service for call in mesh.calls()} == set(mesh.virtual_services)
