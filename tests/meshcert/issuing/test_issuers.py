"""Any issuer behind the seam: nothing of deciding knows ACM."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from meshcert.issuing.acm import ACM
from meshcert.issuing.issuer import Abilities, Issuance, IssuanceState, ValidityPeriod
from meshcert.issuing.private_ca import authority_of, is_certificate_of
from meshcert.lifecycle.deciding.findings import Kind, remedies
from meshcert.lifecycle.deciding.plan import Plan, plan
from meshcert.lifecycle.deciding.steps import Action
from meshcert.lifecycle.observation import Authority, Missing
from meshcert.lifecycle.policy import Policy
from tests.meshcert.issuing.own_issuer import LIFETIME, OWN, OWN_POLICY, OwnIssuer
from tests.meshcert.issuing.private_ca import AUTHORITY
from tests.meshcert.lifecycle.observations import ARN, DAY, NOW, ROOT, V1, V2, labels, look, ordered, remembers
from tests.meshcert.lifecycle.world import HOUR, IDENTITY, MINUTE, LifecycleWorld

LIFECYCLE = Path(__file__).parents[3] / "meshcert" / "lifecycle"


def struck(version: str = V1, gone: float = 0.3) -> Issuance:
    """One of the issuer's own certificates, of which a fraction of the lifetime is gone."""
    issued = NOW - LIFETIME * gone
    validity = ValidityPeriod(issued - dt.timedelta(seconds=OWN_POLICY.back_dating_s), issued + LIFETIME)
    return Issuance(
        ARN, IssuanceState.ISSUED, "struck", serial_number="01", validity=validity, version=version, renewable=True
    )


def planned(issuance: Issuance | Missing, *, issuer: Abilities = OWN, **looked: object) -> Plan:
    """What comes next for an identity whose certificate comes from the issuer of the tests' own."""
    seen, memory = look(**looked)  # type: ignore[arg-type]  # as they come
    return plan(replace(seen, issuer=issuer, issuance=issuance), memory, OWN_POLICY)


class TestDeciding:
    """The same decisions, by the issuer's own abilities and in its own words."""

    def test_it_is_asked_at_its_own_fraction(self) -> None:
        """And it is not blamed: it never renews by itself."""
        assert planned(struck(gone=0.65)).step.action is Action.NOTHING
        assert (planned(struck(gone=0.66)).step.action, planned(struck(gone=0.66)).step.why) == (
            Action.RENEW,
            "66% of its lifetime is gone",
        )

    def test_a_new_certificate_is_taken_out_and_never_again(self) -> None:
        """There is no second export that makes it renewable."""
        step = planned(struck(V2, 0.0)).step
        assert (step.action, step.why) == (Action.EXPORT, "the mint holds a newer certificate than is published")
        assert planned(struck(V2, 0.0), labels=labels(V2, V2), memory=remembers(V2)).step.action is not Action.EXPORT

    def test_an_order_is_carried_out(self) -> None:
        """It renews on order."""
        assert planned(struck(), memory=remembers(order=ordered("renew"))).step.action is Action.RENEW

    def test_one_that_cannot_be_asked_is_not_asked(self) -> None:
        """Its certificate is due, and a person is not told that a step fails."""
        for result in (
            planned(replace(struck(gone=0.9), renewable=False)),
            planned(struck(gone=0.9), issuer=replace(OWN, renews_on_order=False)),
        ):
            assert (result.step.action, result.findings) == (Action.NOTHING, ())

    @pytest.mark.parametrize(
        ("issuance", "kind", "remedy"),
        [
            (Missing("gone"), Kind.CERTIFICATE_MISSING, "Strike another"),
            (replace(struck(), state=IssuanceState.UNUSABLE, status="cracked"), Kind.CERTIFICATE_UNUSABLE, "Melt"),
            (replace(struck(), trouble="no silver"), Kind.RENEWAL_FAILING, "Feed the mint"),
        ],
    )
    def test_remedies_are_its_own(self, issuance: Issuance | Missing, kind: Kind, remedy: str) -> None:
        """A person is never sent to ACM for it."""
        (finding,) = planned(issuance).findings
        assert finding.kind is kind
        assert finding.remedy.startswith(remedy)
        assert remedies(OWN)[kind] == finding.remedy

    def test_a_ca_has_to_outlive_the_certificate_that_is_renewed_next(self) -> None:
        """Which is renewed when we ask for it, and lives a day."""
        enough = NOW + LIFETIME * (0.66 - 0.3 + 1 + OWN_POLICY.ca_margin)
        for margin, expected in ((MINUTE, ()), (-MINUTE, (Kind.CA_AGEING,))):
            found = planned(struck(), authorities=(Authority(ROOT, enough + margin),)).findings
            assert tuple(finding.kind for finding in found) == expected


def test_whole_rotations_with_another_issuer() -> None:
    """Three days, a renewal of ours every 16 hours: each certificate taken out once, published, served, proven."""
    world = LifecycleWorld(policy=OWN_POLICY, issuer=OwnIssuer)

    for hour in range(72):
        world.settle()
        world.pass_time(HOUR)
        world.look(by="sweep")
        validity = world.acm.certificates[IDENTITY.certificate_arn].validity
        assert OWN_POLICY.fraction_gone(validity, world.clock.now()) < 0.72, hour
    world.settle()

    assert world.acm.renewals_asked == len(world.acm.serial_numbers) - 1 == 4
    assert world.exporter.exports == world.versions == 5
    assert world.served == {world.issued} == {world.last_good}
    assert not [entry for entry in world.audit.entries if "ACM" in entry.why + entry.outcome]


def test_a_policy_has_its_issuers_fraction_unless_told_otherwise() -> None:
    """What is set in the environment holds for every issuer."""
    assert Policy.of(ACM) == Policy()
    assert Policy(renew_at=0.66) == OWN_POLICY


def test_acms_words_stay_at_acm() -> None:
    """Its statuses and calls are nowhere in deciding, observing and doing."""
    words = ("ACM", "PENDING_", "DescribeCertificate", "RenewalEligibility")
    rooms = ("deciding", "observing", "doing")
    found = [
        f"{path.name}: {word}"
        for room in rooms
        for path in sorted((LIFECYCLE / room).glob("*.py"))
        for word in words
        if word in path.read_text()
    ]
    assert found == []


def test_what_acm_can() -> None:
    """As its user guide says."""
    assert (ACM.renews_on_order, ACM.exports_again, ACM.revokes) == (True, True, False)
    assert ACM.fractions.renews_itself == pytest.approx((395 * DAY - 60 * DAY) / (395 * DAY))
    assert ACM.fractions.own_renewal < ACM.fractions.warning < ACM.fractions.page


CA = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/a"


@pytest.mark.parametrize(
    ("reference", "authority"),
    [(f"{CA}/certificate/0b", CA), (CA, ""), ("arn:aws:acm:eu-west-1:111122223333:certificate/teller", ""), ("", "")],
    ids=["Private CA's", "a CA", "ACM's", "none"],
)
def test_private_cas_name_of_a_certificate_says_who_signed_it(reference: str, authority: str) -> None:
    """ACM's does not."""
    assert authority_of(reference) == authority


@pytest.mark.parametrize("number", ["0e8cbd2b", "E8CBD2B", "244104491"])
def test_a_certificate_of_private_ca_is_known_by_its_serial_number(number: str) -> None:
    """As hex with or without zeros, or as a decimal; of that CA alone."""
    reference = f"{AUTHORITY}/certificate/{number}"

    assert is_certificate_of(reference, AUTHORITY, "0e8cbd2b")
    assert not is_certificate_of(reference, f"{AUTHORITY}-2", "0e8cbd2b")
    assert not is_certificate_of(reference, AUTHORITY, "0e8cbd2c")
    assert not is_certificate_of("", AUTHORITY, "0e8cbd2b")
