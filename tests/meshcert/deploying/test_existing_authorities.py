"""A CA of the user's is looked at by the deploy that names it, before anything is signed or published."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.pki import Hierarchy
from meshcert.deploying.existing_authorities import existing_properties, refuse_unshared
from meshcert.errors import AccessDenied, AuthorityUnfit, RootNotDeclared
from meshcert.issuing.existing_authority import ACM_ACTIONS, SeenAuthority, WantedAuthority, authority_faults
from meshcert.publishing.declared_roots import DeclaredRoots, root_digest, roots_entry
from tests.meshcert.publishing.world import BUNDLE, IDENTITY, ROOT, TRUST

if TYPE_CHECKING:
    from tests.meshcert.publishing.world import World

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
LEAF = dt.timedelta(days=395)
WANTED = WantedAuthority("colorteller", ROOT, "RSA_2048", "GENERAL_PURPOSE", LEAF, for_acm=True)
SEEN = SeenAuthority("ACTIVE", "RSA_2048", "GENERAL_PURPOSE", NOW + 3 * LEAF, frozenset(ACM_ACTIONS))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": "DISABLED"}, "it is DISABLED"),
        ({"status": "EXPIRED"}, "EXPIRED"),
        ({"key_algorithm": "EC_prime256v1"}, "key_algorithm: EC_prime256v1"),
        ({"usage_mode": "SHORT_LIVED_CERTIFICATE"}, "usage: short_lived"),
        ({"not_after": NOW + LEAF / 2}, "would outlive it"),
        ({"acm_actions": frozenset()}, "permit_acm: true"),
        ({"acm_actions": frozenset({"IssueCertificate"})}, "no renewal ever is"),
    ],
    ids=["disabled", "expired", "another key", "another usage", "ends too soon", "ACM shut out", "ACM half let in"],
)
def test_a_ca_that_cannot_sign_what_is_declared_is_refused_with_the_reason(
    world: World, changes: dict[str, Any], words: str
) -> None:
    """CloudFormation shows it, and nothing was published."""
    world.clock.time = NOW
    world.authorities.owned_by_others[ROOT] = SEEN._replace(**changes)

    answer = world.ask("Create", TRUST | {"Existing": existing_properties(WANTED)})

    assert answer["Status"] == "FAILED"
    assert words.replace("it is DISABLED", "the CA is DISABLED") in answer["Reason"]
    assert world.current(BUNDLE) is None or not world.vault.current_value(BUNDLE).value.count("CERTIFICATE")


def test_a_ca_of_another_region_is_refused_before_it_is_asked_for(world: World) -> None:
    """There is no such CA here, and that would not say why."""
    wanted = WANTED._replace(arn=ROOT.replace("eu-west-1", "us-east-1"))

    answer = world.ask("Create", TRUST | {"Existing": existing_properties(wanted)})

    assert "the CA is in us-east-1, and the mesh in eu-west-1" in answer["Reason"]


def test_a_ca_that_nobody_shares_is_told_as_missing(world: World) -> None:
    """The deploy ends with it."""
    answer = world.ask("Create", TRUST | {"Existing": existing_properties(WANTED)})

    assert (answer["Status"], ROOT in answer["Reason"]) == ("FAILED", True)


def test_a_ca_of_another_account_that_is_not_shared_is_refused_with_what_to_do() -> None:
    """AWS says who may not do what; this says who has to do what. A right of one's own that is missing stays that."""
    denied = AccessDenied("acm-pca:DescribeCertificateAuthority", ROOT, "AccessDeniedException", "not authorized")
    region, owner = ROOT.split(":")[3:5]

    with pytest.raises(AuthorityUnfit, match=rf"{owner} does not share the CA with account {OTHER_ACCOUNT}.*AWS RAM"):
        refuse_unshared(WANTED, f"arn:aws:secretsmanager:{region}:{OTHER_ACCOUNT}:secret:x", denied)
    with pytest.raises(AccessDenied):
        refuse_unshared(WANTED, f"arn:aws:secretsmanager:{region}:{owner}:secret:x", denied)


def test_properties_that_make_no_sense_are_refused(world: World) -> None:
    """Only the stacks write them."""
    answer = world.ask("Create", TRUST | {"Existing": {"Arn": ROOT}})

    assert "does not say what a CA has to be" in answer["Reason"]


def test_a_ca_that_is_as_declared_has_its_bundle_published(world: World) -> None:
    """And is asked for nothing else."""
    world.clock.time = dt.datetime.now(dt.UTC)
    world.authorities.owned_by_others[ROOT] = SEEN._replace(not_after=world.clock.time + 3 * LEAF)

    answer = world.ask("Create", TRUST | {"Existing": existing_properties(WANTED)})

    assert answer["Status"] == "SUCCESS", answer


@pytest.mark.parametrize(
    ("wanted", "account"),
    [(WANTED, OTHER_ACCOUNT), (WANTED._replace(for_acm=False), ACCOUNT)],
    ids=["shared by another account", "ACM issues nothing"],
)
def test_acm_needs_the_permission_in_the_owners_account_alone(wanted: WantedAuthority, account: str) -> None:
    """Elsewhere it has its service-linked role."""
    assert list(authority_faults(wanted, SEEN._replace(acm_actions=frozenset()), account, NOW)) == []


def test_a_chain_that_leads_to_another_root_is_refused() -> None:
    """Whoever owns the CA can have it signed under another root; peers trust the declared one."""
    declared, other = Hierarchy(), Hierarchy(name="another")
    roots = DeclaredRoots(roots_entry(ROOT, declared.root_pem))

    roots.require(ROOT, declared.root_pem)
    declared.reissue_root()
    roots.require(ROOT, declared.root_pem)
    for root in (other.root_pem, "no certificate"):
        with pytest.raises(RootNotDeclared, match="nothing was published"):
            roots.require(ROOT, root)
    roots.require(f"{ROOT}-of-the-mesh", other.root_pem)


@pytest.mark.parametrize(("digest", "status"), [("other", "FAILED"), ("same", "SUCCESS")])
def test_another_root_under_the_same_ca_is_refused_while_certificates_lead_to_it(
    world: World, digest: str, status: str
) -> None:
    """Tasks serve the old chain until they have a new one."""
    assert world.ask("Create", IDENTITY)["Status"] == "SUCCESS"
    now = root_digest(world.hierarchy.root_pem)
    before = TRUST | {"Identities": ["colorteller"], "DeclaredRoots": {ROOT: now if digest == "same" else "0" * 64}}

    answer = world.ask("Update", before | {"DeclaredRoots": {ROOT: now}}, OldResourceProperties=before)

    assert answer["Status"] == status, answer
    assert status == "SUCCESS" or f"the root of {ROOT}" in answer["Reason"]
