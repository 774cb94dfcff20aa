"""Mesh files that the demo cannot play are refused before anything is started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from local.demo.__main__ import FAULTS, main
from tests.meshcert.mesh.mesh_slips import COLOR

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_certificates_that_would_never_come_are_not_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the place and what to do."""
    volumes = [{"container_path": "/keys", "efs": {"file_system_id": "fs-0123456789abcdef0"}}]
    services: dict[str, Any] = COLOR["services"]
    teller = services["colorteller"] | {"proxy": {"volumes": volumes}}
    (tmp_path / "mesh.yaml").write_text(yaml.safe_dump(COLOR | {"services": services | {"colorteller": teller}}))

    assert main(["--mesh", str(tmp_path / "mesh.yaml")]) == FAULTS
    assert "services.colorteller.proxy.volumes: the local AWS has no volumes" in " ".join(
        capsys.readouterr().out.split()
    )
