"""A CA that AWS Private CA does not let issue: its own clear error, nothing is billed, and what is published stays."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from meshcert.aws.private_ca import PrivateCa
from meshcert.clock import SystemClock
from meshcert.errors import AwsRefused, AwsUnavailable, CertificatePending, IdentityMissing
from tests.local.aws.hierarchies import RSA, eventually, new_authority, root
from tests.meshcert.issuing.issuing_world import FRONT, TERMS, IssuingWorld

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.running_aws import LocalAws
    from meshcert.errors import MeshcertError

SHORT = "SHORT_LIVED_CERTIFICATE"
YEAR = dt.timedelta(days=365)


class Case(NamedTuple):
    """
    A CA that does not issue.

    Args:
        authority: Makes it; returns its ARN.
        error: What the export function says.
        told: Words of the message.
        life: What is asked for.
    """

    authority: Callable[[Any], str]
    error: type[MeshcertError]
    told: str
    life: dt.timedelta = TERMS.life


def _disabled(pca: Any) -> str:
    arn = root(pca)
    pca.update_certificate_authority(CertificateAuthorityArn=arn, Status="DISABLED")
    return arn


def _deleted(pca: Any) -> str:
    arn = _disabled(pca)
    pca.delete_certificate_authority(CertificateAuthorityArn=arn)
    return arn


def _gone(pca: Any) -> str:
    arn = root(pca)
    return f"{arn[:-12]}{'0' * 12}"


CASES = {
    "disabled": Case(_disabled, AwsUnavailable, "is DISABLED.*Look at the CA's status"),
    "deleted": Case(_deleted, AwsUnavailable, "is DELETED.*Look at the CA's status"),
    "without a certificate": Case(
        lambda pca: new_authority(pca, "Color Root"), AwsUnavailable, "is PENDING_CERTIFICATE.*Look at the CA's status"
    ),
    "gone": Case(_gone, IdentityMissing, "certificate-authority/.*does not exist"),
    "ends before the leaf": Case(lambda pca: root(pca, years=1), AwsRefused, "ValidationException", 2 * YEAR),
    "short-lived, for more than a week": Case(
        lambda pca: root(pca, mode=SHORT), AwsRefused, "7 days", dt.timedelta(days=8)
    ),
    "of another key family": Case(lambda pca: root(pca, algorithms=RSA), AwsRefused, "SHA256WITHECDSA"),
}


@pytest.fixture
def pca(aws: LocalAws) -> Any:
    """Private CA."""
    return aws.client("acm-pca")


@pytest.fixture
def world(pca: Any) -> IssuingWorld:
    """An identity whose certificate a good CA has issued, published."""
    world, arn = IssuingWorld(PrivateCa(pca), SystemClock()), root(pca)

    def deployed() -> bool:
        try:
            _move(world, arn)
        except CertificatePending:
            return False
        return True

    eventually(deployed, "the first certificate")
    return world


def _move(world: IssuingWorld, authority: str, life: dt.timedelta = TERMS.life) -> None:
    """A deploy declares another CA; no renewal goes over to it before."""
    world.declarations.declared["front"] = replace(TERMS, authority_arn=authority, life=life)
    world.deploy(replace(FRONT, root_certificate_authority_arn=authority, certificate_authority_arns=(authority,)))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_ca_that_does_not_issue_is_told_by_its_reason_and_costs_nothing(
    aws: LocalAws, pca: Any, world: IssuingWorld, case: Case
) -> None:
    """Each tells the CA, the call and AWS's reason; the row keeps the certificate that is published."""
    published, row, authority = world.published, world.row, case.authority(pca)
    before = aws.control("GET", "/_local/acm-pca/issued")

    with pytest.raises(case.error, match=case.told):
        _move(world, authority, case.life)

    after = aws.control("GET", "/_local/acm-pca/issued")
    assert {arn: counts["issued"] for arn, counts in after.items()} == {
        arn: counts["issued"] for arn, counts in before.items()
    }
    assert (world.published, world.row) == (published, row)
    assert [each.epoch.asked for each in world.epochs.rows.values()] == [1, 0]


def test_a_ca_that_is_put_right_issues_what_was_stored(aws: LocalAws, pca: Any, world: IssuingWorld) -> None:
    """The request of before, once: the refusals have cost nothing."""
    authority = root(pca)
    for status in ("DISABLED", "ACTIVE"):
        pca.update_certificate_authority(CertificateAuthorityArn=authority, Status=status)
        if status == "DISABLED":
            with pytest.raises(AwsUnavailable, match="DISABLED"):
                _move(world, authority)

    with pytest.raises(CertificatePending):
        _move(world, authority)

    assert not world.row.certificate_arn.startswith(authority)
    assert aws.control("GET", "/_local/acm-pca/issued")[authority]["issued"] == 1
    assert len({each.epoch.number for each in world.epochs.rows.values()}) == 1
