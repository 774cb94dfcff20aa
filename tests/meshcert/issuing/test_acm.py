"""ACM behind the seam: what its descriptions mean, and how two questions make one answer."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from meshcert.aws.renewals import AcmRenewals
from meshcert.errors import AwsUnavailable, CertificatePending
from meshcert.issuing.acm import RENEWAL_REMEDIES, SHARED_AGAIN, AcmIssuer, HeldCertificate
from meshcert.issuing.issuer import Issuance, IssuanceState, ValidityPeriod
from tests.meshcert.aws.test_errors import Answers

if TYPE_CHECKING:
    from collections.abc import Mapping

T0 = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


def observed(client: Answers, known: Mapping[str, str]) -> Issuance:
    """What ACM's answers mean."""
    return AcmIssuer(AcmRenewals(client)).observe("arn:c", known)


class TestDescriptions:
    """DescribeCertificate."""

    def test_everything_acm_says_of_a_renewal_that_does_not_come_is_kept(self) -> None:
        """Times in UTC, the serial number as Envoy shows it."""
        cest = dt.timezone(dt.timedelta(hours=2))
        description = {
            "Status": "ISSUED",
            "Serial": "00:8A:0b:Cc",
            "NotBefore": T0.astimezone(cest),
            "NotAfter": (T0 + MINUTE).astimezone(cest),
            "RenewalEligibility": "ELIGIBLE",
            "RenewalSummary": {
                "RenewalStatus": "PENDING_AUTO_RENEWAL",
                "RenewalStatusReason": "PCA_ACCESS_DENIED",
                "UpdatedAt": T0,
            },
        }

        seen = observed(Answers(describe_certificate={"Certificate": description}), {"8a0bcc": "v1"})

        assert seen == Issuance(
            "arn:c",
            IssuanceState.ISSUED,
            "ISSUED",
            serial_number="8a0bcc",
            validity=ValidityPeriod(T0, T0 + MINUTE),
            version="v1",
            renewable=True,
            renewing=True,
            trouble=f"PCA_ACCESS_DENIED ({RENEWAL_REMEDIES['PCA_ACCESS_DENIED']})",
        )
        assert seen.validity is not None
        assert seen.validity.not_after.tzinfo is dt.UTC

    @pytest.mark.parametrize(
        ("shown", "expected"),
        [("0a:0b", "0a0b"), ("00:00:0a", "0a"), ("a:0b", "0a0b"), ("7F", "7f"), ("", "")],
    )
    def test_serial_numbers_are_whole_bytes(self, shown: str, expected: str) -> None:
        """The same number is the same text, however it is encoded."""
        client = Answers(describe_certificate={"Certificate": {"Status": "ISSUED", "Serial": shown}})

        assert observed(client, {expected: "v1"}).serial_number == expected

    def test_a_certificate_that_was_never_issued_says_why(self) -> None:
        """Everything else is empty."""
        client = Answers(
            describe_certificate={"Certificate": {"Status": "FAILED", "FailureReason": "PCA_INVALID_DURATION"}}
        )

        expected = Issuance("arn:c", IssuanceState.UNUSABLE, "FAILED", "PCA_INVALID_DURATION")
        assert observed(client, {}) == expected

    @pytest.mark.parametrize(
        ("status", "reason", "trouble"),
        [
            ("FAILED", "", "it gave no reason"),
            ("PENDING_AUTO_RENEWAL", "PCA_UNHEARD_OF", "PCA_UNHEARD_OF"),
            ("SUCCESS", "PCA_ACCESS_DENIED", ""),
            ("PENDING_AUTO_RENEWAL", "", ""),
        ],
    )
    def test_a_renewal_that_fails_is_told_with_its_remedy(self, status: str, reason: str, trouble: str) -> None:
        """A reason that nobody knows is told as it is; one that is of the past is not."""
        summary = {"RenewalStatus": status, "RenewalStatusReason": reason}
        client = Answers(describe_certificate={"Certificate": {"Status": "ISSUED", "RenewalSummary": summary}})

        assert observed(client, {"": "v1"}).trouble == trouble

    def test_a_ca_of_another_account_has_to_be_shared_again(self) -> None:
        """ACM's permission on it would not help; whose account it is, the ARN says."""
        description = {
            "Status": "ISSUED",
            "CertificateArn": "arn:aws:acm:eu-west-1:222233334444:certificate/c",
            "CertificateAuthorityArn": "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/a",
            "RenewalSummary": {"RenewalStatus": "PENDING_AUTO_RENEWAL", "RenewalStatusReason": "PCA_ACCESS_DENIED"},
        }

        seen = observed(Answers(describe_certificate={"Certificate": description}), {"": "v1"})

        assert seen.trouble == f"PCA_ACCESS_DENIED ({SHARED_AGAIN.format(owner='111122223333')})"


class Acm:
    """ACM that is asked twice: DescribeCertificate shows these serial numbers in turn, GetCertificate one."""

    def __init__(self, shows: list[str], holds: str) -> None:
        self._shows, self._holds = shows, holds

    def describe(self, certificate_arn: str) -> Mapping[str, Any]:
        """DescribeCertificate."""
        assert certificate_arn == "arn:c"
        return {"Status": "ISSUED", "Serial": self._shows.pop(0)}

    def held(self, certificate_arn: str) -> HeldCertificate:
        """GetCertificate."""
        if not self._holds:
            raise CertificatePending(certificate_arn, "being issued")
        return HeldCertificate(self._holds, f"version of {self._holds}")

    def renew(self, certificate_arn: str) -> None:
        """Not asked here."""
        raise AssertionError(certificate_arn)


class TestTwoQuestions:
    """What a certificate is stands in one answer, what it contains in another."""

    def test_a_certificate_that_was_seen_before_is_not_asked_for_again(self) -> None:
        """ACM answers ten questions a second for a whole account."""
        assert AcmIssuer(Acm(["0a"], "")).observe("arn:c", {"0a": "v1"}).version == "v1"

    def test_a_renewal_between_the_two_is_described_once_more(self) -> None:
        """The facts have to be those of the certificate that came out."""
        seen = AcmIssuer(Acm(["0a", "0b"], "0b")).observe("arn:c", {})
        assert (seen.serial_number, seen.version) == ("0b", "version of 0b")

    def test_two_certificates_at_once_are_no_answer(self) -> None:
        """Another look sees which it is."""
        with pytest.raises(AwsUnavailable, match="two certificates at once"):
            AcmIssuer(Acm(["0a", "0a"], "0b")).observe("arn:c", {})

    def test_one_that_is_described_and_not_there_yet_is_pending(self) -> None:
        """ACM says ISSUED a moment before it can be fetched."""
        seen = AcmIssuer(Acm(["0a"], "")).observe("arn:c", {})
        assert (seen.state, seen.status) == (IssuanceState.PENDING, "PENDING_VALIDATION")
