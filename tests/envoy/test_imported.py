"""The real Envoy accepts what an imported mesh comes to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from meshcert.cli.__main__ import main
from tests.meshcert.appmesh.definitions import IMAGE, color, write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["gateway", "front", "blue"])
def test_envoy_accepts_each_proxy_of_an_imported_mesh(
    name: str, tmp_path: Path, envoy_binary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A way in, routes by header and by weight, and an application behind."""
    monkeypatch.setenv("PATH", f"{envoy_binary.parent}{os.pathsep}{os.environ['PATH']}")
    file, sources = tmp_path / "mesh.yaml", write(tmp_path / "sources", color())
    assert main(["import", str(sources), "--output", str(file), "--image", IMAGE, "--no-default-retries"]) == 0

    assert main(["envoy", name, "--mesh", str(file), "--validate"]) == 0
