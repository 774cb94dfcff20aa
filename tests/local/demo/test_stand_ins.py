"""What the demo changes in a mesh file before it deploys it, and what it leaves alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from local.cdk import ROOT
from local.demo.stand_ins import APPLICATIONS, HASTE, prepare
from meshcert.errors import MeshInvalid
from meshcert.mesh import load_mesh
from meshcert.mesh.edges.pairs import pairs_of

if TYPE_CHECKING:
    from pathlib import Path

SHOP = ROOT / "examples" / "shop.yaml"
COLOR = ROOT / "mesh.yaml"


def test_an_application_that_is_not_here_gets_a_stand_in_for_its_protocol(tmp_path: Path) -> None:
    """HTTP, HTTP/2 and gRPC have one, TCP another; a folder that is here stays."""
    values = yaml.safe_load(SHOP.read_text())
    node = {"listeners": [{"port_mapping": {"port": 5432, "protocol": "tcp"}}]}
    values["virtual_nodes"]["ledger"] = node
    values["services"]["ledger"] = {"virtual_node": "ledger", "application": {"image": "postgres:18", "port": 5433}}
    file = tmp_path / "shop.yaml"
    file.write_text(yaml.safe_dump(values))

    prepared = prepare(file, _folder(tmp_path))

    assert prepared.stand_ins == {"catalog": "grpc", "search": "http2", "ledger": "tcp"}
    assert prepared.images["ledger"] == "postgres:18"
    images = {
        name: service.application.image for name, service in prepared.mesh.services.items() if service.application
    }
    assert images == {
        "orders": "examples/color/colorteller",
        "catalog": str(APPLICATIONS / "web"),
        "search": str(APPLICATIONS / "web"),
        "ledger": str(APPLICATIONS / "tcp"),
    }
    assert all((ROOT / image / "Dockerfile").is_file() for image in images.values())


def test_the_stand_ins_libraries_are_those_of_the_local_aws() -> None:
    """Both serve with hypercorn, in the same versions: what one of them is spared, so is the other."""
    pins = (APPLICATIONS / "web" / "requirements.txt").read_text().lower().split()
    constraints = (ROOT / "local" / "constraints.txt").read_text().lower().split()

    assert pins
    assert set(pins) <= set(constraints)


def test_nobody_waits_for_what_the_file_has_longer(tmp_path: Path) -> None:
    """Polls and connections are short; what is shorter already stays, and what was changed is told."""
    values = yaml.safe_load(SHOP.read_text())
    values["services"]["orders"]["poll_interval_s"] = 0.5
    file = tmp_path / "shop.yaml"
    file.write_text(yaml.safe_dump(values))

    prepared = prepare(file, _folder(tmp_path))

    assert prepared.mesh.poll_interval_s("orders") == 0.5
    for name, service in prepared.mesh.services.items():
        assert prepared.mesh.poll_interval_s(name) <= HASTE["poll_interval_s"]
        assert service.max_connection_duration_s <= HASTE["max_connection_duration_s"]
    assert prepared.hastened == ("poll_interval_s 1", "max_connection_duration_s 10")


def test_who_calls_and_trusts_whom_is_the_files_own(tmp_path: Path) -> None:
    """The pairs of what is deployed are those of the file, whichever it is; the file itself is not touched."""
    for file in (SHOP, COLOR):
        text = file.read_text()

        assert pairs_of(prepare(file, tmp_path).mesh) == pairs_of(load_mesh(file))
        assert file.read_text() == text


def test_faults_are_those_of_the_file(tmp_path: Path) -> None:
    """A file that cannot be deployed is refused as the deploy would refuse it."""
    file = tmp_path / "wrong.yaml"
    file.write_text(SHOP.read_text().replace("hierarchy: inner", "hierarchy: outer", 1))

    with pytest.raises(MeshInvalid) as refused:
        prepare(file, tmp_path)

    assert "'outer' is not declared under hierarchies" in str(refused.value)


def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "prepared"
    folder.mkdir()
    return folder
