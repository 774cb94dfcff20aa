"""The part of a mesh that a cell deploys: itself a mesh, in which the others are known by name and address."""

from __future__ import annotations

import pytest

from meshcert import naming
from meshcert.mesh import proxy_settings, read_mesh
from meshcert.mesh.cells.slices import (
    Crossing,
    RemoteCallers,
    Sharing,
    crossings,
    in_cell,
    missing_authorities,
    remote_callers,
    sharing,
)
from meshcert.proxy import ProxySettings, RemoteNamespace
from tests.meshcert.mesh.cells.yelb import (
    AUTHORITIES,
    BACKEND,
    DEPLOYED,
    FRONTEND,
    IN_ONE_NAMESPACE,
    LIST,
    LISTED,
    SHARED,
    SHARED_NAMESPACE,
    YELB,
    mesh,
)
from tests.meshcert.mesh.mesh_slips import COLOR, REMOVED, changed


def test_each_cell_has_its_own_and_nobody_elses() -> None:
    """Services, the identities that they use, and the hierarchies that sign for them or that they trust."""
    whole = mesh(*DEPLOYED)
    parts = {cell: in_cell(whole, cell) for cell in whole.cells}

    of_each = {
        name: (list(part.hierarchies), list(part.identities), list(part.services)) for name, part in parts.items()
    }
    assert of_each == {
        "shared": (["edge", "inner"], [], []),
        "frontend": (["edge", "inner"], ["gateway", "ui"], ["gateway", "ui"]),
        "backend": (["inner"], ["appserver", "redis", "postgres"], ["appserver", "redis", "postgres"]),
    }


def test_a_cell_issues_from_the_cas_of_another_by_their_arn() -> None:
    """It makes none; the one that makes them does not name them as somebody's."""
    whole = mesh(*DEPLOYED)

    theirs = in_cell(whole, "frontend").hierarchies
    own = in_cell(whole, "shared").hierarchies

    assert {name: each.existing.arn for name, each in theirs.items() if each.existing} == AUTHORITIES
    assert [each.made for each in theirs.values()] == [0, 0]
    assert [(each.existing, each.made) for each in own.values()] == [(None, 1), (None, 1)]


def test_a_service_of_another_cell_is_a_host_that_dns_knows() -> None:
    """Its own cell asks Cloud Map for it, as ever."""
    whole = mesh(*DEPLOYED, ("cells.backend.discovery", REMOVED))
    ui = proxy_settings(in_cell(whole, "frontend"), "ui")
    appserver = proxy_settings(in_cell(whole, "backend"), "appserver")

    assert [(each.host, each.cloud_map_service, each.one_host) for each in ui.backends] == [
        ("appserver.backend.yelb.internal", "", False)
    ]
    assert [(each.host, each.cloud_map_service) for each in appserver.backends] == [
        ("redis.backend.yelb.internal", "redis"),
        ("postgres.backend.yelb.internal", "postgres"),
    ]


def test_a_service_of_a_cell_with_a_role_is_found_by_its_cloud_map() -> None:
    """By the name, region and role there; callers in its own cell need none, and a node that says DNS is left alone."""
    whole = mesh(*DEPLOYED)
    ui = proxy_settings(in_cell(whole, "frontend"), "ui")
    named = mesh(*DEPLOYED, ("virtual_nodes.appserver.service_discovery", {"dns": "appserver.backend.yelb.internal"}))
    role = f"arn:aws:iam::{BACKEND}:role/meshcert-yelb-eu-west-1-cells.discovery"
    there = RemoteNamespace("backend.yelb.internal", "eu-west-1", role)

    assert [(each.host, each.cloud_map_service, each.remote_namespace) for each in ui.backends] == [
        ("appserver.backend.yelb.internal", "appserver", there)
    ]
    assert (ui.cloud_map_namespace, ProxySettings.from_json(ui.to_json())) == ("", ui)
    assert list(proxy_settings(in_cell(whole, "backend"), "appserver").discovered_in) == [None]
    assert proxy_settings(in_cell(named, "frontend"), "ui").discovered == ()
    assert remote_callers(named, "backend") is None


def test_services_of_cells_in_one_namespace_find_each_other_with_its_owner_and_no_role() -> None:
    """As those of one cell; the other cell's names stand for themselves where only one of them is in it."""
    whole = mesh(*DEPLOYED, *IN_ONE_NAMESPACE)
    ui = proxy_settings(in_cell(whole, "frontend"), "ui")
    apart = mesh(
        *DEPLOYED,
        *IN_ONE_NAMESPACE[1:],
        ("cells.backend.namespace", "backend.yelb.internal"),
        ("cells.backend.namespace_id", SHARED_NAMESPACE),
    )

    assert [(each.host, each.cloud_map_service, each.remote_namespace) for each in ui.backends] == [
        ("appserver.yelb.internal", "appserver", None)
    ]
    assert (ui.cloud_map_namespace, ui.cloud_map_owner) == ("yelb.internal", SHARED)
    assert ProxySettings.from_json(ui.to_json()) == ui
    assert in_cell(whole, "backend").about.namespace_id == SHARED_NAMESPACE
    assert remote_callers(whole, "backend") is None
    assert proxy_settings(in_cell(apart, "frontend"), "ui").discovered == ()
    assert proxy_settings(in_cell(apart, "backend"), "appserver").cloud_map_owner == SHARED
    assert in_cell(apart, "frontend").about.namespace_id == ""


def test_a_role_is_for_the_callers_in_other_cells_and_what_they_call() -> None:
    """Redis and Postgres are called by their own cell alone."""
    whole = mesh(*DEPLOYED)

    assert remote_callers(whole, "backend") == RemoteCallers(
        accounts=(FRONTEND,),
        roles=(f"arn:aws:iam::{FRONTEND}:role/meshcert-yelb-eu-west-1-ui",),
        any_role=(f"arn:aws:iam::{FRONTEND}:role/meshcert-yelb-eu-west-1-*",),
        services=("appserver",),
    )
    assert (remote_callers(whole, "frontend"), remote_callers(whole, "shared")) == (None, None)
    assert remote_callers(mesh(("cells.backend.discovery", "dns")), "backend") is None


def test_an_attached_caller_is_admitted_by_the_task_role_that_the_file_names() -> None:
    """No pattern of the mesh's role names is that one, so it is named wherever they are."""
    attached = {"cluster": "shop", "service": "ui", "container": "app", "security_group": "sg-0123456789abcdef0"}
    service = {"cell": "frontend", "virtual_node": "ui", "attached": {**attached, "task_role": "shop/ui-task"}}
    theirs = remote_callers(mesh(("services.ui", {**service, "application": {"port": 8080}})), "backend")
    role = f"arn:aws:iam::{FRONTEND}:role/shop/ui-task"

    assert theirs is not None
    assert (theirs.accounts, theirs.roles, theirs.any_role) == ((FRONTEND,), (role,), (role,))


def test_roles_are_of_the_partition_that_their_region_is_in() -> None:
    """An ARN of another partition names nobody."""
    regions = ("eu-west-1", "cn-north-1", "us-gov-west-1", "us-iso-east-1", "us-isob-east-1", "eusc-de-east-1")
    expected = ("aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-eusc")

    assert tuple(map(naming.partition, regions)) == expected


@pytest.mark.parametrize("service", YELB["services"])
def test_a_proxy_is_told_in_its_cell_what_the_whole_mesh_says(service: str) -> None:
    """Identities, trust, names of peers and TLS of calls: only where backends are found differs."""
    whole = mesh(*DEPLOYED)
    here = proxy_settings(in_cell(whole, whole.services[service].cell), service)
    everywhere = proxy_settings(whole, service)

    assert (here.identities, here.trust_bundles, here.listeners) == (
        everywhere.identities,
        everywhere.trust_bundles,
        everywhere.listeners,
    )
    assert [(each.name, each.host, each.tls) for each in here.backends] == [
        (each.name, each.host, each.tls) for each in everywhere.backends
    ]


def test_what_peers_of_other_cells_ask_for_is_asked_for() -> None:
    """A certificate without the name that the other account's rule lists would be refused there."""
    whole = mesh(*DEPLOYED)
    part = in_cell(whole, "frontend")

    assert [str(name) for name in part.peer_names("ui")] == ["ui.frontend.yelb.internal"]
    assert part.trusted_by_peers("ui") == whole.trusted_by_peers("ui") == ("inner",)
    assert set(part.accepted_names("inner")) == set(whole.accepted_names("inner"))


def test_cas_are_shared_with_the_accounts_that_need_them_and_no_other() -> None:
    """To issue from with those whose certificates they sign, to read with those that trust them."""
    whole = mesh()

    assert sharing(whole, "shared") == {
        "edge": Sharing((FRONTEND,), (FRONTEND,)),
        "inner": Sharing((FRONTEND, BACKEND), (FRONTEND, BACKEND)),
    }
    assert (sharing(whole, "frontend"), sharing(whole, "backend")) == ({}, {})


def test_who_trusts_without_being_signed_reads_alone() -> None:
    """The backend's own hierarchy, which the frontend trusts."""
    whole = mesh(
        ("hierarchies.data", {"cell": "backend", "tiers": 2, "key_algorithm": "EC_prime256v1"}),
        ("identities.appserver.hierarchy", "data"),
        ("virtual_nodes.ui.backends[0].client_policy.tls.validation.trust.hierarchy", "data"),
        ("virtual_nodes.redis.listeners[0].tls.validation.trust.hierarchy", "data"),
        ("virtual_nodes.postgres.listeners[0].tls.validation.trust.hierarchy", "data"),
    )

    assert sharing(whole, "backend") == {"data": Sharing((), (FRONTEND,))}


def test_a_cell_waits_for_the_cas_that_it_does_not_make() -> None:
    """Their ARNs are known after the first deploy."""
    assert {cell: missing_authorities(mesh(), cell) for cell in YELB["cells"]} == {
        "shared": {},
        "frontend": {"edge": "authority", "inner": "authority"},
        "backend": {"inner": "authority"},
    }
    assert [missing_authorities(mesh(*DEPLOYED), cell) for cell in YELB["cells"]] == [{}, {}, {}]


def test_a_cell_that_cannot_read_a_list_waits_and_is_never_without() -> None:
    """The file says where the other cell's lists lie once that one's deploy has printed it."""
    unread = mesh(*DEPLOYED, ("hierarchies.inner.revocation", "crl"))
    read = mesh(*DEPLOYED, *LISTED)

    assert [missing_authorities(unread, cell) for cell in YELB["cells"]] == [
        {},
        {"inner": "authority.lists"},
        {"inner": "authority.lists"},
    ]
    assert [missing_authorities(read, cell) for cell in YELB["cells"]] == [{}, {}, {}]
    for cell in ("frontend", "backend"):
        theirs = in_cell(read, cell).hierarchies["inner"]
        assert theirs.existing
        assert (theirs.existing.lists, theirs.writes_lists) == ((LIST,), True)
    assert in_cell(read, "shared").hierarchies["inner"].existing is None


def test_a_call_over_the_border_is_let_out_and_in_by_address() -> None:
    """Security groups are named in their own VPC alone."""
    whole = mesh()

    assert crossings(whole, "frontend") == (Crossing("ui", ("10.2.0.0/16",), 9443, inwards=False),)
    assert crossings(whole, "backend") == (Crossing("appserver", ("10.1.0.0/16",), 9443, inwards=True),)
    assert crossings(whole, "shared") == ()


def test_a_mesh_without_cells_is_the_whole() -> None:
    """Its hosts are those of its namespace."""
    color = read_mesh(changed()).mesh

    assert color is not None
    assert color.host("colorteller") == f"colorteller.{COLOR['mesh']['namespace']}"


def test_the_http_name_is_that_of_one_cells_namespace() -> None:
    """AWS adds a suffix in one account; the other cells' names stay, and callers ask for the one that is there."""
    whole = mesh(("cells.backend.http_name", "backend.yelb.internal-1a2b"), *DEPLOYED)
    frontend, backend = in_cell(whole, "frontend"), in_cell(whole, "backend")

    assert (frontend.http_name, backend.http_name) == ("frontend.yelb.internal", "backend.yelb.internal-1a2b")
    (where,) = [where for where in proxy_settings(frontend, "ui").discovered_in if where]
    assert where.name == backend.http_name
