"""A CA is replaced in three deploys; what would cut peers off is refused before anything is touched."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.pki import Hierarchy
from meshcert.errors import SecretMalformed
from meshcert.material import ListSource, join_certificates, split_certificates
from meshcert.material.document import read_trust_bundle
from tests.meshcert.publishing.world import BUNDLE, CERTIFICATE, IDENTITY, NAME, ROOT, SECRET, TRUST

if TYPE_CHECKING:
    from tests.meshcert.publishing.world import World

BUCKET = "meshcert-color-crl-111122223333-eu-west-1"
OTHER_ROOT = f"{ROOT}-2"
MOVED_CERTIFICATE = f"{CERTIFICATE}-2"

BEFORE = IDENTITY | {"TrustedByPeers": [ROOT]}
ADDED = IDENTITY | {"TrustedByPeers": [ROOT, OTHER_ROOT]}
MOVED = ADDED | {
    "CertificateArn": MOVED_CERTIFICATE,
    "RootCertificateAuthorityArn": OTHER_ROOT,
    "CertificateAuthorityArns": [OTHER_ROOT],
}
DROPPED = MOVED | {"TrustedByPeers": [OTHER_ROOT]}


@pytest.fixture
def other(world: World) -> Hierarchy:
    """Another hierarchy that has signed the identity's names, too; the identity is deployed under the first."""
    hierarchy = Hierarchy(tiers=1, name="colorteller-2")
    world.authorities.hierarchies[OTHER_ROOT] = hierarchy
    world.certificates.issue(MOVED_CERTIFICATE, hierarchy.issue([NAME]))
    assert world.ask("Create", BEFORE)["Status"] == "SUCCESS"
    return hierarchy


def _update(world: World, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return world.ask("Update", new, OldResourceProperties=old, PhysicalResourceId="colorteller")


def test_three_deploys_replace_a_root(world: World, other: Hierarchy) -> None:
    """Add, move, drop: after the second the secret holds what the new CA has signed."""
    before = world.current(SECRET)

    answers = [_update(world, *step)["Status"] for step in ((BEFORE, ADDED), (ADDED, MOVED), (MOVED, DROPPED))]

    assert answers == ["SUCCESS"] * 3
    assert world.current(SECRET) != before
    assert world.vault.current_value(SECRET).value.count(other.root_pem.splitlines()[1]) == 1
    assert world.identities.rows["colorteller"].root_certificate_authority_arn == OTHER_ROOT


def test_a_bundle_holds_the_roots_of_both_hierarchies(world: World, other: Hierarchy) -> None:
    """The list that CloudFormation hands over becomes one bundle, in its order."""
    answered = world.deploy_bundle("Create", TRUST | {"RootCertificateAuthorityArn": [ROOT, OTHER_ROOT]})

    assert answered["Status"] == "SUCCESS"
    bundle = read_trust_bundle(world.vault.current_value(BUNDLE).value, BUNDLE)
    assert split_certificates(bundle.certificates) == split_certificates(
        join_certificates([world.hierarchy.root_pem, other.root_pem])
    )


@pytest.mark.usefixtures("other")
@pytest.mark.parametrize(
    ("old", "new", "untrusted"),
    [
        pytest.param(BEFORE, MOVED, OTHER_ROOT, id="added and moved in one deploy"),
        pytest.param(ADDED, DROPPED, ROOT, id="moved and dropped in one deploy"),
        pytest.param(BEFORE, DROPPED, OTHER_ROOT, id="all in one deploy"),
        pytest.param(IDENTITY, MOVED, OTHER_ROOT, id="added and moved, deployed last by stacks of before"),
    ],
)
def test_steps_done_at_once_are_refused(world: World, old: dict[str, Any], new: dict[str, Any], untrusted: str) -> None:
    """The reason names the root that a peer would lack, and spells the three steps out; nothing was touched."""
    before = world.current(SECRET), dict(world.identities.rows)

    answered = _update(world, old, new)

    assert answered["Status"] == "FAILED"
    for words in (f"do not trust {untrusted} both before and after", "also_trust", "then move identities", "trust.md"):
        assert words in answered["Reason"]
    assert (world.current(SECRET), world.identities.rows) == before


@pytest.mark.usefixtures("other")
def test_the_rollback_of_a_refused_move_passes(world: World) -> None:
    """CloudFormation asks for the state of before; refusing that would leave the stack stuck."""
    _update(world, BEFORE, MOVED)

    assert _update(world, MOVED, BEFORE)["Status"] == "SUCCESS"


@pytest.mark.usefixtures("other")
def test_the_rollback_of_a_move_publishes_the_certificate_of_before(world: World) -> None:
    """Another resource of the same deploy failed; peers trust both roots at that time."""
    before = world.current(SECRET)
    _update(world, ADDED, MOVED)

    assert _update(world, MOVED, ADDED)["Status"] == "SUCCESS"
    assert world.current(SECRET) == before


@pytest.mark.usefixtures("other")
def test_an_identity_that_no_peer_checks_moves_in_one_deploy(world: World) -> None:
    """A gateway's own listener is for clients from outside: nobody in the mesh needs its root."""
    unchecked: dict[str, Any] = {"TrustedByPeers": []}

    assert _update(world, BEFORE | unchecked, MOVED | unchecked)["Status"] == "SUCCESS"


CHECKED: dict[str, Any] = {"Identities": ["colorteller"]}
BOTH: dict[str, Any] = {"RootCertificateAuthorityArn": [ROOT, OTHER_ROOT]}


@pytest.mark.usefixtures("other")
def test_a_root_stays_in_the_bundle_while_running_tasks_need_it(world: World) -> None:
    """Everybody trusts the new hierarchy by its own name now, but tasks that run still read the old bundle."""
    world.deploy_bundle("Create", TRUST | BOTH | CHECKED)
    _update(world, ADDED, MOVED)
    before = world.current(BUNDLE)

    answered = world.deploy_bundle("Update", TRUST | {"Identities": []}, OldResourceProperties=TRUST | BOTH | CHECKED)

    assert answered["Status"] == "FAILED"
    for words in (f"takes {OTHER_ROOT} out", "identity colorteller", "First deploy with also_trust as it was"):
        assert words in answered["Reason"]
    assert world.current(BUNDLE) == before


@pytest.mark.usefixtures("other")
@pytest.mark.parametrize("moved", [False, True])
def test_a_root_that_no_running_task_needs_goes(world: World, *, moved: bool) -> None:
    """Nobody has moved to it, as in the rollback of a first step; or nobody reads the bundle any more."""
    world.deploy_bundle("Create", TRUST | BOTH | CHECKED)
    if moved:
        _update(world, ADDED, MOVED)
    read_by = {"Identities": []} if moved else CHECKED

    answered = world.deploy_bundle("Update", TRUST | read_by, OldResourceProperties=TRUST | BOTH | read_by)

    assert answered["Status"] == "SUCCESS"
    assert world.current(BUNDLE) == world.hierarchy.trust_bundle.version_id


def _lists(*arns: str) -> dict[str, Any]:
    return {"RevocationLists": [{"Bucket": BUCKET, "CertificateAuthorityArn": arn} for arn in arns]}


def test_a_bundle_says_where_revocation_lists_lie_and_who_signs_them(world: World, other: Hierarchy) -> None:
    """The key is the one AWS Private CA writes to: the id in the CA's ARN."""
    answered = world.deploy_bundle("Create", TRUST | _lists(ROOT, OTHER_ROOT))

    assert answered["Status"] == "SUCCESS"
    bundle = read_trust_bundle(world.vault.current_value(BUNDLE).value, BUNDLE)
    assert bundle.lists == (
        ListSource(BUCKET, "crl/teller-root.crl", world.hierarchy.root_pem),
        ListSource(BUCKET, "crl/teller-root-2.crl", other.root_pem),
    )
    assert bundle.version_id == world.current(BUNDLE)


def test_lists_more_are_a_new_version_of_the_bundle(world: World) -> None:
    """Proxies look at the version alone; without lists it is the one it always was."""
    versions = []
    for more in ({}, _lists(ROOT), {}):
        world.deploy_bundle("Create", TRUST | more)
        versions.append(world.current(BUNDLE))

    assert versions[0] == versions[2] == world.hierarchy.trust_bundle.version_id
    assert versions[1] != versions[0]
    assert "RevocationLists" not in world.vault.current_value(BUNDLE).value


@pytest.mark.parametrize("value", ["x", ["x"], [{"Bucket": "b"}], [{"Bucket": "", "CertificateAuthorityArn": "a"}]])
def test_lists_of_another_shape_are_refused(world: World, value: object) -> None:
    """An older stack with a newer function, or the other way round."""
    answered = world.ask("Create", TRUST | {"RevocationLists": value})

    assert "RevocationLists: it is no list of Bucket and CertificateAuthorityArn" in answered["Reason"]


@pytest.mark.parametrize(
    "lists", ["x", 1, [1], [{}], [{"Bucket": "b/../c d", "Key": "k", "Authority": "a"}], {"Bucket": "b"}]
)
def test_a_secret_that_says_it_wrongly_is_malformed(world: World, lists: object) -> None:
    """The proxy refuses it, and the error quotes nothing."""
    value = {"Schema": 1, "TrustBundle": world.hierarchy.root_pem, "RevocationLists": lists}

    with pytest.raises(SecretMalformed, match="RevocationLists is no list of"):
        read_trust_bundle(json.dumps(value), BUNDLE)
