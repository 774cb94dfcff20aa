"""What is wrong with a mesh file's cells, each with what to do about it."""

from __future__ import annotations

import pytest

from meshcert.mesh import read_mesh
from tests.meshcert.mesh.cells.yelb import (
    AUTHORITIES,
    BACKEND,
    DEPLOYED,
    FRONTEND,
    LIST,
    LISTED,
    SHARED,
    YELB,
    reading,
)
from tests.meshcert.mesh.mesh_slips import REMOVED, Slip, changed

SLIPS = [
    Slip("services.ui.cell", "frontent", "there is no cell frontent", "frontend"),
    Slip("services.ui.cell", REMOVED, "it is missing", "Name a cell: shared, frontend, backend"),
    Slip("hierarchies.edge.cell", REMOVED, "it is missing", "Name a cell"),
    Slip("identities.ui.cell", "nowhere", "there is no cell nowhere", "declare it under cells"),
    Slip("cells.frontend.account", "2222", "", ""),
    Slip("cells.frontend.account", BACKEND, "is cell frontend already", "Give it another", "cells.backend"),
    Slip("cells.frontend.region", "eu-central-1", "RAM shares in one region", "in each", "hierarchies.edge.cell"),
    Slip("cells.backend.network", {"cidr": "10.1.128.0/17"}, "would be there twice", "Give it other addresses"),
    Slip("cells.backend.namespace", "frontend.yelb.internal", "a VPC resolves one zone", "namespace of its own"),
    Slip("mesh.http_name", "yelb.internal-1a2b", "each cell with services has one", "cells.NAME.http_name: yelb.int"),
    Slip("mesh.namespace_id", "ns-0123456789abcdef", "a namespace is of one account", "each cell gets a namespace"),
    Slip("mesh.secrets_key", f"arn:aws:kms:eu-west-1:{SHARED}:key/a", "a KMS key is of one account", "gets a key"),
    Slip("cells.backend.discovery", "dsn", "", ""),
    Slip("cells.frontend.region", "cn-north-1", "in another partition of AWS", "Write dns", "cells.backend.discovery"),
]

LISTS_AT = "hierarchies.inner.authority.lists"
SLIPS_OF_LISTS = [
    Slip("hierarchies.inner.revocation", "none", "nobody reads them", "revocation: crl", LISTS_AT),
    Slip(LISTS_AT, [LIST, LIST], "writes 1 of them", "CELL=shared prints"),
    Slip(LISTS_AT, ["s3://another-bucket/crl/a.crl"], "into the bucket meshcert-yelb-crl", ""),
    Slip(LISTS_AT, ["https://pki.example/a.crl"], "", "", f"{LISTS_AT}[0]"),
]


@pytest.mark.parametrize("slip", SLIPS_OF_LISTS, ids=lambda slip: f"{slip.at}: {slip.problem}")
def test_lists_are_those_that_their_cell_writes(slip: Slip) -> None:
    """Others, or some of them, would refuse good peers or let revoked ones in."""
    faults = reading(*DEPLOYED, *LISTED, (slip.at, slip.value)).faults

    told = [(fault.place, fault.problem, fault.remedy) for fault in faults]
    assert any(
        place == (slip.place or slip.at) and slip.problem in problem and slip.remedy in remedy
        for place, problem, remedy in told
    ), told


@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: f"{slip.at}: {slip.problem}")
def test_a_slip_is_told_where_it_is_with_what_to_do(slip: Slip) -> None:
    """Problem and remedy are about this very slip."""
    faults = reading((slip.at, slip.value)).faults

    told = [(fault.place, fault.problem, fault.remedy) for fault in faults]
    assert any(
        place == (slip.place or slip.at) and slip.problem in problem and slip.remedy in remedy
        for place, problem, remedy in told
    ), told


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


def test_a_call_between_regions_goes_by_files_as_the_fault_says() -> None:
    """Its CAs are shared in their own region alone, so neither side can name the other's hierarchy."""
    far = {**YELB["hierarchies"]["inner"], "cell": "backend", "subject": {"organization": "Yelb far"}}
    there: list[tuple[str, object]] = [("cells.backend.region", "ap-southeast-2"), ("hierarchies.far", far)]
    there += [(f"identities.{name}.hierarchy", "far") for name in ("appserver", "redis", "postgres")]
    validation = "listeners[0].tls.validation.trust"
    there += [(f"virtual_nodes.{name}.{validation}", {"hierarchy": "far"}) for name in ("redis", "postgres")]
    there += [("virtual_nodes.appserver.backend_defaults.client_policy.tls.validation.trust", {"hierarchy": "far"})]
    both = ("virtual_nodes.ui.backends[0].client_policy.tls.validation.trust", f"virtual_nodes.appserver.{validation}")
    volumes = {"volumes": [{"container_path": "/keys", "efs": {"file_system_id": "fs-0123456789abcdef0"}}]}
    files: list[tuple[str, object]] = [(f"services.{name}.proxy", volumes) for name in ("ui", "appserver")]
    files += [(place, {"file": {"certificate_chain": "/keys/other.pem"}}) for place in both]
    joined = [("hierarchies.inner.also_trust", ["far"]), ("hierarchies.far.also_trust", ["inner"])]

    assert reading(*there, *files).faults == ()
    told = {fault.place: fault.remedy for fault in reading(*there, *joined).faults}
    assert set(told) == {"hierarchies.inner.cell", "hierarchies.far.cell"}
    assert all("trust: {file: ...}, not by hierarchy or also_trust" in remedy for remedy in told.values())
