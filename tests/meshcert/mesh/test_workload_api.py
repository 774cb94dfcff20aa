"""``workload_api`` in the mesh file: what it becomes in a proxy's settings, and what it cannot be."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from meshcert.mesh import proxy_settings, read_mesh
from tests.meshcert.mesh.mesh_slips import ROOT

if TYPE_CHECKING:
    from meshcert.errors import Fault
    from meshcert.mesh import Mesh

YELB: dict[str, Any] = yaml.safe_load((ROOT / "examples/spiffe.yaml").read_text())
"""Under one trust domain, all of one CA."""


def _written(service: str = "appserver", **changes: Any) -> dict[str, Any]:
    mesh = copy.deepcopy(YELB)
    mesh["services"][service] |= {"workload_api": True, **changes}
    return mesh


def _mesh(written: dict[str, Any]) -> Mesh:
    reading = read_mesh(yaml.safe_dump(written, sort_keys=False).encode())
    assert reading.mesh, reading.faults
    return reading.mesh


def _sole_fault(written: dict[str, Any]) -> Fault:
    (fault,) = read_mesh(yaml.safe_dump(written, sort_keys=False).encode()).faults
    return fault


def test_the_settings_name_the_roots_of_the_trust_domain_where_it_is_asked_for() -> None:
    """The other services' settings stay as they are."""
    mesh = _mesh(_written())

    assert proxy_settings(mesh, "appserver").trust_domain_bundles == ("yelb",)
    plain = _mesh(copy.deepcopy(YELB))
    for service in YELB["services"]:
        before = proxy_settings(plain, service).to_json()
        assert "trust_domain_bundles" not in before
        assert (proxy_settings(mesh, service).to_json() == before) is (service != "appserver")


def test_the_bundle_has_the_roots_of_every_hierarchy_that_signs_spiffe_ids() -> None:
    """An application checks a peer against one bundle, whichever CA has signed it; CAs of DNS names are left out."""
    written = _written("redis")
    written["hierarchies"] |= dict.fromkeys(("databases", "hosts"), written["hierarchies"]["yelb"])
    ui, postgres = written["identities"]["ui"], written["identities"]["postgres"]
    written["identities"] |= {"db": postgres | {"hierarchy": "databases", "spiffe_id": "spiffe://yelb.example/db"}}
    del ui["spiffe_id"]
    written["identities"] |= {"host": ui | {"hierarchy": "hosts", "dns_names": ["host.yelb.internal"]}}
    written["identities"]["ui"] |= {"spiffe_id": "spiffe://yelb.example/ui"}

    settings = proxy_settings(_mesh(written), "redis")

    assert settings.trust_domain_bundles == ("yelb", "databases")
    assert list(settings.trust_bundles) == ["yelb", "databases"]


def test_a_gateway_has_no_application_that_could_ask() -> None:
    """Found alone, at its place."""
    fault = _sole_fault(_written("gateway"))

    assert fault.place.startswith("services.gateway.workload_api")
    assert "a virtual gateway has no application" in fault.problem


def test_an_identity_without_a_spiffe_id_is_nothing_to_offer() -> None:
    """A node's DNS names are no SVID; the remedy says what is needed."""
    written = _written("postgres")
    identity = written["identities"]["postgres"]
    del identity["spiffe_id"]
    identity["dns_names"] = ["postgres.yelb.internal"]
    server = written["virtual_nodes"]["appserver"]["backends"][1]["client_policy"]["tls"]["validation"]
    server["subject_alternative_names"]["match"]["exact"] = ["postgres.yelb.internal"]

    fault = _sole_fault(written)

    assert fault.place.startswith("services.postgres.workload_api")
    assert "presents no identity with a SPIFFE ID" in fault.problem
    assert "issuer: acm-pca" in fault.remedy


@pytest.mark.parametrize("users", [[], [-1], ["root"], [1.5], [True], [2**32 - 1], list(range(33)), 1000])
def test_users_are_numbers_and_at_least_one(users: object) -> None:
    """And at most thirty-two."""
    assert _sole_fault(_written(workload_api_users=users)).place.startswith("services.appserver.workload_api_users")


def test_no_volume_of_the_users_covers_the_sockets() -> None:
    """Where it is asked for: elsewhere the folder may be an agent's own."""
    volume = {"container_path": "/run/spiffe", "efs": {"file_system_id": "fs-0123456789abcdef0"}}
    written = _written(proxy={"volumes": [volume]})

    assert "/run/spiffe, which is mounted too" in _sole_fault(written).problem
    written["services"]["appserver"]["workload_api"] = False
    assert _mesh(written)
