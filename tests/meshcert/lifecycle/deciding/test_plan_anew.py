"""Renewals at an issuer that needs nothing of the certificate before: whatever became of that, another one is asked."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from meshcert.issuing.issuer import Issuance, IssuanceState, ValidityPeriod
from meshcert.issuing.private_ca import PRIVATE_CA
from meshcert.lifecycle.deciding.findings import Kind
from meshcert.lifecycle.deciding.plan import Plan, plan
from meshcert.lifecycle.deciding.renewing import ISSUED_WITHIN, due_fraction
from meshcert.lifecycle.deciding.steps import Action
from meshcert.lifecycle.memory import CurrentVersion, Failure, Memory
from meshcert.lifecycle.observation import Missing, Unknown
from meshcert.lifecycle.policy import Policy
from tests.meshcert.lifecycle.observations import NOW, V1, V2, labels, look, remembers

LIFE = dt.timedelta(days=1)
POLICY = Policy()
ARN = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/a/certificate/0b"


def issued(version: str = V1, gone: float = 0.3, state: IssuanceState = IssuanceState.ISSUED) -> Issuance:
    """A certificate of a day, of which a fraction of the life is gone."""
    at = NOW - LIFE * gone
    validity = ValidityPeriod(at - dt.timedelta(seconds=POLICY.back_dating_s), at + LIFE)
    if state is not IssuanceState.ISSUED:
        return Issuance(ARN, state, str(state), renewable=state is IssuanceState.UNUSABLE)
    return Issuance(ARN, state, "ISSUED", serial_number="0b", validity=validity, version=version, renewable=True)


def planned(
    certificate: Issuance | Missing | Unknown, memory: Memory | None = None, *, by_deploy: bool = False
) -> Plan:
    """What comes next; version 1 is published, served and proven."""
    seen, remembered = look(labels=labels(V1, V1), memory=memory)
    identity = replace(seen.identity, certificate_arn=ARN, issued_by_deploy=by_deploy)
    return plan(replace(seen, issuer=PRIVATE_CA, issuance=certificate, identity=identity), remembered, POLICY)


def published(gone: float = 0.3) -> CurrentVersion:
    """Version 1, of which a fraction of the life is gone."""
    at = NOW - LIFE * gone
    return CurrentVersion(V1, at, ARN, at - dt.timedelta(seconds=POLICY.back_dating_s), at + LIFE)


@pytest.mark.parametrize("by_deploy", [False, True])
def test_it_is_due_at_a_moment_of_its_own_and_waits_for_it_in_the_index(*, by_deploy: bool) -> None:
    """Settled until then: no tick looks at it in vain."""
    before, after = (planned(issued(gone=gone), by_deploy=by_deploy) for gone in (0.0, 0.67))

    due = before.due_at
    assert before.settled
    assert due is not None
    assert NOW < due < NOW + LIFE * 2 / 3
    assert by_deploy or due >= NOW + LIFE / 2
    assert (after.step.action, after.step.version) == (Action.RENEW, V1)


def test_the_moment_is_the_same_at_every_look() -> None:
    """One draw for each identity and serial number."""
    moments = [planned(issued(gone=gone)).due_at for gone in (0.0, 0.1, 0.4)]
    offsets = [moment - (NOW - LIFE * gone) for moment, gone in zip(moments, (0.0, 0.1, 0.4), strict=True) if moment]

    assert max(offsets) - min(offsets) < dt.timedelta(milliseconds=1)
    seen, _ = look()
    assert due_fraction(seen, issued(), POLICY) == POLICY.renew_at


@pytest.mark.parametrize(
    ("certificate", "why"),
    [
        (issued(gone=1.5), "it has expired"),
        (issued(state=IssuanceState.UNUSABLE), "it is unusable"),
        (Missing("arn"), "there is none"),
        (issued(V2, 0.6), ""),
    ],
    ids=["expired", "failed", "gone", "never published"],
)
def test_nothing_that_became_of_the_last_one_is_in_the_way(certificate: Issuance | Missing, why: str) -> None:
    """A person is told, and another one is asked for; one that can be published still is."""
    plan = planned(certificate)

    if why:
        assert (plan.step.action, plan.step.why) == (Action.RENEW, why)
        assert {finding.kind for finding in plan.findings} & {Kind.CERTIFICATE_UNUSABLE, Kind.CERTIFICATE_MISSING}
    else:
        assert plan.step.action is Action.EXPORT


def test_one_that_cannot_be_published_is_given_up_at_half_of_its_life() -> None:
    """Its key may be gone; until then, publishing it is tried again."""
    failing = {"export": Failure(V2, "CertificateRequestInvalid: gone", NOW, NOW, count=3, refused=True)}

    early = planned(issued(V2, 0.4), replace(remembers(), failures=failing))
    late = planned(issued(V2, 0.51), replace(remembers(), failures=failing))

    assert early.step.action is not Action.RENEW
    assert (late.step.action, late.step.version) == (Action.RENEW, V2)


@pytest.mark.parametrize(
    ("waited", "life_is_known", "expected"),
    [
        (dt.timedelta(minutes=59), False, Action.WAIT),
        (ISSUED_WITHIN, False, Action.RENEW),
        (dt.timedelta(minutes=59), True, Action.WAIT),
        (dt.timedelta(minutes=63), True, Action.RENEW),
    ],
)
def test_one_that_is_not_issued_for_long_is_asked_for_anew(
    waited: dt.timedelta, expected: Action, *, life_is_known: bool
) -> None:
    """Private CA answers with an ARN at once, and may never have the certificate."""
    memory = remembers(asked=(V1, waited), published=published() if life_is_known else None)

    assert planned(issued(state=IssuanceState.PENDING), memory).step.action is expected


def test_a_refused_renewal_is_tried_again_while_life_remains() -> None:
    """Not in an hour, then two, then four, as for a life of a year: never more than a quarter of what remains."""
    failing = {"renew": Failure(V1, "AwsRefused: disabled", NOW - LIFE / 10, NOW, count=6, refused=True)}

    waiting = planned(issued(gone=0.9), replace(remembers(published=published(0.9)), failures=failing))

    (again_s,) = [wait.again_s for wait in waiting.waits if wait.again_s]
    assert 0 < again_s <= (LIFE * 0.1 / 4).total_seconds()


def test_what_cannot_be_seen_is_not_renewed() -> None:
    """The next look knows more."""
    assert planned(Unknown("throttled")).step.action is Action.WAIT
