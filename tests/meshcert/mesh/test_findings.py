"""What a mesh file says to no effect is a finding: told, counted, and no fault."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from evidence.fixtures.large_company import large_company
from evidence.fixtures.large_mesh import large_mesh
from meshcert.mesh import read_mesh
from meshcert.mesh.checks.findings import findings_of
from meshcert.mesh.checks.limits import MOST_RESOURCES, resources
from meshcert.mesh.checks.renewals import cut_at_renewals
from tests.meshcert.mesh import routed_meshes
from tests.meshcert.mesh.mesh_slips import CLIENT, COLOR, GATEWAY, NODE, REMOVED, changed, identity

ROOT = Path(__file__).parents[3]
STRANGER = "stranger.example.com"
CAREFUL = {"image": "acme/lonely:1", "port": 8080, "drop_capabilities": True, "egress": []}
TELLER_SERVICE = {"virtual_node": "lonely", "application": CAREFUL}
APPLICATION = "services.colorteller.application"
GATEWAY_TLS = f"{GATEWAY}.listeners[0].tls"
FIRST = COLOR["virtual_gateways"]["colorgateway"]["backends"][0]
DRAIN = "services.colorteller.drain_s"
IMAGE = f"{APPLICATION}.image"
PARTNER = {
    "service_discovery": {"dns": "partner.example.com"},
    "listeners": [{"port_mapping": {"port": 443, "protocol": "http"}}],
}
CALLED = (f"{NODE}.backends", [{"virtual_node": "partner"}])
ATTACHED = {
    "architecture": "x86_64",
    "cluster": "own",
    "service": "teller",
    "container": "app",
    "security_group": "sg-0123456789abcdef0",
}
RANGES = "network.existing.cidrs"


def ranges(*cidrs: str) -> dict[str, object]:
    """A VPC of somebody's, whose ranges a mesh file says are these."""
    subnets = {"us-west-1a": "subnet-0123456789abcdef0"}
    return {"existing": {"vpc": "vpc-0123456789abcdef0", "cidrs": list(cidrs), "subnets": subnets}}


FINDINGS = [
    (
        [("virtual_nodes.lonely", COLOR["virtual_nodes"]["colorteller"]), ("services.lonely", TELLER_SERVICE)],
        "virtual_nodes.lonely",
        "nobody calls it",
    ),
    (
        [
            ("virtual_nodes.lonely", COLOR["virtual_nodes"]["colorteller"]),
            ("services.lonely", TELLER_SERVICE),
            (f"{GATEWAY}.backends", [FIRST, {**FIRST, "virtual_node": "lonely"}]),
        ],
        f"{GATEWAY}.backends[1]",
        "no route leads to lonely",
    ),
    ([("services.colorgateway.load_balancer", False)], "services.colorgateway.load_balancer", "admits nobody"),
    ([(f"{NODE}.listeners[0].tls.mode", "PERMISSIVE")], f"{NODE}.listeners[0].tls.mode", "nobody can come with it"),
    ([("identities.stranger", identity("colorgateway", STRANGER))], "identities.stranger", "no proxy presents it"),
    ([("network", ranges("10.0.0.0/8"))], f"{RANGES}[0]", "10.0.0.0/8 is no range of a VPC's"),
    ([("network", ranges("172.16.0.0/29"))], f"{RANGES}[0]", "172.16.0.0/29 is no range of a VPC's"),
    ([("network", ranges("172.16.0.0/16", "172.16.128.0/20"))], f"{RANGES}[1]", "overlaps 172.16.0.0/16"),
    (
        [("network", {"egress": "endpoints", "nat_gateways": "one_per_zone"})],
        "network.nat_gateways",
        "there is no NAT gateway",
    ),
    (
        [
            (
                "services.colorteller",
                {"virtual_node": "colorteller", "application": {"port": 8080}, "attached": ATTACHED},
            )
        ],
        "services.colorteller.attached",
        "its tasks run in a VPC of yours",
    ),
    (
        [
            ("network", ranges("172.16.0.0/16")),
            (
                "services.colorteller",
                {
                    "virtual_node": "colorteller",
                    "application": {"port": 8080},
                    "attached": {**ATTACHED, "cloud_map_service": "srv-0123456789abcdef"},
                },
            ),
        ],
        "services.colorteller.attached.cloud_map_service",
        "looks like an id",
    ),
    (
        [
            ("network", ranges("172.16.0.0/16")),
            (
                "services.colorteller",
                {
                    "virtual_node": "colorteller",
                    "application": {"port": 8080},
                    "attached": {key: value for key, value in ATTACHED.items() if key != "architecture"},
                },
            ),
        ],
        "services.colorteller.attached.architecture",
        "its Envoy is built for the deploy's architecture",
    ),
    ([(f"{APPLICATION}.command", ["python app.py"])], f"{APPLICATION}.command", "is one word"),
    ([("hierarchies.spare", COLOR["hierarchies"]["colorgateway"])], "hierarchies.spare", "signs no identity"),
    ([(IMAGE, "examples/color/colortellr")], IMAGE, "there is no folder"),
    ([(IMAGE, "../colorteller-that-is-not-there")], IMAGE, "there is no folder"),
    ([(IMAGE, "teams/payments/orders")], IMAGE, "there is no folder"),
    ([(IMAGE, "examples/color")], IMAGE, "no Dockerfile"),
    ([(f"{APPLICATION}.egress", REMOVED)], f"{APPLICATION}.egress", "any host"),
    ([("mesh.egress_filter", "ALLOW_ALL")], "mesh.egress_filter", "no virtual node with backends has one"),
    (
        [("mesh.egress_filter", "ALLOW_ALL"), ("virtual_nodes.partner", PARTNER), CALLED],
        "mesh.egress_filter",
        "passes what colorteller sends",
    ),
    ([(f"{APPLICATION}.drop_capabilities", False)], f"{APPLICATION}.drop_capabilities", "keeps the Linux capabilities"),
    *(
        ([(IMAGE, image)], IMAGE, f"{image!r} is neither a folder here nor the name of an image")
        for image in (
            "Nginx:latest",
            "nginx:",
            "nginx:a b",
            "acme/orders:1 --privileged",
            "acme/orders\0",
            "https://example.com/orders",
            "acme/orders@sha256:1234",
            "a" * 127 + "ü" * 128,
        )
    ),
    *(
        ([(f"{place}.timeout", {"http": limits}), *more], "services.colorteller.rotation", said)
        for place, limits, more, said in (
            (f"{NODE}.listeners[0]", {"per_request": 60}, [], "be open for 60 s"),
            (f"{GATEWAY}.routes[0]", {"stream": 300}, [], "be open for 300 s"),
            (f"{GATEWAY}.listeners[0]", {"idle": 900}, [], "drains for 15 s"),
            (f"{GATEWAY}.backends[0]", {"stream": 0}, [(DRAIN, 110)], "be open for any time"),
        )
    ),
]
"""Changes of the Color app's file, the place of the one finding, and part of it."""


@pytest.mark.parametrize(("changes", "place", "problem"), FINDINGS, ids=[problem for _, _, problem in FINDINGS])
def test_what_nobody_can_have_meant_is_found_alone(changes: list[tuple[str, object]], place: str, problem: str) -> None:
    """The file has no fault, and nothing else is said about it."""
    reading = read_mesh(changed(*changes))

    assert reading.mesh is not None, reading.faults
    (finding,) = findings_of(reading.mesh, ROOT)
    assert finding.place == place
    assert problem in finding.problem
    assert finding.remedy


GOOD = [
    [
        (CLIENT, REMOVED),
        (f"{NODE}.listeners[0].tls.mode", "PERMISSIVE"),
    ],
    [
        (f"{NODE}.listeners[0].tls.mode", "PERMISSIVE"),
        (f"{NODE}.listeners[0].permissive_from", [{"cidr": "10.20.0.0/16"}]),
    ],
    [
        ("identities.partner", identity("colorgateway", STRANGER)),
        (f"{GATEWAY_TLS}.validation", {"trust": {"hierarchy": "colorgateway"}}),
    ],
    [
        ("identities.partner", identity("colorgateway", STRANGER)),
        (
            f"{GATEWAY_TLS}.validation",
            {"trust": {"hierarchy": "colorgateway"}, "subject_alternative_names": {"match": {"exact": [STRANGER]}}},
        ),
    ],
    [(IMAGE, "nginx")],
    [(f"{APPLICATION}.egress", [{"cidr": "10.20.0.7/32", "ports": [5432]}])],
    [(f"{NODE}.listeners[0].timeout", {"http": {"per_request": 60}}), (DRAIN, 60)],
    [(f"{NODE}.listeners[0].timeout", {"http": {"per_request": 60}}), ("services.colorteller.rotation", "reload")],
    [(f"{NODE}.listeners[0].timeout", {"http": {"per_request": 60, "stream": 15}})],
    [(f"{GATEWAY}.listeners[0].timeout", {"http": {"idle": 10}})],
    [(IMAGE, "acme/orders:1")],
    [(IMAGE, "acme/orders__a.b-c--d:1.2_3-4")],
    [(IMAGE, f"acme/orders:1@sha256:{'0a' * 32}")],
    [(IMAGE, "localhost/orders")],
    [(IMAGE, "registry.example.com:5000/team/a/b/orders")],
    [(IMAGE, f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/orders@sha256:{'0a' * 32}")],
    [(IMAGE, "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/orders:1")],
    [(IMAGE, "public.ecr.aws/docker/library/nginx:1")],
]
"""What looks like it, and has its use."""


@pytest.mark.parametrize("changes", GOOD)
def test_what_has_its_use_is_no_finding(changes: list[tuple[str, object]]) -> None:
    """Plain text that a gateway sends, a client from outside, images of registries."""
    reading = read_mesh(changed(*changes))

    assert reading.mesh is not None, reading.faults
    assert [finding for finding in findings_of(reading.mesh, ROOT) if finding.place != "identities.colorgateway"] == []


@pytest.mark.parametrize(("identities", "is_refused"), [(118, False), (121, True), (150, True)])
def test_a_mesh_that_does_not_fit_into_a_stack_is_refused_with_the_numbers(
    identities: int, *, is_refused: bool
) -> None:
    """Before the CDK's stack trace: 500 resources a stack, and what each thing takes."""
    more = [
        (f"identities.more-{number}", identity("colorgateway", f"more-{number}.mtls.svc.cluster.local"))
        for number in range(identities - 2)
    ]
    reading = read_mesh(changed(*more))

    assert bool(reading.faults) == is_refused
    if is_refused:
        (fault,) = reading.faults
        assert fault.place == "identities"
        assert "and CloudFormation takes 500" in fault.problem
        assert f"there are {identities} identities" in fault.problem
        assert "in a shard" in fault.remedy
    else:
        assert reading.mesh is not None
        assert max(resources(reading.mesh).values()) <= MOST_RESOURCES


def test_a_renewal_cuts_requests_of_every_node_that_a_weighted_route_leads_to() -> None:
    """Each node whose service is redeployed is named; what is answered with 404 leads to none."""
    shared = routed_meshes.route("shared", {"blue": 9, "green": 1}, prefix="/", timeout={"per_request": 60})
    shared["http_route"]["match"]["headers"] = [routed_meshes.header("beta")]
    values = routed_meshes.mesh_values([shared])
    for node in routed_meshes.NODES:
        values["services"][node]["rotation"] = "redeploy"
    mesh = routed_meshes.read(values)

    assert [fault.place for fault in cut_at_renewals(mesh)] == ["services.blue.rotation", "services.green.rotation"]


def test_a_mesh_of_200_services_is_refused_with_the_numbers_and_nothing_else() -> None:
    """In the manner of the company's twelve: what its stacks would have, and what they may have."""
    mesh = large_company(17)

    faults = read_mesh(yaml.dump(mesh, Dumper=yaml.CSafeDumper, sort_keys=False).encode()).faults

    assert len(mesh["services"]) == 204
    told = {fault.place: fault.problem for fault in faults}
    assert list(told) == ["identities", "services"]
    assert "the stack company-identities would have 911 resources, and CloudFormation takes 500" in told["identities"]
    assert "the stack company-services would have 1729 resources" in told["services"]


@pytest.mark.parametrize(
    ("backends", "delivery", "followed"), [(126, "file", None), (127, "file", 129), (127, "sds", None)]
)
def test_an_envoy_that_would_follow_more_files_than_linux_lets_it_is_a_finding(
    backends: int, delivery: str, followed: int | None
) -> None:
    """One for each backend, and those of its certificate and of the roots."""
    values = large_mesh(150, 150)
    gateways, nodes = values["virtual_gateways"], values["virtual_nodes"]
    called = [copy.deepcopy(each) for gateway in gateways.values() for each in gateway["backends"]][:backends]
    for backend in called:
        backend["client_policy"]["tls"]["certificate"] = {"identity": "s0000"}
        listener = nodes[backend["virtual_node"]]["listeners"][0]
        listener["tls"]["validation"]["subject_alternative_names"]["match"]["exact"] = [
            host for name in gateways for host in values["identities"][name]["dns_names"]
        ]
    gateways["s0000"] |= {
        "backends": called,
        "routes": [{"match": {"prefix": f"/{node}"}, "virtual_node": node} for node in map(_node, called)],
    }
    values["services"]["s0000"]["delivery"] = delivery
    reading = read_mesh(yaml.dump(values, Dumper=yaml.CSafeDumper, sort_keys=False).encode())
    assert reading.mesh, reading.faults

    found = {finding.place: finding.problem for finding in findings_of(reading.mesh, ROOT)}

    told = found.get("services.s0000.delivery", "")
    assert bool(told) == bool(followed)
    assert f"follows {followed} files" in told or not followed


def _node(backend: dict[str, Any]) -> str:
    return str(backend["virtual_node"])
