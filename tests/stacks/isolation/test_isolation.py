"""
What of one cell is reachable from another, by every policy of both: nothing but what a table names.

Every role of a cell, whoever holds a policy of the mesh's, the account's administrator, and the services of AWS that
act for the account, against every resource of every other cell, in as many steps as roles can be assumed. No Deny is
counted on, but for that of a role which leaves itself some actions, and a condition only if nobody of another account
can meet it. The widenings show that the check sees.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from tests.meshcert.mesh.cells.yelb import SHARED
from tests.stacks.isolation.cells import changed, deployed, in_one_account
from tests.stacks.isolation.crossings import CROSSINGS, IN_ONE_NAMESPACE, LISTS, OF_PRIVATE_CA, findings, reaches
from tests.stacks.isolation.rights import rights_of
from tests.stacks.isolation.shares import REGISTERED
from tests.stacks.isolation.widenings import IN_NAMESPACE, NARROW, WIDENINGS, Widening

ALL = (*CROSSINGS, *OF_PRIVATE_CA, *LISTS)
KEPT_APART = {"Secret", "Table", "Queue", "Key", "Role", "Function", "Bucket", "Parameter", "LogGroup"}

OF_THE_MESH, SIGNS = "aws:resourcetag/meshcert:mesh", "aws:resourcetag/meshcert:signs"
CALLED = "servicediscovery:namespacename servicediscovery:servicename"
ONLY_IN_ONE_ACCOUNT = {
    ("export", "acm-pca:getcertificateauthoritycertificate", OF_THE_MESH),
    ("verify", "acm-pca:getcertificateauthoritycertificate", OF_THE_MESH),
    ("renewal", "acm-pca:getcertificateauthoritycertificate", OF_THE_MESH),
    ("renewal", "acm-pca:revokecertificate", f"{OF_THE_MESH} {SIGNS}"),
    ("operator", "acm-pca:getcertificateauthoritycertificate", OF_THE_MESH),
    ("operator", "acm-pca:describecertificateauthority", OF_THE_MESH),
    ("ui", "servicediscovery:discoverinstances", CALLED),
    ("ui", "servicediscovery:discoverinstancesrevision", CALLED),
}
"""Rights on CAs of the mesh's own account, by their tags; revoking is for the cell with the CAs."""
ONLY_IN_CELLS = {
    # Each on the CAs that the mesh file names, by their ARNs; a deploy asks whether they can sign, and may for ACM.
    ("export", "acm-pca:getcertificateauthoritycertificate", ""),
    ("export", "acm-pca:describecertificateauthority", ""),
    ("export", "acm-pca:listpermissions", ""),
    # What is published of them is read again: their owner may not answer any more.
    ("export", "secretsmanager:getsecretvalue", ""),
    ("verify", "acm-pca:getcertificateauthoritycertificate", ""),
    ("renewal", "acm-pca:getcertificateauthoritycertificate", ""),
    ("operator", "acm-pca:getcertificateauthoritycertificate", ""),
    # What the caller's tasks ask themselves in one account, they ask as this role.
    ("ui", "sts:assumerole", ""),
    ("cells.discovery", "servicediscovery:discoverinstances", CALLED),
    ("cells.discovery", "servicediscovery:discoverinstancesrevision", CALLED),
}


def test_nothing_of_a_cell_is_reachable_from_another_but_its_ca() -> None:
    """In the example, by both sides' policies and by each side's alone."""
    assert findings(deployed(), CROSSINGS) == []


def test_neither_is_it_with_all_that_a_cell_can_have() -> None:
    """Certificates of Private CA's, a client outside the mesh, fetched secrets, an attached service, a bundle."""
    assert findings(deployed(more=True), ALL) == []


def test_neither_is_it_where_cells_register_in_one_namespace() -> None:
    """No role registers tasks in another cell's service, takes them out or changes it; its owner may."""
    cells = deployed(more=True, one_namespace=True)

    assert findings(cells, (*ALL, *IN_ONE_NAMESPACE)) == []
    # Guards the claim: their services lie in the account that shares the namespace, and are asked for.
    registered = {
        (target.cell, target.account) for cell in cells for target in cell.targets if target.kind == REGISTERED
    }
    assert registered == {("frontend", SHARED), ("backend", SHARED)}


def test_all_that_may_cross_does() -> None:
    """Nobody and no action is in the table for nothing."""
    crossed = {
        (reach.way[-1].name, reach.target.kind, action)
        for one_namespace in (False, True)
        for reach in reaches(deployed(more=True, one_namespace=one_namespace))
        for action in reach.actions
        if reach.crosses
    }

    unused = [
        f"{crossing.why}: {by}, {action}"
        for crossing in (*ALL, *IN_ONE_NAMESPACE)
        for by in crossing.by
        for action in crossing.actions
        if not any(
            fnmatchcase(name, by) and (kind, done) == (crossing.of, action.lower()) for name, kind, done in crossed
        )
    ]
    assert unused == []


def test_roles_of_cells_may_what_they_may_in_one_account_but_for_what_crosses() -> None:
    """
    All cells together: tests/e2e/test_rights.py sees the rights of one account used.

    Those that cells have instead are seen used in evidence/soak/long/test_cells.py.
    """
    cells, alone = rights_of(deployed()), rights_of([in_one_account()])

    assert {right.limited_by for right in alone - cells} == ONLY_IN_ONE_ACCOUNT
    assert {right.limited_by for right in cells - alone} == ONLY_IN_CELLS
    # Guards the sums above: there is as much as services and functions need.
    assert len(cells & alone) > 100


def test_an_attached_service_adds_rights_on_itself_alone() -> None:
    """What the lifecycle does with a service of ours it may do with this one, and read the settings of its starts."""
    backend = deployed(more=True)[-1]

    added = {
        (caller.name.rpartition("-")[2], action, resource.rpartition(":")[2])
        for caller in backend.callers
        for right in caller.rights
        for action in right.actions
        for resource in right.resources
        if "/data/" in resource or (resource.endswith("-routes") and not caller.name.endswith("-export"))
    }

    service, tasks, settings = "service/data/postgres", "task/data/*", "table/meshcert-yelb-routes"
    looking = {("ecs:describeservices", service), ("ecs:listservicedeployments", service), ("ecs:describetasks", tasks)}
    doing = {("ecs:updateservice", service), ("ecs:listtagsforresource", service)}
    assert added == {
        *(("renewal", *right) for right in looking | doing | {("dynamodb:getitem", settings)}),
        *(("operator", *right) for right in looking | {("dynamodb:getitem", settings)}),
        ("postgres.holder", "dynamodb:getitem", settings),
    }


def test_a_sidecar_has_the_rights_of_a_task_and_its_settings() -> None:
    """The same service, of the mesh's own in the example, and attached; no condition of its own is gone."""
    own, attached = (
        {
            (action, right.resources): right.conditions
            for caller in deployed(more=more)[-1].callers
            if f"-{name}" in caller.name
            for right in caller.rights
            for action in right.actions
        }
        for more, name in ((False, "postgres"), (True, "postgres.holder"))
    )

    # Peers are looked up in revocation lists in the latter mesh alone.
    assert sorted(action for action, _ in attached.keys() - own.keys()) == ["dynamodb:getitem", "s3:getobject"]
    assert all(set(own[right]) <= set(attached[right]) for right in own)


def test_every_kind_of_thing_is_tried_from_every_cell() -> None:
    """Guards the claims above: what they try is there, and so is who tries."""
    cells = deployed(more=True)

    assert {target.kind.rpartition("::")[2] for target in cells[-1].targets} >= KEPT_APART
    roles = {caller.name.rpartition("-")[2] for cell in cells for caller in cell.callers}
    assert {"ui", "ui.ex", "execution", "export", "operator", "partner.cl", "postgres.holder"} <= roles
    assert sum(len(cell.callers) for cell in cells) > 30


@pytest.mark.parametrize("widening", WIDENINGS, ids=lambda widening: widening.what)
def test_a_line_that_opens_a_cell_is_seen(widening: Widening) -> None:
    """By whoever it opens it to, and by what."""
    found = findings(changed(deployed(more=True), widening.change), ALL)

    assert [words for words in widening.seen if not any(words in each for each in found)] == [], found[:20]


@pytest.mark.parametrize("widening", IN_NAMESPACE, ids=lambda widening: widening.what)
def test_a_line_that_opens_a_shared_namespace_is_seen(widening: Widening) -> None:
    """The share lets whole accounts in, so a role's own policy is all that keeps it out."""
    found = findings(changed(deployed(more=True, one_namespace=True), widening.change), (*ALL, *IN_ONE_NAMESPACE))

    assert [words for words in widening.seen if not any(words in each for each in found)] == [], found[:20]


@pytest.mark.parametrize("narrow", NARROW, ids=lambda narrow: narrow.what)
def test_a_line_that_opens_no_cell_is_let_be(narrow: Widening) -> None:
    """It stays within its account."""
    assert findings(changed(deployed(more=True), narrow.change), ALL) == []
