"""How long tasks wait between two looks: what the file says, or what fits the mesh's size and its shortest life."""

from __future__ import annotations

import pytest

from evidence.fixtures.large_mesh import large_mesh
from meshcert.mesh import Mesh, proxy_settings, read_mesh
from tests.meshcert.mesh.mesh_slips import changed


@pytest.mark.parametrize(("services", "seconds"), [(100, 60.0), (110, 120.0), (200, 120.0), (210, 240.0)])
def test_tasks_of_a_large_mesh_look_less_often(services: int, seconds: float) -> None:
    """Four times the services cost what a hundred do."""
    mesh = Mesh.model_validate(large_mesh(services, services))

    assert {mesh.poll_interval_s(service) for service in mesh.services} == {seconds}


@pytest.mark.parametrize(("validity", "seconds"), [("7d", 240.0), ("24h", 240.0), ("12h", 120.0), ("1h", 60.0)])
def test_a_short_life_is_not_missed(validity: str, seconds: float) -> None:
    """The shortest of the mesh decides."""
    values = large_mesh(210, 210)
    values["identities"]["s0000"] |= {"issuer": "acm-pca", "validity": validity}

    assert Mesh.model_validate(values).poll_interval_s("s0001") == seconds


def test_what_the_file_says_holds() -> None:
    """For that service alone; and it is what its proxy is told."""
    mesh = read_mesh(changed(("services.colorteller.poll_interval_s", 7))).mesh
    assert mesh

    assert [mesh.poll_interval_s(service) for service in mesh.services] == [60.0, 7.0]
    assert proxy_settings(mesh, "colorteller").poll_interval_s == 7.0
