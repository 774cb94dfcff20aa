"""
A CA of the user's that signs for the mesh: what must be true of it before anything is asked of it.

A deploy and ``make verify-aws`` ask the same.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, NamedTuple

from meshcert.errors import Fault
from meshcert.material.certificate_facts import certificate_facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

AUTHORITY_ARN = (
    r"arn:aws[a-z-]*:acm-pca:[a-z0-9-]+:[0-9]{12}:certificate-authority/"
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
)
"""The ARN of a CA (Service Authorization Reference, AWS Private CA), as a regular expression."""
ACM_ACTIONS = ("IssueCertificate", "GetCertificate", "ListPermissions")
"""What ACM must be permitted on a CA of its own account to renew under it (acm-pca:CreatePermission)."""
_HOW_TO_BE_ACTIVE = {
    "CREATING": "Try again in a minute: it is being made",
    "PENDING_CERTIFICATE": "Have its owner import its certificate (acm-pca:ImportCertificateAuthorityCertificate)",
    "DISABLED": "Have its owner enable it (acm-pca:UpdateCertificateAuthority), or name another",
    "EXPIRED": "Have its owner reissue its certificate, or name another",
    "DELETED": "Have its owner restore it (acm-pca:RestoreCertificateAuthority), or name another",
}
_AT_HOME = (
    "identity-based policy",
    "permissions boundary",
    "service control policy",
    "session policy",
    "VPC endpoint policy",
)
_HOUR, _DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
_PERMIT = "Write permit_acm: true beside its ARN, or have its owner call acm-pca:CreatePermission"


class WantedAuthority(NamedTuple):
    """
    What the mesh file says of a CA.

    Args:
        hierarchy: Name of the hierarchy.
        key_algorithm: As AWS writes it.
        usage_mode: Likewise.
        life: The longest of the certificates that it is to sign.
        for_acm: Whether ACM is to renew under it.
    """

    hierarchy: str
    arn: str
    key_algorithm: str
    usage_mode: str
    life: dt.timedelta
    for_acm: bool


class SeenAuthority(NamedTuple):
    """
    What AWS says of it (acm-pca:DescribeCertificateAuthority, ListPermissions).

    Args:
        not_after: The first end of its certificate and of those above it; None if it has none.
        acm_actions: What ACM is permitted on it.
    """

    status: str
    key_algorithm: str
    usage_mode: str
    not_after: dt.datetime | None
    acm_actions: frozenset[str] = frozenset()


def seen_authority(
    authority: Mapping[str, Any], permissions: Iterable[Mapping[str, Any]], chain: Iterable[str] = ()
) -> SeenAuthority:
    """
    AWS's answers as far as they matter.

    Args:
        authority: ``CertificateAuthority`` of acm-pca:DescribeCertificateAuthority.
        permissions: ``Permissions`` of acm-pca:ListPermissions.
        chain: The certificates above the CA's own, PEM.
    """
    ends = [certificate_facts(each).not_after for each in chain]
    if end := authority.get("NotAfter"):
        ends.append(end)
    permitted = (each["Actions"] for each in permissions if each["Principal"] == "acm.amazonaws.com")
    return SeenAuthority(
        str(authority["Status"]),
        str(authority["CertificateAuthorityConfiguration"]["KeyAlgorithm"]),
        str(authority.get("UsageMode", "GENERAL_PURPOSE")),
        min(ends, default=None),
        frozenset(action for actions in permitted for action in actions),
    )


def place_faults(wanted: WantedAuthority, region: str) -> Iterator[Fault]:
    """What is known of a CA before anybody is asked: nothing signs across regions."""
    theirs = wanted.arn.split(":")[3]
    if theirs != region:
        yield Fault(
            f"hierarchies.{wanted.hierarchy}.existing.arn",
            f"the CA is in {theirs}, and the mesh in {region}",
            f"Name a CA in {region}: a CA signs for its own region",
        )


def is_denied_at_home(message: str) -> bool:
    """
    Whether a denial is of the caller's own account's making, and so says nothing about what another one shares.

    Args:
        message: AWS's, which names the kind of policy that decided, if it says any (IAM guide, "Troubleshoot access
            denied error messages").
    """
    return any(policy in message for policy in _AT_HOME)


def unshared_fault(place: str, arn: str, account: str, region: str) -> Fault:
    """
    What there is to say of another account's CA that the mesh's may not look at.

    Args:
        place: What needs it, as the mesh file names it.
        arn: The CA's.
        account: The mesh's own.
        region: Likewise.
    """
    owner = arn.split(":")[4]
    return Fault(
        place,
        f"account {owner} does not share the CA with account {account}, or this one has not accepted",
        f"Have {owner} share it by AWS RAM in {region}, which a deploy of the cell that makes it does; outside of its "
        "organization, accept: aws ram get-resource-share-invitations",
    )


def authority_faults(
    wanted: WantedAuthority, seen: SeenAuthority, account: str, now: dt.datetime, *, is_new: bool = True
) -> Iterator[Fault]:
    """
    Why a CA cannot do what the mesh file wants of it.

    Args:
        account: The mesh's own. In the account of its owner, ACM needs the CA's permission; in another one it has its
            service-linked role instead.
        now: The time, UTC.
        is_new: Whether the hierarchy begins with it. Later, its end is not held against it: the findings CaAgeing and
            CaTooShort tell it, and a deploy that leads away from it names it once more.
    """
    place = f"hierarchies.{wanted.hierarchy}"
    if seen.status != "ACTIVE":
        remedy = _HOW_TO_BE_ACTIVE.get(seen.status, "Name another: it signs nothing any more")
        yield Fault(f"{place}.existing.arn", f"the CA is {seen.status}, and signs nothing", remedy)
    if seen.key_algorithm != wanted.key_algorithm:
        problem = f"its key is {seen.key_algorithm}, and the file says {wanted.key_algorithm}"
        yield Fault(f"{place}.key_algorithm", problem, f"Write key_algorithm: {seen.key_algorithm}")
    if seen.usage_mode != wanted.usage_mode:
        problem = f"it is {seen.usage_mode}, and the file says {wanted.usage_mode}"
        usage = "short_lived" if seen.usage_mode == "SHORT_LIVED_CERTIFICATE" else "general_purpose"
        yield Fault(f"{place}.usage", problem, f"Write usage: {usage}")
    if is_new and seen.not_after and seen.not_after - now < wanted.life:
        problem = (
            f"the CA, or one above it, ends on {seen.not_after:%Y-%m-%d}, and a certificate of "
            f"{_text_of(wanted.life)} would outlive it"
        )
        remedy = "Have its owner reissue the certificate that ends, or name another CA"
        yield Fault(f"{place}.existing.arn", problem, remedy)
    missing = [action for action in ACM_ACTIONS if action not in seen.acm_actions]
    if wanted.for_acm and wanted.arn.split(":")[4] == account and missing:
        problem = f"ACM is not permitted {', '.join(missing)} on it: certificates are issued, and no renewal ever is"
        yield Fault(f"{place}.existing.permit_acm", problem, _PERMIT)


def _text_of(life: dt.timedelta) -> str:
    return f"{life // _DAY} days" if life >= 2 * _DAY else f"{life // _HOUR} hours"
