"""What is wrong with a mesh file's cells, each with what to do about it."""

from __future__ import annotations

import pytest

from meshcert.mesh import read_mesh
from meshcert.mesh.cells.checks import empty_cells
from tests.meshcert.mesh.cells.yelb import (
    AUTHORITIES,
    BACKEND,
    DEPLOYED,
    FRONTEND,
    IN_ONE_NAMESPACE,
    LIST,
    LISTED,
    OVER_A_REGION,
    SHARED,
    SHARED_NAMESPACE,
    YELB,
    reading,
)
from tests.meshcert.mesh.mesh_slips import REMOVED, Slip, changed

KEY = "arn:aws:kms:{}:{}:key/01234567-89ab-cdef-0123-456789abcdef"
SLIPS = [
    Slip("services.ui.cell", "frontent", "there is no cell frontent", "frontend"),
    Slip("services.ui.cell", REMOVED, "it is missing", "Name a cell: shared, frontend, backend"),
    Slip("hierarchies.edge.cell", REMOVED, "it is missing", "Name a cell"),
    Slip("identities.ui.cell", "nowhere", "there is no cell nowhere", "declare it under cells"),
    Slip("cells.frontend.account", "2222", "", ""),
    Slip("cells.frontend.account", BACKEND, "is cell frontend already", "Give it another", "cells.backend"),
    Slip("cells.frontend.region", "eu-central-1", "RAM shares in one region", "in each", "hierarchies.edge.cell"),
    Slip(
        "cells.backend.network",
        {"cidr": "10.1.128.0/17"},
        "would be there twice",
        "network: {cidr: 10.2.0.0/16}",
    ),
    Slip("cells.backend.namespace", "frontend.yelb.internal", "a VPC resolves one zone", "namespace of its own"),
    Slip("mesh.http_name", "yelb.internal-1a2b", "each cell with services has one", "cells.NAME.http_name: yelb.int"),
    Slip("mesh.namespace_id", "ns-0123456789abcdef", "a namespace is of one account", "cells.NAME.namespace_id"),
    Slip("mesh.secrets_key", KEY.format("eu-west-1", SHARED), "a KMS key is of one account", "cells.NAME.secrets_key"),
    Slip("cells.backend.namespace_id", "ns", "", ""),
    Slip("cells.backend.namespace_id", "ns-0123456789abcdef", "in its own VPC", "below cells.backend.network.existing"),
    Slip("cells.backend.secrets_key", KEY.format("eu-west-1", SHARED), f"of account {SHARED}", f"account {BACKEND}"),
    Slip("cells.backend.secrets_key", KEY.format("us-east-1", BACKEND), "it is in us-east-1", "Name one in eu-west-1"),
    Slip("cells.backend.secrets_key", "alias/ours", "", ""),
    Slip(
        "cells.backend.cluster",
        {"existing": f"arn:aws:ecs:eu-west-1:{FRONTEND}:cluster/shop"},
        f"it is of account {FRONTEND}, and cell backend",
        f"Name one of account {BACKEND}",
        "cells.backend.cluster.existing",
    ),
    Slip(
        "cells.backend.cluster",
        {"existing": "shop", "container_insights": True},
        "the cluster is yours",
        "remove cells.backend.cluster.existing",
        "cells.backend.cluster.container_insights",
    ),
    Slip("cells.backend.discovery", "dsn", "", ""),
    Slip("cells.frontend.region", "cn-north-1", "in another partition of AWS", "Write dns", "cells.backend.discovery"),
]

NETWORK = "cells.frontend.network"
EXISTING = {
    "vpc": "vpc-0123456789abcdef0",
    "cidrs": ["10.9.0.0/16"],
    "subnets": {"eu-west-1a": "subnet-0123456789abcdef0"},
}
BALANCER = "services.gateway.load_balancer"
GROUPS = {"target_groups": {8443: "arn:aws:elasticloadbalancing:{}:{}:targetgroup/edge/0123456789abcdef"}}
CA = "arn:aws:acm-pca:{}:999988887777:certificate-authority/01234567-89ab-cdef-0123-456789abcdef"


def balancer(region: str, account: str) -> dict[str, object]:
    """A load balancer of somebody's."""
    return {"target_groups": {8443: GROUPS["target_groups"][8443].format(region, account)}}


def hierarchy(region: str, **more: object) -> dict[str, object]:
    """One under a CA of yours."""
    return {"key_algorithm": "EC_prime256v1", "existing": {"arn": CA.format(region), "root": "root.pem", **more}}


def attached(region: str, account: str) -> dict[str, object]:
    """Redis, as a service of yours."""
    cluster = f"arn:aws:ecs:{region}:{account}:cluster/own"
    task = {"cluster": cluster, "service": "redis", "container": "app", "security_group": "sg-0123456789abcdef0"}
    return {"cell": "backend", "virtual_node": "redis", "application": {"port": 6380}, "attached": task}


SLIPS_OF_PLACES = [
    Slip(f"{NETWORK}.cidr", "10.1.0.0/30", "no size for a network", "/16 to /24"),
    Slip(f"{NETWORK}.cidr", "hello", "no range of IPv4 addresses", "Write it as in"),
    Slip(f"{NETWORK}.availability_zones", ["eu-west-1a"], "there are 1 zones", "Name 2 to 6"),
    Slip(
        f"{NETWORK}.availability_zones",
        ["us-east-1a", "us-east-1b"],
        "cell frontend, which uses it, in eu-west-1",
        "Name one in eu-west-1",
        f"{NETWORK}.availability_zones[0]",
    ),
    Slip(
        NETWORK,
        {"existing": EXISTING, "egress": "endpoints"},
        "the VPC is yours",
        f"remove {NETWORK}.existing",
        f"{NETWORK}.egress",
    ),
    Slip(
        NETWORK,
        {"existing": {**EXISTING, "cidrs": ["2001:db8::/32"]}},
        "is IPv6",
        "IPv4 ranges alone",
        f"{NETWORK}.existing.cidrs[0]",
    ),
    Slip(
        BALANCER,
        balancer("eu-west-1", FRONTEND),
        "the mesh makes its own",
        f"below {NETWORK}.existing",
        f"{BALANCER}.target_groups",
    ),
    Slip(
        BALANCER,
        balancer("us-east-1", FRONTEND),
        "it is in us-east-1",
        "Name one in eu-west-1",
        f"{BALANCER}.target_groups.8443",
    ),
    Slip(
        BALANCER,
        balancer("eu-west-1", BACKEND),
        f"cell frontend, which uses it, of account {FRONTEND}",
        f"Name one of account {FRONTEND}",
        f"{BALANCER}.target_groups.8443",
    ),
    Slip(
        "services.redis",
        attached("us-east-1", BACKEND),
        "it is in us-east-1",
        "Name one in eu-west-1",
        "services.redis.attached.cluster",
    ),
    Slip(
        "services.redis",
        attached("eu-west-1", FRONTEND),
        f"it is of account {FRONTEND}",
        f"account {BACKEND}",
        "services.redis.attached.cluster",
    ),
    Slip(
        "cluster",
        {"existing": f"arn:aws:ecs:eu-west-1:{FRONTEND}:cluster/shop"},
        "and cell backend, which uses it",
        "Write its name alone",
        "cluster.existing",
    ),
    Slip(
        "hierarchies.inner",
        hierarchy("us-east-1"),
        "RAM shares in one region",
        "in each region",
        "hierarchies.inner.existing.arn",
    ),
    Slip(
        "hierarchies.inner",
        hierarchy("eu-west-1", permit_acm=True),
        "no cell with certificates of it is",
        "ACM needs no permission",
        "hierarchies.inner.existing.permit_acm",
    ),
]

LISTS_AT = "hierarchies.inner.authority.lists"
SLIPS_OF_LISTS = [
    Slip("hierarchies.inner.revocation", "none", "nobody reads them", "revocation: crl", LISTS_AT),
    Slip(LISTS_AT, [LIST, LIST], "writes 1 of them", "CELL=shared prints"),
    Slip(LISTS_AT, ["s3://another-bucket/crl/a.crl"], "into the bucket meshcert-yelb-crl", ""),
    Slip(LISTS_AT, ["https://pki.example/a.crl"], "", "", f"{LISTS_AT}[0]"),
]

SLIPS_IN_A_NAMESPACE = [
    Slip("cells.backend.discovery", "role", "needs no role", "Write dns"),
    Slip("cells.backend.namespace", "other.internal", "which calls it yelb.internal", "as its owner has named it"),
    Slip(
        "mesh.namespace_id",
        SHARED_NAMESPACE.replace("eu-west-1", "eu-central-1"),
        "is in eu-central-1, and cell backend in eu-west-1",
        "Name a namespace in eu-west-1",
    ),
    Slip(
        "services.redis",
        {
            **YELB["services"]["redis"],
            "attached": {"cluster": "yelb", "service": "redis", "cloud_map_service": "ui"},
        },
        "registered as ui, where those of ui are, in cell frontend",
        "under another name",
        "services.redis.attached.cloud_map_service",
    ),
]


@pytest.mark.parametrize("slip", SLIPS_IN_A_NAMESPACE, ids=lambda slip: f"{slip.at}: {slip.problem}")
def test_cells_in_one_namespace_agree_about_it_and_do_not_collide(slip: Slip) -> None:
    """Callers of one service would find another one's tasks."""
    assert reading(*IN_ONE_NAMESPACE).faults == ()
    of_itself = (("cells.backend.namespace_id", SHARED_NAMESPACE),) if slip.at.endswith("namespace") else ()

    faults = reading(*IN_ONE_NAMESPACE, *of_itself, (slip.at, slip.value)).faults

    told = [(fault.place, fault.problem, fault.remedy) for fault in faults]
    assert any(
        place == (slip.place or slip.at) and slip.problem in problem and slip.remedy in remedy
        for place, problem, remedy in told
    ), told


@pytest.mark.parametrize("slip", SLIPS_OF_LISTS, ids=lambda slip: f"{slip.at}: {slip.problem}")
def test_lists_are_those_that_their_cell_writes(slip: Slip) -> None:
    """Others, or some of them, would refuse good peers or let revoked ones in."""
    faults = reading(*DEPLOYED, *LISTED, (slip.at, slip.value)).faults

    told = [(fault.place, fault.problem, fault.remedy) for fault in faults]
    assert any(
        place == (slip.place or slip.at) and slip.problem in problem and slip.remedy in remedy
        for place, problem, remedy in told
    ), told


@pytest.mark.parametrize("slip", [*SLIPS, *SLIPS_OF_PLACES], ids=lambda slip: f"{slip.at}: {slip.problem}")
def test_a_slip_is_told_where_it_is_with_what_to_do(slip: Slip) -> None:
    """Problem and remedy are about this very slip."""
    faults = reading((slip.at, slip.value)).faults

    told = [(fault.place, fault.problem, fault.remedy) for fault in faults]
    assert any(
        place == (slip.place or slip.at) and slip.problem in problem and slip.remedy in remedy
        for place, problem, remedy in told
    ), told


@pytest.mark.parametrize(
    ("at", "value"),
    [("services.ui.cell", "frontent"), ("cells.backend.account", "2222"), ("cells.backend.region", "eu-west")],
    ids=["no such cell", "no account", "no region"],
)
def test_one_wrong_place_is_one_fault(at: str, value: str) -> None:
    """Nothing is told of what would follow from it."""
    (fault,) = reading((at, value)).faults

    assert fault.place == at


def test_each_cell_has_stacks_of_its_own_size() -> None:
    """Two cells of 50 services have room for them, one of 100 has not, and shards are no way there."""
    divided = reading(
        *(change for number in range(100) for change in worker(number, ("frontend", "backend")[number % 2]))
    )
    (fault,) = reading(*(change for number in range(100) for change in worker(number, "backend"))).faults

    assert divided.faults == ()
    assert "the stack yelb-backend-services would have" in fault.problem
    assert "in another cell" in fault.remedy


def worker(number: int, cell: str) -> tuple[tuple[str, object], ...]:
    """A service more in a cell."""
    name, tls = f"worker{number}", {"certificate": {"identity": f"worker{number}"}}
    identity = {"hierarchy": "inner", "dns_names": [f"{name}.{cell}.yelb.internal"], "key_algorithm": "EC_prime256v1"}
    listener = {"port_mapping": {"port": 9443, "protocol": "http"}, "tls": tls}
    return (
        (f"identities.{name}", identity),
        (f"virtual_nodes.{name}", {"listeners": [listener]}),
        (f"services.{name}", {"cell": cell, "virtual_node": name, "application": {"image": "w:1", "port": 8080}}),
    )


def test_an_identity_is_of_one_cell() -> None:
    """No secret leaves its account and region: whoever uses it in two has to declare two."""
    in_two = reading(
        ("services.gateway.cell", "backend"),
        ("virtual_gateways.gateway.backends[0].client_policy.tls.certificate.identity", "ui"),
        (
            "virtual_nodes.ui.listeners[0].tls.validation",
            {
                "trust": {"hierarchy": "inner"},
                "subject_alternative_names": {"match": {"exact": ["ui.frontend.yelb.internal"]}},
            },
        ),
    ).faults

    assert [(fault.place, fault.problem) for fault in in_two] == [
        ("identities.ui", "it would be of several cells: backend, frontend; no secret leaves its account and region")
    ]


def test_an_identity_that_no_service_uses_says_where_it_is() -> None:
    """A client outside the mesh gets it there."""
    client = {"hierarchy": "edge", "dns_names": ["client.yelb.internal"], "key_algorithm": "EC_prime256v1"}

    (fault,) = reading(("identities.client", client)).faults

    assert (fault.place, "no service uses it" in fault.problem) == ("identities.client.cell", True)
    assert reading(("identities.client", {**client, "cell": "frontend"})).faults == ()


def test_without_cells_nothing_names_one() -> None:
    """A file of before, with the new words in it."""
    services = read_mesh(changed(("services.colorteller.cell", "frontend"))).faults
    hierarchies = read_mesh(changed(("hierarchies.colorteller.authority", DEPLOYED[0][1]))).faults

    assert [(fault.place, fault.problem) for fault in services] == [
        ("services.colorteller.cell", "the file has no cells")
    ]
    assert [fault.place for fault in hierarchies] == ["hierarchies.colorteller.authority"]


def test_what_a_cells_deploy_has_printed_is_its_own() -> None:
    """An account, a region, a CA or a path that was copied wrong is told before other accounts go by it."""
    arn = AUTHORITIES["edge"]
    for written, told in (
        ({"arn": arn.replace(SHARED, FRONTEND), "root": "edge.pem"}, "edge.authority.arn"),
        ({"arn": arn.replace("eu-west-1", "eu-west-2"), "root": "edge.pem"}, "edge.authority.arn"),
        ({"arn": AUTHORITIES["inner"], "root": "edge.pem"}, "inner.authority.arn"),
        ({"arn": arn, "root": "../edge.pem"}, "edge.authority.root"),
    ):
        faults = reading(*DEPLOYED, ("hierarchies.edge.authority", written)).faults
        assert [fault.place for fault in faults] == [f"hierarchies.{told}"]
    assert reading(*DEPLOYED).faults == ()


def test_cells_that_do_not_talk_may_have_the_same_addresses() -> None:
    """Nothing joins their networks."""
    alone = reading(
        ("virtual_nodes.ui.backends", []),
        ("virtual_nodes.ui.listeners[0].port_mapping.port", 9443),
        ("cells.backend.network", {"cidr": "10.1.0.0/16"}),
    )

    assert [fault for fault in alone.faults if fault.place.startswith("cells")] == []
    assert FRONTEND != BACKEND


def test_a_role_is_for_whom_it_can_trust_and_who_can_ask_there() -> None:
    """An attached service's task role, if the file names it; endpoints reach their own region alone."""
    attached = {"cluster": "shop", "service": "ui", "container": "app", "security_group": "sg-0123456789abcdef0"}
    application = {"port": 8080}
    apart = (("cells.frontend.region", "eu-central-1"), ("cells.frontend.network.egress", "endpoints"))

    role = "services.ui.attached.task_role"

    def told(*changes: tuple[str, object]) -> list[str]:
        faults = reading(*changes).faults
        return [fault.problem for fault in faults if fault.place in {"cells.backend.discovery", role}]

    service = {"cell": "frontend", "virtual_node": "ui", "attached": attached, "application": application}
    assert told(("services.ui", service)) == [
        "it is missing: ui calls appserver of cell backend, where callers are trusted by their task roles"
    ]
    assert told(("services.ui", service), (role, "shop/ui-task")) == []
    assert told(*apart) == [
        "cell frontend, which calls appserver, reaches the APIs of eu-central-1 alone (egress: endpoints)"
    ]
    assert told(*apart, ("cells.backend.discovery", "dns")) == told(apart[0]) == []


def test_a_role_has_room_for_the_accounts_of_its_callers() -> None:
    """More than some 18 are told before a deploy, not by IAM in the middle of one."""

    def told(accounts: int) -> list[tuple[str, str]]:
        changes: list[tuple[str, object]] = [("virtual_nodes.appserver.listeners[0].tls.validation", REMOVED)]
        for n in range(accounts):
            cell = {**YELB["cells"]["frontend"], "account": str(100_000_000_000 + n), "namespace": f"f{n}.internal"}
            changes += [
                (f"cells.f{n}", {**cell, "network": {"cidr": f"10.{100 + n}.0.0/16"}}),
                (f"services.ui{n}", {**YELB["services"]["ui"], "cell": f"f{n}", "virtual_node": f"ui{n}"}),
                (f"virtual_nodes.ui{n}", {**YELB["virtual_nodes"]["ui"], "listeners": plain, "backends": calls}),
            ]
        return [(fault.place, fault.problem) for fault in reading(*changes).faults]

    plain = [{"port_mapping": {"port": 9443, "protocol": "http"}}]
    calls = [{"virtual_node": "appserver", "client_policy": {"tls": {"validation": {"trust": {"hierarchy": "inner"}}}}}]
    assert told(16) == []
    ((place, problem),) = told(24)
    assert place == "cells.backend.discovery"
    assert "callers in 25 accounts" in problem
    assert problem.endswith("characters: IAM takes 2,048")


def test_a_call_between_regions_trusts_the_root_that_the_file_has() -> None:
    """By a file of the user's or by hierarchy; certificates are not signed across, nor revocation lists read."""
    both = OVER_A_REGION[-2][0], OVER_A_REGION[-1][0]
    volumes = {"volumes": [{"container_path": "/keys", "efs": {"file_system_id": "fs-0123456789abcdef0"}}]}
    files: list[tuple[str, object]] = [(f"services.{name}.proxy", volumes) for name in ("ui", "appserver")]
    files += [(place, {"file": {"certificate_chain": "/keys/other.pem"}}) for place in both]
    joined = [("hierarchies.inner.also_trust", ["far"]), ("hierarchies.far.also_trust", ["inner"])]
    own = {"cluster": "own", "service": "ui", "container": "app", "security_group": "sg-0123456789abcdef0"}
    attached = {"cell": "frontend", "virtual_node": "ui", "application": {"port": 8080}, "attached": own}
    found_by_dns = ("cells.backend.discovery", "dns")

    for way in ((), files, joined, [("services.ui", attached), found_by_dns]):
        assert reading(*OVER_A_REGION, *way).faults == ()
    (signed,) = reading(*OVER_A_REGION, ("hierarchies.far.cell", "shared")).faults
    assert (signed.place, "Declare a hierarchy in each region" in signed.remedy) == ("hierarchies.far.cell", True)
    (listed,) = reading(*OVER_A_REGION, ("hierarchies.far.revocation", "crl")).faults
    assert (listed.place, "Write revocation: none" in listed.remedy) == ("hierarchies.far.revocation", True)


def test_a_cell_that_nothing_is_in_is_a_finding() -> None:
    """A deploy would take it, and make a stack with nothing in it."""
    read = reading(("cells.spare", {"account": "444455556666", "region": "eu-west-1"}))

    assert read.mesh, read.faults
    assert [finding.place for finding in empty_cells(read.mesh)] == ["cells.spare"]
