"""Attached services in the mesh file: what it has to say of them, and what their own task definitions say."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from meshcert.mesh import read_mesh, sidecar
from tests.stacks.synthesis import ROOT

FILE = ROOT / "examples" / "own-cdk-app" / "mesh.yaml"


def edited(service: str, **fields: Any) -> str:
    """The example's mesh file with fields of a service changed."""
    document = yaml.safe_load(FILE.read_text())
    document["services"][service].update(fields)
    return yaml.safe_dump(document, sort_keys=False)


def faults(text: str) -> dict[str, str]:
    """Problems by their places."""
    return {fault.place: fault.problem for fault in read_mesh(text.encode()).faults}


ATTACHED = {"cluster": "own", "service": "orders", "container": "app", "security_group": "sg-0123456789abcdef0"}


def test_certificates_of_yours_need_a_volume_that_a_sidecar_has_not() -> None:
    """The remedy is none that the next check refuses."""
    document = yaml.safe_load(FILE.read_text())
    tls = document["virtual_nodes"]["orders"]["listeners"][0]["tls"]
    tls["certificate"] = {"file": {"certificate_chain": "/keys/chain.pem", "private_key": "/keys/key.pem"}}

    faults = read_mesh(yaml.safe_dump(document).encode()).faults

    assert [fault.place for fault in faults] == ["virtual_nodes.orders.listeners[0].tls.certificate.file"]
    assert "its sidecar has no volume of yours" in faults[0].problem
    assert "an identity or a hierarchy of this file" in faults[0].remedy


def test_an_application_of_yours_is_its_port_alone() -> None:
    """Its image stands in its own task definition."""
    document = yaml.safe_load(FILE.read_text())
    del document["services"]["orders"]["application"]

    (fault,) = read_mesh(yaml.safe_dump(document).encode()).faults

    assert (fault.place, fault.remedy) == ("services.orders.application", "Add application: {port: ...}")


@pytest.mark.parametrize(
    ("fields", "place", "problem"),
    [
        ({"cpu": 512}, "cpu", "so is its task definition"),
        ({"desired_count": 3}, "desired_count", "so is its task definition"),
        ({"memory_mib": 2048}, "memory_mib", "so is its task definition"),
        ({"application": {"port": 8080, "image": "x/y"}}, "application.image", "so is its task definition"),
        ({"application": {"port": 8080, "egress": []}}, "application.egress", "so is its task definition"),
        ({"attached": {**ATTACHED, "container": ""}}, "attached.container", "it is missing"),
        ({"attached": {**ATTACHED, "container": "envoy"}}, "attached.container", "a container of the sidecar's"),
        ({"attached": {**ATTACHED, "service": "stock"}}, "attached", "own/stock is service"),
        (
            {"attached": {**ATTACHED, "cluster": "meshcert-shop", "service": "edge"}},
            "attached",
            "meshcert-shop/edge is",
        ),
        (
            {"attached": {**ATTACHED, "cloud_map_service": "edge"}},
            "attached.cloud_map_service",
            "has the tasks of service",
        ),
        ({"attached": {**ATTACHED, "cloud_map_service": "stock"}}, "attached.cloud_map_service", "meet those of both"),
        ({"workload_api": False}, "workload_api", "is not served for attached services"),
        ({"proxy": {}}, "proxy", "or from an SDS server, are not served"),
        ({"attached": {**ATTACHED, "cluster": "a b"}}, "attached.cluster", "is not allowed"),
        ({"attached": {**ATTACHED, "security_group": "group"}}, "attached.security_group", "is not allowed"),
    ],
)
def test_what_cannot_be_is_told_at_its_place(fields: dict[str, Any], place: str, problem: str) -> None:
    """An ECS service runs one proxy, and says itself what is its own."""
    found = faults(edited("orders", **fields))

    # Of two that are the same, the later one is told.
    (told,) = found.items()
    assert told[0] in {f"services.orders.{place}", f"services.stock.{place}"}
    assert problem in told[1]


def test_a_gateway_has_no_container() -> None:
    """There is no application that would start after Envoy."""
    gateway = {"attached": {**ATTACHED, "service": "edge"}, "load_balancer": False}
    document = yaml.safe_load(edited("edge", **gateway))
    for field in ("desired_count", "load_balancer"):
        del document["services"]["edge"][field]

    assert faults(yaml.safe_dump(document)) == {
        "services.edge.attached.container": "a virtual gateway has no application"
    }
    del document["services"]["edge"]["attached"]["container"]
    reading = read_mesh(yaml.safe_dump(document).encode())
    assert reading.mesh
    assert [each.name for each in sidecar(reading.mesh, "edge").containers] == ["envoy"]


def test_without_attached_an_application_needs_an_image() -> None:
    """There is nobody else who has one."""
    document = yaml.safe_load(FILE.read_text())
    del document["services"]["orders"]["attached"]

    assert faults(yaml.safe_dump(document)) == {"services.orders.application.image": "it is missing"}


def test_callers_find_it_by_a_cloud_map_service_of_yours() -> None:
    """In the mesh's namespace, whatever its name."""
    reading = read_mesh(edited("orders", attached={**ATTACHED, "cloud_map_service": "orders-v2"}).encode())

    assert reading.mesh
    assert reading.mesh.registration("orders") == ("orders-v2", None)
    assert reading.mesh.host("orders") == "orders-v2.shop.internal"


def test_services_of_two_stacks_do_not_share_a_security_group() -> None:
    """A rule that both need would be in both stacks; EC2 has it once, and it goes with the first that leaves."""
    document = yaml.safe_load(FILE.read_text())
    apart = faults(yaml.safe_dump(document | {"shards": {"one": ["stock", "report"]}}))
    together = faults(yaml.safe_dump(document | {"shards": {"one": ["stock", "orders", "report"]}}))

    assert list(apart) == [f"services.{name}.attached.security_group" for name in ("report", "stock")]
    assert together == {}
