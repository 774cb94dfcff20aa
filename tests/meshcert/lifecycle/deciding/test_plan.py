"""
What the lifecycle does next: one row, one case. These tables document :mod:`meshcert.lifecycle.deciding.plan`.

Version 1 is issued, published, proven and served by gateway (``reload``) and teller (``redeploy``) unless a row says
otherwise; 2 and 3 are newer ones. How services take a version over is in ``test_plan_rollout.py``, how a bad one goes
back and a good one is proven in ``test_plan_rollback.py``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from meshcert.issuing.acm import ACM
from meshcert.lifecycle.deciding.findings import Kind, remedies
from meshcert.lifecycle.deciding.plan import plan
from meshcert.lifecycle.deciding.steps import Action
from meshcert.lifecycle.memory import CurrentVersion, Memory
from meshcert.lifecycle.observation import Authority, Missing
from tests.meshcert.lifecycle.deciding.cases import (
    PENDING,
    Case,
    check,
    check_any,
    rows,
)
from tests.meshcert.lifecycle.observations import (
    DAY,
    DENIED,
    HOUR,
    ISSUING,
    LIFETIME,
    MINUTE,
    NOW,
    OTHER_ARN,
    POLICY,
    ROOT,
    SECOND,
    SEED,
    UNAVAILABLE,
    V1,
    V2,
    V3,
    certificate,
    labels,
    look,
    ordered,
    remembers,
    says,
)


def published(version: str, gone: float, arn: str = certificate().reference) -> Memory:
    """A version whose certificate is known."""
    validity = certificate(gone=gone).validity
    assert validity
    return remembers(published=CurrentVersion(version, NOW - 30 * DAY, arn, validity.not_before, validity.not_after))


class TestPublishing:
    """What ACM holds is what proxies read."""

    @rows(
        Case("all is one", look(), Action.NOTHING, "are one"),
        Case(
            "ACM has renewed", look(certificate=certificate(V2, 0.0, renewable=False)), Action.EXPORT, "newer", (), V2
        ),
        Case(
            "the first certificate, over the template's placeholder",
            look(labels=labels(SEED, ""), said={}, memory=remembers(SEED)),
            Action.EXPORT,
            "newer",
            (),
            V1,
        ),
        Case(
            "published, but the export got lost on its way to ACM",
            look(certificate=certificate(renewable=False)),
            Action.EXPORT,
            "exported since",
            (),
            V1,
        ),
        Case(
            "not to be renewed because it is being renewed",
            look(certificate=certificate(renewable=False, renewal=PENDING)),
            Action.WAIT,
            "is renewing",
        ),
        Case(
            "ACM answers with the certificate before",
            look(certificate=certificate(V1, 0.9), labels=labels(V2, V2), said=says(V2, V2), memory=published(V2, 0.0)),
            Action.WAIT,
            "older certificate",
        ),
        Case(
            "a deploy went back to an older certificate",
            look(
                certificate=certificate(V1, 0.3),
                labels=labels(V2, V2),
                said=says(V2, V2),
                memory=published(V2, 0.0, OTHER_ARN),
            ),
            Action.EXPORT,
            "newer",
            (),
            V1,
        ),
        Case(
            "ACM is issuing",
            look(certificate=certificate(status="PENDING_VALIDATION")),
            Action.WAIT,
            "is issuing",
        ),
        Case(
            "deleted by hand",
            look(certificate=Missing("arn:certificate/teller does not exist")),
            Action.NOTHING,
            "",
            (Kind.CERTIFICATE_MISSING,),
        ),
        Case(
            "ACM could not issue it",
            look(certificate=certificate(status="FAILED", failure="PCA_INVALID_STATE")),
            Action.NOTHING,
            "",
            (Kind.CERTIFICATE_UNUSABLE,),
        ),
        Case(
            "revoked",
            look(certificate=certificate(status="REVOKED")),
            Action.NOTHING,
            "",
            (Kind.CERTIFICATE_UNUSABLE,),
        ),
        Case(
            "expired, and ACM's status lags behind",
            look(certificate=certificate(gone=1.0)),
            Action.NOTHING,
            "",
            (Kind.CERTIFICATE_UNUSABLE,),
        ),
        Case(
            "the secret is scheduled for deletion",
            look(labels=Missing("arn:secret is scheduled for deletion")),
            Action.NOTHING,
            "",
            (Kind.SECRET_MISSING,),
        ),
        Case(
            "the secret cannot be looked at",
            look(labels=UNAVAILABLE),
            Action.WAIT,
            "the secret",
            (Kind.AWS_UNAVAILABLE,),
        ),
        Case("the secret may not be looked at", look(labels=DENIED), Action.WAIT, "the secret", (Kind.AWS_DENIED,)),
        Case(
            "ACM cannot be looked at",
            look(certificate=UNAVAILABLE),
            Action.WAIT,
            "the certificate",
            (Kind.AWS_UNAVAILABLE,),
        ),
        Case("ACM may not be looked at", look(certificate=DENIED), Action.WAIT, "the certificate", (Kind.AWS_DENIED,)),
    )
    def test_publishing(self, case: Case) -> None:
        """See the table."""
        check_any(case)


class TestRenewing:
    """ACM renews by itself at 0.848 of a lifetime; asking it is for when it did not."""

    @rows(
        Case("just before our threshold", look(certificate=certificate(gone=0.8799)), Action.NOTHING),
        Case("at our threshold", look(certificate=certificate(gone=0.88)), Action.RENEW, "88%", (), V1),
        Case(
            "ACM is at it, long before our threshold",
            look(certificate=certificate(gone=0.85, renewal=PENDING)),
            Action.WAIT,
            "is renewing",
        ),
        Case(
            "ACM is at it for two weeks without a word",
            look(certificate=certificate(gone=0.89, renewal=PENDING)),
            Action.RENEW,
            "89%",
        ),
        Case(
            "ACM may not use the CA, before our threshold",
            look(certificate=certificate(gone=0.85, renewal=PENDING, reason="PCA_ACCESS_DENIED")),
            Action.WAIT,
            "is renewing",
            (Kind.RENEWAL_FAILING,),
        ),
        Case(
            "ACM may not use the CA",
            look(certificate=certificate(gone=0.88, renewal=PENDING, reason="PCA_ACCESS_DENIED")),
            Action.RENEW,
            "88%",
            (Kind.RENEWAL_FAILING,),
        ),
        Case(
            "ACM gave up without a reason",
            look(certificate=certificate(gone=0.5, renewal="FAILED")),
            Action.NOTHING,
            "",
            (Kind.RENEWAL_FAILING,),
        ),
        Case("renewed once, long ago", look(certificate=certificate(renewal="SUCCESS")), Action.NOTHING),
        Case(
            "asked an hour ago",
            look(certificate=certificate(gone=0.88), memory=remembers(asked=(V1, HOUR))),
            Action.WAIT,
            "was asked",
        ),
        Case(
            "asked three days ago, in vain",
            look(certificate=certificate(gone=0.89), memory=remembers(asked=(V1, 3 * DAY))),
            Action.RENEW,
            "89%",
        ),
        Case(
            "asked for an earlier certificate",
            look(certificate=certificate(gone=0.88), memory=remembers(asked=(V3, HOUR))),
            Action.RENEW,
        ),
        Case(
            "asked on order, and nothing is to be seen of it yet",
            look(certificate=certificate(gone=0.1), memory=remembers(asked=(V1, 10 * MINUTE))),
            Action.WAIT,
            "was asked",
        ),
        Case(
            "not renewable yet",
            look(certificate=certificate(gone=0.9, renewable=False)),
            Action.EXPORT,
            "exported since",
        ),
        Case(
            "not published yet",
            look(certificate=certificate(V2, gone=0.9)),
            Action.EXPORT,
            "newer",
        ),
        Case(
            "the secret cannot be looked at",
            look(certificate=certificate(gone=0.9), labels=UNAVAILABLE),
            Action.WAIT,
            "the secret",
            (Kind.AWS_UNAVAILABLE,),
        ),
        Case("ordered", look(memory=remembers(order=ordered("renew"))), Action.RENEW, "ordered: drill", (), V1),
        Case(
            "ordered a minute after the last one",
            look(memory=remembers(since=MINUTE, order=ordered("renew"))),
            Action.WAIT,
            "too short ago",
        ),
        Case(
            "ordered although it was asked an hour ago",
            look(memory=remembers(asked=(V1, HOUR), order=ordered("renew"))),
            Action.RENEW,
            "ordered",
        ),
        Case(
            "ordered while a newer one waits to be published",
            look(certificate=certificate(V2, 0.0, renewable=False), memory=remembers(order=ordered("renew"))),
            Action.EXPORT,
            "newer",
        ),
    )
    def test_renewing(self, case: Case) -> None:
        """See the table."""
        check(case)

    @rows(
        Case("our clock is 10 minutes behind", look(certificate=certificate(gone=-600 / 34128000)), Action.NOTHING),
        Case("our clock is 10 minutes ahead", look(certificate=certificate(gone=600 / 34128000)), Action.NOTHING),
        Case(
            "NotBefore lies an hour back, the new certificate is a minute old",
            look(certificate=certificate(gone=60 / 34128000, renewal="SUCCESS"), memory=remembers(since=MINUTE)),
            Action.NOTHING,
        ),
    )
    def test_r20_skewed_clocks_and_back_dated_certificates_make_no_loop(self, case: Case) -> None:
        """See the table (step cli#523)."""
        check(case)

    def test_r25_an_old_certificate_is_never_published_as_a_new_one(self) -> None:
        """Asked, answered with 200, and for ten minutes ACM holds the certificate of before: nothing to export."""
        for minutes in range(10):
            seen = look(certificate=certificate(gone=0.88), memory=remembers(asked=(V1, minutes * MINUTE)))
            assert plan(*seen, POLICY).step.action is Action.WAIT

    def test_waits_for_a_renewal_grow(self) -> None:
        """Soon after asking it is looked at every minute, later less often: the event and the sweep come anyway."""
        waits = [
            plan(*look(certificate=certificate(gone=0.88), memory=remembers(asked=(V1, ago))), POLICY).step.again_s
            for ago in (SECOND, HOUR, DAY, 3 * DAY - MINUTE)
        ]

        assert waits == [55, 1800, 43200, 60]


class TestAuthorities:
    """CA certificates age as well, and no event tells."""

    @rows(
        Case(
            "the issuing CA ends before the certificate renewed next would",
            look(authorities=(Authority(ISSUING, NOW + LIFETIME + 200 * DAY), Authority(ROOT, NOW + 3650 * DAY))),
            Action.NOTHING,
            "",
            (Kind.CA_AGEING,),
        ),
        Case(
            "both CAs end before a certificate that is issued now would",
            look(authorities=(Authority(ISSUING, NOW + 300 * DAY), Authority(ROOT, NOW + 301 * DAY))),
            Action.NOTHING,
            "",
            (Kind.CA_TOO_SHORT, Kind.CA_TOO_SHORT),
        ),
        Case(
            "a CA is gone",
            look(authorities=Missing("arn:ca/root does not exist")),
            Action.NOTHING,
            "",
            (Kind.CA_MISSING,),
        ),
        Case(
            "a CA cannot be looked at",
            look(authorities=UNAVAILABLE),
            Action.WAIT,
            "the CA",
            (Kind.AWS_UNAVAILABLE,),
        ),
        Case(
            "CAs hold nothing else up",
            look(certificate=certificate(V2, 0.0), authorities=DENIED),
            Action.EXPORT,
            "newer",
            (Kind.AWS_DENIED,),
        ),
    )
    def test_authorities(self, case: Case) -> None:
        """See the table."""
        check(case)

    @pytest.mark.parametrize(
        ("authorities", "kind", "words"),
        [
            ((Authority(ISSUING, NOW + LIFETIME + 200 * DAY),), Kind.CA_AGEING, "reissue the certificate that ends"),
            ((Authority(ISSUING, NOW + 300 * DAY),), Kind.CA_TOO_SHORT, "now: no certificate"),
            (Missing("arn:ca/issuing does not exist"), Kind.CA_MISSING, "Have its owner take it back"),
            (DENIED, Kind.AWS_DENIED, "share the CA by AWS RAM again"),
        ],
    )
    def test_of_a_ca_of_yours_it_says_what_its_owner_does(self, authorities: Any, kind: Kind, words: str) -> None:
        """Its `reissue` is no field of the mesh file, and no deploy changes it."""
        looked = look(authorities=authorities)
        seen = replace(looked.seen, identity=replace(looked.seen.identity, has_existing_authority=True))

        (finding,) = plan(seen, looked.memory, POLICY).findings

        assert finding.kind is kind
        assert words in finding.remedy
        assert "`reissue`" not in finding.remedy

    def test_the_finding_leaves_most_of_a_lifetime_to_act(self) -> None:
        """A CA that lasts for one more renewal and its certificate is well."""
        far = NOW + LIFETIME * 0.55 + LIFETIME * 1.1
        for margin, expected in ((DAY, ()), (-DAY, (Kind.CA_AGEING,))):
            seen = look(authorities=(Authority(ROOT, far + margin),))
            assert tuple(finding.kind for finding in plan(*seen, POLICY).findings) == expected


def test_every_finding_comes_with_a_remedy() -> None:
    """Alarms and runbook are made of this table."""
    assert set(remedies(ACM)) == set(Kind)
