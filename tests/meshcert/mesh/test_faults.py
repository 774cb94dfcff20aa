"""Faults of one part of a mesh file: shape, names and issuance; and that all of them come at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meshcert.errors import MeshInvalid
from meshcert.mesh import load_mesh, read_mesh
from meshcert.mesh.checks.findings import findings_of
from tests.meshcert.mesh.mesh_slips import (
    CLIENT,
    COLOR,
    GATEWAY,
    NODE_TLS,
    REMOVED,
    ROOT,
    TELLER_NAME,
    Slip,
    assert_found_alone,
    changed,
    faults_of,
    identity,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SUBNET = "subnet-0123456789abcdef0"


RANGES = "network.existing.cidrs"


def yours(**changes: Any) -> dict[str, Any]:
    """A VPC of somebody's, as a mesh file names it."""
    return {"vpc": "vpc-0123456789abcdef0", "cidrs": ["172.16.0.0/16"], "subnets": {"us-west-1a": SUBNET}, **changes}


BALANCER = "services.colorgateway.load_balancer"
TARGET_GROUP = "arn:aws:elasticloadbalancing:us-west-1:111122223333:targetgroup/edge/0123456789abcdef"
CA = {
    "arn": "arn:aws:acm-pca:us-west-1:111122223333:certificate-authority/01234567-89ab-cdef-0123-456789abcdef",
    "root": "root.pem",
}
"""A CA of somebody's, as a mesh file names it."""
KEYS_OF_CAS = {name: hierarchy["key_algorithm"] for name, hierarchy in COLOR["hierarchies"].items()}

LISTENER = COLOR["virtual_nodes"]["colorteller"]["listeners"][0]

SHAPE = [
    Slip("schema", 2, "2 is not allowed", "Use 1"),
    Slip("schema", REMOVED, "missing", "Add schema, for example 1"),
    Slip("paint", "red", "unknown key", "known here: schema, mesh"),
    Slip("servces", {}, "unknown key", "Did you mean services?"),
    Slip("identities.colorteller.dnsNames", [], "written twice, as dns_names too", "Keep one"),
    Slip("identities.colorteller.dnsName", [], "unknown key", "mean dns_names?"),
    Slip(f"{CLIENT}.certficate", {}, "unknown", "mean certificate?"),
    Slip("mesh.name", REMOVED, "missing", "Add name, for example color"),
    Slip("mesh.name", 7, "expected text, found 7", "quotes"),
    Slip("identities", None, "found nothing", "Give it a value"),
    Slip("identities.colorteller.dns_names", TELLER_NAME, "expected a list", f"Write [{TELLER_NAME}]"),
    Slip("identities.colorteller.dns_names", [], "empty", "at least one, for example [color"),
    Slip("identities.colorteller.dns_names[0]", 1.5, "expected text", "quotes"),
    Slip("identities.colorteller.key_algorithm", "RSA_4096", "'RSA_4096' is not allowed", "Use RSA_2048 or"),
    Slip(
        "identities.colorteller.key_algorithm",
        "ED25519",
        "not allowed",
        "Use RSA_2048 or EC_prime256v1 or EC_secp384r1",
    ),
    Slip("hierarchies.colorteller.tiers", 3, "3 is not allowed", "Use 1 or 2"),
    Slip(
        BALANCER, {"scheme": "public"}, "'public' is not allowed", "internal or internet-facing", f"{BALANCER}.scheme"
    ),
    Slip(BALANCER, {"scheme": "internet-facing"}, "not say whom it admits", "Add clients", f"{BALANCER}.clients"),
    Slip(
        BALANCER, {"type": "application"}, "no certificate for its clients", "type: network", f"{BALANCER}.certificate"
    ),
    Slip(
        BALANCER,
        {"certificate": "arn:aws:acm:us-west-1:111122223333:certificate/1"},
        "passes TLS through",
        "type: application",
        f"{BALANCER}.certificate",
    ),
    Slip(
        BALANCER,
        {"target_groups": {8443: TARGET_GROUP}},
        "the mesh makes its own",
        "Name the VPC",
        f"{BALANCER}.target_groups",
    ),
    Slip("hierarchies.colorteller.tiers", REMOVED, "it is missing", "or existing, with a CA of yours"),
    Slip(
        "hierarchies.colorteller",
        {"existing": CA, "key_algorithm": "RSA_2048", "tiers": 1},
        "the CA is yours, and this says how to make one",
        "remove existing",
        "hierarchies.colorteller.tiers",
    ),
    Slip(
        "hierarchies.colorteller",
        {"existing": CA, "key_algorithm": "RSA_2048", "revocation": "crl"},
        "does not say where its revocation lists lie",
        "its own first, its root's last",
        "hierarchies.colorteller.existing.lists",
    ),
    Slip(
        "hierarchies.colorteller",
        {"existing": CA | {"lists": ["http://pki.example/a.crl"]}, "key_algorithm": "RSA_2048"},
        "without revocation nobody reads them",
        "Write revocation: crl",
        "hierarchies.colorteller.existing.lists",
    ),
    Slip(
        "hierarchies.colorteller",
        {"existing": CA | {"root": "../root.pem"}, "key_algorithm": "RSA_2048"},
        "leads out of the repository",
        "below its root",
        "hierarchies.colorteller.existing.root",
    ),
    Slip(
        "hierarchies.colorteller",
        {"existing": CA | {"arn": "arn:aws:acm:us-west-1:111122223333:certificate/1"}, "key_algorithm": "RSA_2048"},
        "is not allowed",
        "acm-pca",
        "hierarchies.colorteller.existing.arn",
    ),
    Slip(
        "hierarchies",
        {name: {"existing": CA, "key_algorithm": key} for name, key in KEYS_OF_CAS.items()},
        "names the same CA",
        "Have its identities name colorgateway",
        "hierarchies.colorteller.existing.arn",
    ),
    Slip("hierarchies.colorteller.reissue", 0, "0 is not allowed", "greater than or equal to 1"),
    Slip("hierarchies.colorteller.subject.country", "Germany", "'Germany'", "[A-Z]{2}"),
    Slip("hierarchies.colorteller", "RSA", "expected a mapping, found 'RSA'", "Write it as a mapping"),
    Slip("network.availability_zones", ["us-west-1a"], "there are 1 zones", "Name 2 to 6"),
    Slip("network.availability_zones", "us-west-1a", "expected a list", "Write [us-west-1a]"),
    Slip(
        "network.availability_zones",
        ["us-west-1a", "us-west-1"],
        "'us-west-1' is not the name of a zone",
        "us-west-1a",
        "network.availability_zones[1]",
    ),
    Slip(
        "network.availability_zones",
        ["us-west-1a", "us-west-1a"],
        "written twice",
        "Remove",
        "network.availability_zones[1]",
    ),
    Slip(
        "network.availability_zones",
        ["us-west-1a", "us-east-1c"],
        "different regions",
        "Name zones of one",
        "network.availability_zones[1]",
    ),
    Slip("network.cidr", "10.0.0.0", "no range of IPv4 addresses", "as in 10.20.0.0/16"),
    Slip("network.cidr", "10.0.0.0/8", "no size for a network", "/16 to /24"),
    Slip("mesh.namespace_id", "ns-0123456789abcdef", "resolve in its own VPC", "Name its VPC"),
    Slip("mesh.namespace_id", "colors", "'colors' is not allowed", "ns-"),
    Slip("network.nat_gateways", "two", "'two' is not allowed", "one or one_per_zone"),
    Slip("logs", {"retention_days": 30}, "not supported", "`logs.existing`", "logs.retention_days"),
    Slip(BALANCER, {"internet_facing": True}, "not supported", ".scheme`", f"{BALANCER}.internet_facing"),
    Slip(
        "network",
        {"existing": yours(load_balancer_subnets={"us-west-1c": SUBNET})},
        f"{SUBNET} is in us-west-1a, as network.existing.subnets has it",
        "Name a subnet of us-west-1c, or write us-west-1a",
        "network.existing.load_balancer_subnets.us-west-1c",
    ),
    Slip("mesh.namespace", "com", "those of AWS's APIs among them", "a namespace of your own"),
    Slip("network.cidr", "169.254.0.0/16", "of which EC2 makes no VPC", "Write private addresses"),
    Slip("services.colorteller.application.command", "python app.py", "expected a list", "Write [python, app.py]: "),
    Slip("services.colorteller.application.task_policies", [], "expected a mapping", "of managed, statements"),
    Slip("network.nat_gateways", "none", "'none' is not allowed", "has egress: endpoints instead"),
    Slip("network", {"existing": yours(vpc="vpc-1")}, "'vpc-1' is not allowed", "vpc-", "network.existing.vpc"),
    Slip(
        "network",
        {"existing": yours(), "cidr": "10.0.0.0/16"},
        "the VPC is yours",
        "Remove it",
        "network.cidr",
    ),
    Slip(
        "network",
        {"existing": yours(cidrs=["2001:db8::/56"])},
        "reach each other by IPv4",
        "IPv4 ranges alone",
        "network.existing.cidrs[0]",
    ),
    Slip(
        "network",
        {"existing": yours(cidrs=["172.16.0.0/16", "172.16.0.0/16"])},
        "written twice",
        "Remove one",
        "network.existing.cidrs[1]",
    ),
    Slip(
        "network",
        {"existing": yours(subnets={"us-west-1a": SUBNET, "us-west-1c": SUBNET})},
        "a subnet is in one zone",
        "own subnet",
        "network.existing.subnets.us-west-1c",
    ),
    Slip(
        "network",
        {"existing": yours(load_balancer_subnets={"us-west": SUBNET})},
        "'us-west' is not the name of a zone",
        "us-west-1a",
        "network.existing.load_balancer_subnets.us-west",
    ),
    Slip("services.colorteller.application.image", "", "it is missing", "or attach a service of yours"),
    Slip("services.colorteller.application.image", "a" * 256, "is not allowed", "have at most 255 characters"),
    Slip("mesh.deletion_protection", "yes", "expected true or false", "without quotes"),
    Slip(
        "cluster",
        {"container_insights": 1},
        "expected true or false",
        "true or false",
        "cluster.container_insights",
    ),
    Slip("cluster", {"existing": "my cluster"}, "'my cluster'", "match pattern", "cluster.existing"),
    Slip(
        "cluster",
        {"existing": "shop", "container_insights": True},
        "the cluster is yours",
        "Remove it, or remove cluster.existing",
        "cluster.container_insights",
    ),
    Slip("network.egress", "internet", "'internet' is not allowed", "nat or endpoints"),
    Slip(f"{NODE_TLS}.mode", "strict", "'strict'", "STRICT or PERMISSIVE or DISABLED"),
    Slip(f"{GATEWAY}.listeners", [], "empty", "at least one"),
    Slip(
        "virtual_nodes.colorteller.listeners",
        [LISTENER, {**LISTENER, "port_mapping": {"port": 9444, "protocol": "http"}}],
        "there are 2 of them, and a task's Envoy leads to one port of its application",
        "for each other port declare a virtual node and a service of the same image",
    ),
    Slip(f"{GATEWAY}.listeners[0].port_mapping.protocol", "tcp", "'tcp'", "http2"),
    Slip(
        f"{GATEWAY}.listeners[0].port_mapping.port", "8443", "expected a whole number, found '8443'", "without quotes"
    ),
    Slip(f"{GATEWAY}.listeners[0].port_mapping.port", 70000, "70000", "65535"),
    Slip(f"{GATEWAY}.listeners[0].port_mapping.port", REMOVED, "missing", "8443"),
    Slip("services.colorteller.poll_interval_s", 0, "0 is not allowed", "greater than 0"),
    Slip("services.colorteller.poll_interval_s", float("inf"), "inf", "finite"),
    Slip("services.colorteller.rotation", "restart", "'restart'", "reload or redeploy"),
    Slip("services.colorteller.load_balancer", "yes", "is not allowed", "be true or false"),
    Slip("services.colorteller.application.drop_capabilities", "ALL", "expected true or false", "without quotes"),
    Slip("services.colorteller.cpu", 300, "300 is not allowed", "256 or 512"),
]

NAMES = [
    Slip("mesh.name", "a-rather-long-name", "18 characters", "at most 16"),
    Slip("mesh.name", "Color", "'Color' is not a name", "lower-case"),
    Slip("mesh.namespace", "Mtls.local", "capital letters", "Write service.mtls.local"),
    Slip("identities.1st", identity("colorgateway", "first.mtls.local"), "'1st' is not a name", "begin with a letter"),
    Slip("identities.teller-", identity("colorgateway", "t.mtls.local"), "not a name", "hyphen"),
    Slip(f"hierarchies.{'h' * 21}", COLOR["hierarchies"]["colorgateway"], "21 characters", "at most 20"),
    Slip(
        "identities.colorteller.dns_names",
        [TELLER_NAME, "colorteller"],
        "no dot, and ACM refuses",
        "colorteller.mtls.svc",
        "identities.colorteller.dns_names[1]",
    ),
    Slip(
        "identities.colorteller.dns_names",
        [TELLER_NAME, "spiffe://acme/teller"],
        "is a URI, and ACM puts nothing but DNS names",
        "for example teller.mtls.svc.cluster.local",
        "identities.colorteller.dns_names[1]",
    ),
    Slip(
        "identities.colorteller.dns_names",
        ["spiffe://acme/teller"],
        "is a URI, and ACM puts nothing but DNS names",
        "for example teller.mtls.svc.cluster.local",
        "identities.colorteller.dns_names[0]",
    ),
    Slip(
        "identities.colorteller.dns_names",
        [TELLER_NAME, "*.mtls.local"],
        "wildcard",
        "each name",
        "identities.colorteller.dns_names[1]",
    ),
    Slip(
        "identities.colorteller.dns_names",
        [TELLER_NAME, "Teller.local"],
        "capital",
        "Write teller.local",
        "identities.colorteller.dns_names[1]",
    ),
    Slip(
        "virtual_nodes.colorteller.service_discovery",
        {"dns": "ledger:8443"},
        "has no dot",
        "whole name",
        "virtual_nodes.colorteller.service_discovery.dns",
    ),
    Slip(
        "identities.colorteller.dns_names",
        [TELLER_NAME, "tel_ler.local"],
        "not a DNS name",
        "hyphens",
        "identities.colorteller.dns_names[1]",
    ),
    Slip(
        "identities.colorteller.dns_names",
        [TELLER_NAME, "teller..local"],
        "not a DNS name",
        "one dot",
        "identities.colorteller.dns_names[1]",
    ),
    Slip(
        "identities.colorteller.dns_names",
        [TELLER_NAME, "teller.x"],
        "not a DNS name",
        "two characters",
        "identities.colorteller.dns_names[1]",
    ),
    Slip(
        "identities.colorteller.dns_names",
        [TELLER_NAME, f"{'a' * 64}.local"],
        "64 characters",
        "at most 63",
        "identities.colorteller.dns_names[1]",
    ),
    Slip(
        "identities.colorteller.dns_names",
        [TELLER_NAME, "a." * 125 + "local"],
        "255 characters",
        "at most 253",
        "identities.colorteller.dns_names[1]",
    ),
    Slip(
        "identities.colorteller.dns_names",
        ["a" * 60 + ".local", TELLER_NAME],
        "66 characters",
        "at most 64 characters first",
        "identities.colorteller.dns_names[0]",
    ),
    Slip(
        "identities.colorteller.dns_names",
        [TELLER_NAME, *(f"t{i}.mtls.local" for i in range(10))],
        "11 names, and ACM takes 10",
        "at most 10",
    ),
    Slip(
        "identities.colorteller.dns_names",
        [TELLER_NAME, TELLER_NAME],
        "written twice",
        "Remove one",
        "identities.colorteller.dns_names[1]",
    ),
    Slip(
        "identities.other",
        identity("colorgateway", TELLER_NAME),
        "belongs to identity colorteller",
        "one workload",
        "identities.other.dns_names[0]",
    ),
]

ISSUANCE = [
    Slip(
        "identities.colorteller.hierarchy", "colortelle", "not declared under hierarchies", "Did you mean colorteller?"
    ),
    Slip(
        "identities.x",
        identity("zz", "x.mtls.local"),
        "'zz' is not declared",
        "or use one of: colorgateway, colorteller",
        "identities.x.hierarchy",
    ),
    Slip(
        "identities.colorteller.key_algorithm",
        "EC_secp384r1",
        "RSA_2048 keys and cannot sign EC_secp384r1",
        "Use RSA_2048",
    ),
    Slip(
        "hierarchies.colorgateway.key_algorithm",
        "RSA_3072",
        "cannot sign EC_prime256v1",
        "Use RSA_2048",
        "identities.colorgateway.key_algorithm",
    ),
    Slip("hierarchies.colorgateway.root_validity_years", 1, "395 days and outlive a CA of 1 year", "at least 2"),
    Slip("hierarchies.colorteller.issuing_validity_years", 1, "outlive a CA of 1 year", "at least 2"),
    Slip("hierarchies.colorteller.issuing_validity_years", 10, "outlives its root of 10 years", "a year less"),
    Slip("hierarchies.colorgateway.issuing_validity_years", 5, "no issuing CA", "tiers: 2"),
]


@pytest.mark.parametrize("slip", [*SHAPE, *NAMES, *ISSUANCE], ids=lambda slip: f"{slip.at}: {slip.problem}")
def test_a_fault_is_found_alone_at_its_place_with_its_remedy(slip: Slip) -> None:
    """One slip in a good file gives exactly one fault, and it says where, what and what to do."""
    assert_found_alone(slip)


@pytest.mark.parametrize(
    "place",
    [
        *(
            "hierarchies.colorteller.existing",
            "hierarchies.colorteller.key_algorithm",
            "mesh.secrets_key",
            "network.cidr",
        ),
        *(
            "identities.colorteller.dns_names",
            "services.colorteller.application.image",
            "mesh.namespace",
            "logs",
        ),
        *("services.colorteller.application.secrets", "services.colorteller.application.egress", "metrics", "network"),
    ],
)
@pytest.mark.parametrize("ends", ["\n-----END EC PRIVATE KEY-----\n", ""])
@pytest.mark.parametrize("around", [lambda key: key, lambda key: [key], lambda key: {"KEY": key, "root": key}])
def test_a_private_key_that_was_pasted_anywhere_is_not_shown(
    place: str, ends: str, around: Callable[[str], object]
) -> None:
    """A mesh file's faults stand in logs of CI, a key in them would have to be replaced."""
    reading = read_mesh(changed((place, around(f"-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIBsecret{ends}"))))
    told = findings_of(reading.mesh, ROOT) if reading.mesh else reading.faults

    assert told
    assert "MHcCAQEEIBsecret" not in "".join(map(str, told))


def test_all_faults_are_reported_at_once() -> None:
    """Slips of shape, names, issuance and calls in one file come together, and in the file's order."""
    text = changed(
        ("mesh.nmae", "color"),
        ("hierarchies.colorteller.tiers", "two"),
        ("identities.colorgateway.hierarchy", "colorgatway"),
        ("identities.colorteller.dns_names", [TELLER_NAME, "colorteller"]),
        ("identities.colorteller.comment", "ours"),
        (f"{GATEWAY}.routes[0].virtual_node", "colorteler"),
        ("services.colorteller.poll_interval_s", -1),
        ("services.colorteller.application", REMOVED),
    )

    assert [fault.place for fault in faults_of(text)] == [
        "mesh.nmae",
        "hierarchies.colorteller.tiers",
        "identities.colorgateway.hierarchy",
        "identities.colorteller.dns_names[1]",
        "identities.colorteller.comment",
        "virtual_gateways.colorgateway.routes[0].virtual_node",
        "services.colorteller.application",
        "services.colorteller.poll_interval_s",
    ]


def test_loading_raises_every_fault_in_one_message(tmp_path: Path) -> None:
    """The error names the file and carries the faults as data."""
    path = tmp_path / "mesh.yaml"
    path.write_bytes(changed(("mesh.name", "Color"), ("network.egress", "none")))

    with pytest.raises(MeshInvalid) as caught:
        load_mesh(path)

    assert [fault.place for fault in caught.value.faults] == ["mesh.name", "network.egress"]
    assert str(caught.value).startswith(f"{path}: 2 fault(s)")


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    """Not a traceback."""
    with pytest.raises(MeshInvalid, match="cannot be read: No such file"):
        load_mesh(tmp_path / "mesh.yaml")


def test_a_listener_that_asks_for_certificates_is_no_place_behind_an_application_load_balancer() -> None:
    """It would refuse every connection; the fault names the ways out."""
    validation = {"trust": {"hierarchy": "colorteller"}}
    balancer = {"type": "application", "certificate": "arn:aws:acm:us-west-1:111122223333:certificate/1"}

    faults = faults_of(changed((BALANCER, balancer), (f"{GATEWAY}.listeners[0].tls.validation", validation)))

    assert [fault.place for fault in faults] == [f"{BALANCER}.type"]
    assert "type: network" in faults[0].remedy
    assert "mutual authentication" in faults[0].remedy


@pytest.mark.parametrize(
    ("balancer", "place", "words"),
    [
        ({"target_groups": {8443: TARGET_GROUP}, "scheme": "internal"}, "scheme", "the load balancer is yours"),
        ({"target_groups": {9443: TARGET_GROUP, 8443: TARGET_GROUP}}, "target_groups.9443", "no listener at 9443"),
    ],
    ids=["how to make one", "another port"],
)
def test_target_groups_of_yours_are_for_the_listeners_of_the_gateway(
    balancer: dict[str, Any], place: str, words: str
) -> None:
    """And nothing else is said of a load balancer that nobody makes."""
    (fault,) = faults_of(changed((BALANCER, balancer), ("network", {"existing": yours()})))

    assert (fault.place, words in fault.problem) == (f"{BALANCER}.{place}", True)
