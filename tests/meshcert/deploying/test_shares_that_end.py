"""The owner of a CA ends its share: what is published stays, and no deploy or way back waits for another account."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.pki import Hierarchy
from meshcert.contract.staging_labels import CURRENT
from meshcert.deploying.existing_authorities import existing_properties
from meshcert.identity import IssuerName
from meshcert.issuing.existing_authority import ACM_ACTIONS, SeenAuthority, WantedAuthority
from meshcert.material.document import read_material, read_trust_bundle, write_material
from meshcert.publishing.declared_bundles import DeclaredBundle, listed_elsewhere
from meshcert.publishing.declared_roots import DeclaredRoots, root_digest, roots_entry
from tests.meshcert.issuing.issuing_world import IssuingWorld
from tests.meshcert.publishing.fakes import UNANSWERED
from tests.meshcert.publishing.world import BUNDLE, IDENTITY, NAME, ROOT, SECRET, TRUST, declared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshcert.material import Material
    from tests.meshcert.publishing.world import World

LEAF = dt.timedelta(days=395)
OTHER = f"{ROOT}-2"
WANTED = WantedAuthority("colorteller", ROOT, "RSA_2048", "GENERAL_PURPOSE", LEAF, for_acm=True)
BEFORE = TRUST | {"Existing": existing_properties(WANTED)}
MOVED = BEFORE | {
    "Existing": existing_properties(WANTED._replace(arn=OTHER)),
    "RootCertificateAuthorityArn": OTHER,
}
NOT_FOR_ACM = BEFORE | {"Existing": existing_properties(WANTED._replace(for_acm=False))}
NEW_BUNDLE = BUNDLE.replace("trust/colorteller", "trust/new")
LISTS = ("http://pki.example/issuing.crl", "http://pki.example/root.crl")


@pytest.fixture
def shared(world: World) -> World:
    """A mesh whose CA another account shares; its bundle and its identity's certificate are published."""
    end = world.clock.now() + 3 * LEAF
    active = SeenAuthority("ACTIVE", "RSA_2048", "GENERAL_PURPOSE", end, frozenset(ACM_ACTIONS))
    world.authorities.hierarchies[OTHER] = Hierarchy(name="another")
    world.authorities.owned_by_others |= {ROOT: active, OTHER: active}
    world.roots = DeclaredRoots(
        " ".join(roots_entry(arn, each.root_pem) for arn, each in world.authorities.hierarchies.items())
    )
    for request in (BEFORE, IDENTITY):
        answer = world.ask("Create", request)
        assert (answer["Status"], "Reason" in answer) == ("SUCCESS", False), answer
    return world


@pytest.mark.parametrize(
    "change",
    [{"Identities": ["another"]}, {"Existing": existing_properties(WANTED._replace(life=LEAF / 2))}],
    ids=["another identity", "shorter certificates"],
)
def test_a_deploy_over_what_is_published_and_its_way_back_succeed_and_say_who_did_not_answer(
    shared: World, change: dict[str, Any]
) -> None:
    """At once: rights that are gone are not waited for."""
    published, since = shared.current(BUNDLE), shared.clock.now()
    shared.authorities.unshared.add(ROOT)

    answers = [
        shared.ask("Update", BEFORE | change, OldResourceProperties=BEFORE),
        shared.ask("Update", BEFORE, OldResourceProperties=BEFORE | change),
        shared.ask("Update", IDENTITY, OldResourceProperties=IDENTITY),
    ]

    assert [each["Status"] for each in answers] == ["SUCCESS"] * 3, answers
    assert all(ROOT in each["Reason"] for each in answers)
    assert (shared.current(BUNDLE), shared.clock.now()) == (published, since)


ENDS: dict[str, tuple[str, dict[str, Any], dict[str, Any], str]] = {
    "the bundle has another identity": ("Update", BEFORE | {"Identities": ["another"]}, BEFORE, "SUCCESS"),
    "the bundle goes back": ("Update", BEFORE, MOVED, "SUCCESS"),
    "the bundle goes": ("Delete", BEFORE, {}, "SUCCESS"),
    "the identity has a job": ("Update", IDENTITY | {"Jobs": ["nightly"]}, IDENTITY, "SUCCESS"),
    "the identity goes": ("Delete", IDENTITY, {}, "SUCCESS"),
    "a bundle begins with it": ("Create", BEFORE | {"Hierarchy": "new", "SecretId": NEW_BUNDLE}, {}, "FAILED"),
    "acm begins to renew under it": ("Update", BEFORE, NOT_FOR_ACM, "FAILED"),
}
"""Requests of CloudFormation, and how each ends while the CA does not answer."""


@pytest.mark.parametrize("why", UNANSWERED)
@pytest.mark.parametrize("request_of", ENDS)
def test_no_request_but_one_that_begins_with_a_ca_waits_for_its_answer(
    shared: World, request_of: str, why: str
) -> None:
    """Whatever the reason."""
    kind, properties, before, expected = ENDS[request_of]
    shared.bundles["new"] = shared.bundles["colorteller"]
    shared.vault.seed(NEW_BUNDLE)
    shared.authorities.silent |= {ROOT: UNANSWERED[why], OTHER: UNANSWERED[why]}
    since = shared.clock.now()

    answer = shared.ask(kind, properties, OldResourceProperties=before, PhysicalResourceId="colorteller")

    assert answer["Status"] == expected, answer
    assert expected == "FAILED" or shared.clock.now() == since


def test_a_ca_that_its_owner_disables_refuses_no_deploy_that_begins_nothing(shared: World) -> None:
    """Only its signature is missing, and what needs it fails by itself; that is told."""
    shared.authorities.owned_by_others[ROOT] = shared.authorities.owned_by_others[ROOT]._replace(status="DISABLED")

    answer = shared.ask("Update", BEFORE | {"Identities": ["another"]}, OldResourceProperties=BEFORE)

    assert answer["Status"] == "SUCCESS", answer
    assert "the CA is DISABLED" in answer["Reason"]


def test_a_move_to_another_ca_is_undone_when_the_first_ones_share_has_ended(shared: World) -> None:
    """The root stands in the version before the current one."""
    before = shared.current(BUNDLE)
    forwards = shared.deploy_bundle("Update", MOVED, OldResourceProperties=BEFORE)
    shared.authorities.unshared.add(ROOT)

    back = shared.deploy_bundle("Update", BEFORE, OldResourceProperties=MOVED)

    assert [forwards["Status"], back["Status"]] == ["SUCCESS", "SUCCESS"], (forwards, back)
    assert shared.current(BUNDLE) == before


def test_a_ca_that_nothing_is_published_of_is_refused_before_anything_is_and_the_way_back_needs_nobody(
    shared: World,
) -> None:
    """Whoever owns either of them."""
    before = shared.current(BUNDLE)
    shared.authorities.unshared |= {ROOT, OTHER}

    forwards = shared.deploy_bundle("Update", MOVED, OldResourceProperties=BEFORE)
    back = shared.deploy_bundle("Update", BEFORE, OldResourceProperties=MOVED)

    assert (forwards["Status"], OTHER in forwards["Reason"]) == ("FAILED", True)
    assert back["Status"] == "SUCCESS", back
    assert shared.current(BUNDLE) == before


def test_a_published_certificate_that_is_no_declared_root_stands_for_no_ca(shared: World) -> None:
    """The digest in the function's environment decides, not what a secret holds."""
    shared.authorities.unshared.add(ROOT)
    shared.roots = DeclaredRoots(roots_entry(ROOT, Hierarchy(name="forged").root_pem))

    answer = shared.ask("Update", BEFORE, OldResourceProperties=BEFORE)

    assert answer["Status"] == "FAILED"


@pytest.mark.parametrize("tiers", [1, 2])
def test_the_cas_that_sign_its_lists_stay_published_too(world: World, tiers: Any) -> None:
    """Each list with its own, as it was."""
    world.authorities.hierarchies[ROOT] = hierarchy = Hierarchy(tiers)
    world.roots = DeclaredRoots(roots_entry(ROOT, hierarchy.root_pem))
    lists = LISTS[-tiers:]
    world.bundles["colorteller"] = DeclaredBundle(declared(ROOT).roots, frozenset({listed_elsewhere(ROOT, lists)}))
    request = TRUST | {"NamedLists": [{"CertificateAuthorityArn": ROOT, "Locations": list(lists)}]}
    assert world.ask("Create", request)["Status"] == "SUCCESS"
    published = read_trust_bundle(world.vault.current_value(BUNDLE).value, BUNDLE)
    world.authorities.unshared.add(ROOT)

    answer = world.ask("Update", request | {"Identities": ["x"]}, OldResourceProperties=request)

    assert answer["Status"] == "SUCCESS", answer
    assert len(published.lists) == tiers
    assert world.current(BUNDLE) == published.version_id


def test_another_ca_under_the_same_root_is_looked_at_although_the_bundle_stays_as_it_is(shared: World) -> None:
    """Its bundle is that of the CA before, which says nothing of the key, the end and the permissions of this one."""
    shared.authorities.hierarchies[OTHER] = shared.authorities.hierarchies[ROOT]
    shared.roots = DeclaredRoots(
        " ".join(roots_entry(arn, each.root_pem) for arn, each in shared.authorities.hierarchies.items())
    )
    before, moved = (
        request | {"DeclaredRoots": {arn: root_digest(shared.hierarchy.root_pem)}, "Identities": ["colorteller"]}
        for request, arn in ((BEFORE, ROOT), (MOVED | {"RootCertificateAuthorityArn": [OTHER, ROOT]}, OTHER))
    )
    seen = shared.authorities.owned_by_others[OTHER]
    shared.authorities.owned_by_others[OTHER] = seen._replace(status="DISABLED")

    forwards = shared.deploy_bundle("Update", moved, OldResourceProperties=before)
    back = shared.deploy_bundle("Update", before, OldResourceProperties=moved)

    assert (forwards["Status"], "the CA is DISABLED" in forwards["Reason"]) == ("FAILED", True), forwards
    assert back["Status"] == "SUCCESS", back


@pytest.mark.parametrize("lists_of_both", [False, True])
def test_a_ca_that_does_not_answer_gets_no_chain_of_a_sibling_under_its_root(
    world: World, *, lists_of_both: bool
) -> None:
    """Its lists would be checked against the sibling's key, and refused, or believed for the sibling's."""
    first_below = Hierarchy(2)
    below = {ROOT: first_below, OTHER: Hierarchy(2, beside=first_below)}
    world.authorities.hierarchies |= below
    world.roots = DeclaredRoots(" ".join(roots_entry(arn, each.root_pem) for arn, each in below.items()))
    named = {arn: [f"http://pki.example/{number}.crl", LISTS[1]] for number, arn in enumerate(below)}

    def asked(*arns: str, listed: Sequence[str]) -> dict[str, Any]:
        entries = frozenset(listed_elsewhere(arn, named[arn]) for arn in listed)
        world.bundles["colorteller"] = DeclaredBundle(declared(*arns).roots, entries)
        return TRUST | {
            "RootCertificateAuthorityArn": list(arns),
            "NamedLists": [{"CertificateAuthorityArn": arn, "Locations": named[arn]} for arn in listed],
        }

    first = asked(OTHER, listed=[OTHER])
    assert world.ask("Create", first)["Status"] == "SUCCESS"
    if lists_of_both:
        both = asked(ROOT, OTHER, listed=[ROOT, OTHER])
        assert world.ask("Update", both, OldResourceProperties=first)["Status"] == "SUCCESS"
    published = world.current(BUNDLE)
    world.authorities.unshared.add(ROOT)

    answer = world.ask("Update", asked(ROOT, OTHER, listed=[ROOT, OTHER]), OldResourceProperties=first)

    assert answer["Status"] == ("SUCCESS" if lists_of_both else "FAILED"), answer
    assert world.current(BUNDLE) == published


@pytest.mark.parametrize("status", ["DISABLED", "unshared"])
@pytest.mark.parametrize("moved", [{"issuer": IssuerName.PRIVATE_CA}, {"root_certificate_authority_arn": OTHER}])
def test_what_acm_renewed_under_a_ca_goes_back_to_it(shared: World, moved: dict[str, Any], status: str) -> None:
    """The identity's row names another issuer or CA by then; the version of before was ACM's, under this one."""
    row = shared.identities.rows["colorteller"]
    shared.identities.rows["colorteller"] = replace(row, **moved)
    _publish(shared, shared.hierarchy.issue([NAME]))
    _silence(shared, status)

    back = shared.ask("Update", BEFORE | {"Identities": ["colorteller"]}, OldResourceProperties=NOT_FOR_ACM)

    assert back["Status"] == "SUCCESS", back
    assert ROOT in back["Reason"] or status in back["Reason"]


@pytest.mark.parametrize("before", ["of another root", "of Private CA"])
def test_acm_that_never_renewed_under_a_ca_does_not_begin_with_it(shared: World, before: str) -> None:
    """What was published before is no certificate that ACM has had signed there."""
    row, now = shared.identities.rows["colorteller"], NOT_FOR_ACM | {"Identities": ["colorteller"]}
    shared.identities.rows["colorteller"] = replace(row, issuer=IssuerName.PRIVATE_CA)
    _publish(shared, Hierarchy(name="another").issue([NAME]))
    if before == "of Private CA":
        own = IssuingWorld()
        own.deploy()
        shared.roots = DeclaredRoots(roots_entry(ROOT, own.authority.root_pem))
        _publish(shared, read_material(own.vault.current_value(own.row.secret_id).value, SECRET))
    _publish(shared, shared.hierarchy.issue([NAME]))
    _silence(shared, "DISABLED")

    forwards = shared.ask("Update", BEFORE | {"Identities": ["colorteller"]}, OldResourceProperties=now)

    assert (forwards["Status"], "the CA is DISABLED" in forwards["Reason"]) == ("FAILED", True), forwards


def _publish(world: World, material: Material) -> None:
    world.vault.put_pending(SECRET, material.version_id, write_material(material, {}))
    world.vault.move_label(SECRET, CURRENT, to=material.version_id, away_from=world.current())


def _silence(world: World, status: str) -> None:
    """The CA's owner ends its share, or disables it."""
    if status == "unshared":
        world.authorities.unshared.add(ROOT)
    world.authorities.owned_by_others[ROOT] = world.authorities.owned_by_others[ROOT]._replace(status=status)
