"""A CA of the user's is looked at by the deploy that names it, before anything is signed or published."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Literal, Self

import pytest

from evidence.fixtures.pki import Hierarchy
from meshcert.aws.private_ca import PrivateCa
from meshcert.deploying.existing_authorities import existing_properties, refuse_unshared
from meshcert.errors import AccessDenied, AuthorityUnfit, MaterialRejected, RootNotDeclared
from meshcert.issuing.existing_authority import ACM_ACTIONS, SeenAuthority, WantedAuthority, authority_faults
from meshcert.material import split_certificates
from meshcert.publishing.declared_roots import DeclaredRoots, root_digest, roots_entry
from meshcert.publishing.preflight import Expectation, verify_material
from meshcert.san import Dns
from tests.meshcert.publishing.world import BUNDLE, IDENTITY, NAME, ROOT, TRUST

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
        ({"status": "DISABLED"}, "UpdateCertificateAuthority"),
        ({"status": "EXPIRED"}, "the CA is EXPIRED"),
        ({"status": "PENDING_CERTIFICATE"}, "import its certificate"),
        ({"status": "CREATING"}, "Try again in a minute"),
        ({"status": "DELETED"}, "RestoreCertificateAuthority"),
        ({"status": "FAILED"}, "Name another: it signs nothing any more"),
        ({"key_algorithm": "EC_prime256v1"}, "key_algorithm: EC_prime256v1"),
        ({"usage_mode": "SHORT_LIVED_CERTIFICATE"}, "usage: short_lived"),
        ({"not_after": NOW + LEAF / 2}, "would outlive it"),
        ({"acm_actions": frozenset()}, "permit_acm: true"),
        ({"acm_actions": frozenset({"IssueCertificate"})}, "no renewal ever is"),
    ],
    ids=[
        "disabled",
        "expired",
        "pending",
        "new",
        "deleted",
        "failed",
        "another key",
        "another usage",
        "ends too soon",
        "ACM shut out",
        "ACM half let in",
    ],
)
def test_a_ca_that_cannot_sign_what_is_declared_is_refused_with_the_reason(
    world: World, changes: dict[str, Any], words: str
) -> None:
    """CloudFormation shows it, and nothing was published."""
    world.clock.time = NOW
    world.authorities.owned_by_others[ROOT] = SEEN._replace(**changes)

    answer = world.ask("Create", TRUST | {"Existing": existing_properties(WANTED)})

    assert answer["Status"] == "FAILED"
    assert words in answer["Reason"]
    assert world.current(BUNDLE) is None or not world.vault.current_value(BUNDLE).value.count("CERTIFICATE")


class OneAuthority:
    """
    boto3's client, for one CA whose chain is a hierarchy's.

    Args:
        described: Of its description, what is not as usual.
    """

    def __init__(self, hierarchy: Hierarchy, described: dict[str, Any]) -> None:
        self._own, *above = split_certificates(hierarchy.certificate_chain)
        self._above, self._described = "\n".join(above), described

    def describe_certificate_authority(self, **_asked: str) -> dict[str, Any]:
        """What it is."""
        authority: dict[str, Any] = {
            "Status": "ACTIVE",
            "CertificateAuthorityConfiguration": {"KeyAlgorithm": "EC_prime256v1"},
            "NotAfter": NOW + 4 * LEAF,
        }
        return {"CertificateAuthority": authority | self._described}

    def get_certificate_authority_certificate(self, **_asked: str) -> dict[str, str]:
        """Of a root that signs, there is no chain; of a CA without a certificate, neither."""
        assert "Status" not in self._described
        return {"Certificate": self._own, **({"CertificateChain": self._above} if self._above else {})}

    def get_paginator(self, _operation: str) -> Self:
        """Pages of its permissions, of which it has none."""
        return self

    def paginate(self, **_asked: str) -> Self:
        """Likewise."""
        return self

    def build_full_result(self) -> dict[str, Any]:
        """Likewise."""
        return {"Permissions": []}


def answers(hierarchy: Hierarchy, **described: Any) -> PrivateCa:
    """AWS Private CA with one CA, whose root is declared."""
    return PrivateCa(OneAuthority(hierarchy, described), roots=DeclaredRoots(roots_entry(ROOT, hierarchy.root_pem)))


@pytest.mark.parametrize(
    "tiers", [1, 2, 3], ids=["a root that signs", "one below a root", "one below two that are elsewhere"]
)
def test_whatever_stands_above_a_ca_its_leaves_lead_to_the_root_that_is_declared(tiers: Literal[1, 2, 3]) -> None:
    """The root is the last of its chain, or the CA's own certificate."""
    hierarchy, other = Hierarchy(tiers), Hierarchy(tiers)
    ca = answers(hierarchy)
    expected = Expectation("colorteller", (Dns(NAME),), (), ca.root(ROOT), dt.datetime.now(dt.UTC))

    assert ca.root(ROOT).strip() == hierarchy.root_pem.strip()
    assert ca.certificate(ROOT).strip() == hierarchy.issuing_pem.strip()
    verify_material(hierarchy.issue([NAME]), expected)
    with pytest.raises(MaterialRejected):
        verify_material(other.issue([NAME]), expected)


def test_the_first_certificate_of_its_chain_that_ends_is_its_end() -> None:
    """A root that ends before the leaf is no anchor any more, however long the CA itself has."""
    hierarchy = Hierarchy(2)
    hierarchy.reissue_root(not_after=NOW + LEAF / 2)

    seen = answers(hierarchy).seen(ROOT)

    assert seen.not_after == NOW + LEAF / 2
    (ends, *_) = (each for each in authority_faults(WANTED, seen, ACCOUNT, NOW) if "ends on" in each.problem)
    assert "a certificate of 395 days would outlive it" in ends.problem


def test_of_a_ca_without_a_certificate_no_chain_is_asked_for() -> None:
    """AWS has none to show, and would refuse."""
    ca = answers(Hierarchy(), Status="PENDING_CERTIFICATE", NotAfter=None)

    assert ca.seen(ROOT) == SeenAuthority("PENDING_CERTIFICATE", "EC_prime256v1", "GENERAL_PURPOSE", None)


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
        refuse_unshared(
            "hierarchies.front", WANTED.arn, f"arn:aws:secretsmanager:{region}:{OTHER_ACCOUNT}:secret:x", denied
        )
    with pytest.raises(AccessDenied):
        refuse_unshared("hierarchies.front", WANTED.arn, f"arn:aws:secretsmanager:{region}:{owner}:secret:x", denied)
    bounded = AccessDenied(denied.operation, ROOT, denied.code, "because no permissions boundary allows the action")
    with pytest.raises(AccessDenied, match="permissions boundary"):
        refuse_unshared(
            "hierarchies.front", WANTED.arn, f"arn:aws:secretsmanager:{region}:{OTHER_ACCOUNT}:secret:x", bounded
        )


AGEING = SEEN._replace(not_after=NOW + LEAF / 2)
OTHER_CA = WANTED._replace(arn=f"{ROOT}-of-before")


@pytest.mark.parametrize(
    ("old", "seen", "words"),
    [
        ({"Existing": existing_properties(WANTED)}, AGEING, ""),
        (
            {"Existing": existing_properties(WANTED)},
            AGEING._replace(key_algorithm="EC_prime256v1"),
            "key_algorithm: EC",
        ),
        ({"Existing": existing_properties(OTHER_CA)}, AGEING, "would outlive it"),
        ({}, AGEING, "would outlive it"),
    ],
    ids=["the same CA", "the same, with another key", "another CA of yours", "a CA of the mesh's own"],
)
def test_the_end_of_a_ca_is_held_against_those_alone_who_begin_with_it(
    world: World, old: dict[str, Any], seen: SeenAuthority, words: str
) -> None:
    """The first deploy of those that lead away from a CA that ends soon names it once more, in also_trust's bundle."""
    world.clock.time = NOW
    world.authorities.owned_by_others[ROOT] = seen
    now = TRUST | {"Existing": existing_properties(WANTED), "RootCertificateAuthorityArn": [ROOT, f"{ROOT}-2"]}
    world.authorities.hierarchies[f"{ROOT}-2"] = Hierarchy(name="colorteller-2")

    answer = world.deploy_bundle("Update", now, OldResourceProperties=TRUST | old)

    assert answer["Status"] == ("FAILED" if words else "SUCCESS"), answer
    assert words in answer.get("Reason", "")


def test_a_refused_update_goes_back_to_the_ca_that_has_signed_however_soon_it_ends(world: World) -> None:
    """Refused as well, the way back would leave the stack stuck."""
    assert world.ask("Create", IDENTITY)["Status"] == "SUCCESS"
    world.authorities.owned_by_others[ROOT] = SEEN._replace(not_after=world.clock.now() + LEAF / 2)
    before = TRUST | {"Existing": existing_properties(WANTED), "Identities": ["colorteller"]}
    refused = before | {"Existing": existing_properties(OTHER_CA), "RootCertificateAuthorityArn": OTHER_CA.arn}

    forwards = world.deploy_bundle("Update", refused, OldResourceProperties=before)
    back = world.deploy_bundle("Update", before, OldResourceProperties=refused)

    assert f"takes {ROOT} out" in forwards["Reason"]
    assert back["Status"] == "SUCCESS", back


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
