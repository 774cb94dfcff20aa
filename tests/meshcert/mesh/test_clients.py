"""Clients outside the mesh: who may fetch an identity's key."""

from __future__ import annotations

import pytest

from meshcert.mesh import read_mesh
from meshcert.mesh.checks.findings import findings_of
from tests.meshcert.mesh.mesh_slips import Slip, assert_found_alone, changed, faults_of, identity
from tests.stacks.synthesis import ROOT

PARTNER = "identities.partner"
PRINCIPAL = "arn:aws:iam::111122223333:role/batch"
DECLARED = identity("colorgateway", "partner.example.com")


@pytest.mark.parametrize(
    "principal",
    ["*", "arn:aws:iam::111122223333:root", "111122223333", "ecs.amazonaws.com", "arn:aws:iam::111122223333:role/*"],
)
def test_a_key_is_given_to_roles_and_users_alone(principal: str) -> None:
    """A whole account, a service and a wildcard are more than anybody meant."""
    (fault,) = faults_of(changed((PARTNER, DECLARED | {"client": {"principals": [PRINCIPAL, principal]}})))

    assert (fault.place, "no key" in fault.remedy) == (f"{PARTNER}.client.principals[1]", True)


def test_a_clients_role_may_be_assumed_by_several_and_reads_roots() -> None:
    """Of hierarchies of this file."""
    users = [PRINCIPAL, "arn:aws:iam::444455556666:user/partners/anne"]
    client = {"principals": users, "trust": ["colorgateway"]}
    assert not faults_of(changed((PARTNER, DECLARED | {"client": client})))

    (fault,) = faults_of(changed((PARTNER, DECLARED | {"client": client | {"trust": ["nobody"]}})))
    assert fault.place == f"{PARTNER}.client.trust[0]"


@pytest.mark.parametrize(("path", "told"), [("", 0), ("p" * 200 + "/", 1)])
def test_principals_that_need_a_raised_quota_are_a_finding(path: str, told: int) -> None:
    """Who had it raised deploys on; for anybody else IAM would refuse the role in the middle of a deploy."""
    users = [f"arn:aws:iam::444455556666:user/{path}{number}" for number in range(10)]
    reading = read_mesh(changed((PARTNER, DECLARED | {"client": {"principals": users}})))
    assert reading.mesh, reading.faults

    places = [finding.place for finding in findings_of(reading.mesh, ROOT)]

    assert places.count(f"{PARTNER}.client.principals") == told


def test_nobody_fetches_the_key_of_a_service() -> None:
    """A key is in one place, so that a leak outside the mesh stops no service."""
    assert_found_alone(
        Slip(
            "identities.colorteller.client",
            {"principals": [PRINCIPAL]},
            "service colorteller presents colorteller",
            "an identity of its own",
        )
    )
