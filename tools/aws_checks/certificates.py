"""Checks of certificates: names and chain of all; purposes, dates and renewal of ACM's."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID

from meshcert import naming
from meshcert.material import certificate_version, split_certificates
from meshcert.material.certificate_facts import extension_of, sans_of
from tools.aws_checks.deployment import ACM
from tools.aws_checks.verdicts import Check, Judgement, confirmed, contradicted, undecided

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshcert.san import San
    from tools.aws_checks.deployment import Deployment

BACK_DATING = dt.timedelta(minutes=60)
# ACM says "13 months (395 days)": thirteen calendar months are 393 to 397 days, and ACM's own examples show those.
SHORTEST_LIFE = dt.timedelta(days=393)
LONGEST_LIFE = dt.timedelta(days=398)
_ISSUING_TAKES = dt.timedelta(minutes=15)
PURPOSES = {ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth", ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth"}
# The remedy for each RenewalStatusReason of acm:DescribeCertificate.
_RENEWAL_REMEDIES = {
    "PCA_ACCESS_DENIED": "See ca-permission; if the CA is another account's, have that account share it again",
    "PCA_INVALID_DURATION": "The CA ends too soon: see ca-life",
    "PCA_INVALID_STATE": "Make the issuing CA ACTIVE again",
    "PCA_RESOURCE_NOT_FOUND": "The issuing CA is gone: a new hierarchy and new certificates are needed",
}


@dataclass(frozen=True)
class LeafSeen:
    """
    A certificate, and what ACM says about it.

    Args:
        certificate: The leaf, PEM.
        description: ``Certificate`` of acm:DescribeCertificate; of one that is not ACM's, nothing.
        declared: The identity's names in the mesh file.
        published: True if the secret's current version holds this leaf.
    """

    certificate: str
    description: Mapping[str, Any]
    declared: tuple[San, ...]
    published: bool

    @property
    def leaf(self) -> x509.Certificate:
        """The leaf."""
        return x509.load_pem_x509_certificate(self.certificate.encode())


@dataclass(frozen=True)
class ChainSeen:
    """
    A certificate and its issuers.

    Args:
        certificate: The leaf, PEM.
        chain: Its issuers in AWS's order, PEM.
        root: The root CA's certificate as Private CA has it, PEM.
    """

    certificate: str
    chain: str
    root: str


def _identities(deployment: Deployment) -> Iterable[str]:
    return deployment.mesh.identities


def _of_acm(deployment: Deployment) -> Iterable[str]:
    return deployment.identities(ACM)


def leaf_seen(deployment: Deployment, identity: str) -> LeafSeen:
    """An identity's certificate, whoever issued it."""
    certificate, description = deployment.issued(identity)["Certificate"], {}
    if deployment.mesh.identities[identity].issuer == ACM:
        arn = deployment.certificate_arn(identity)
        description = deployment.account.read("acm:DescribeCertificate", CertificateArn=arn)["Certificate"]
    return LeafSeen(
        certificate=certificate,
        description=description,
        declared=deployment.mesh.identities[identity].names,
        published=deployment.current_version(naming.identity_secret(deployment.name, identity))
        == certificate_version(certificate),
    )


def _chain(deployment: Deployment, identity: str) -> ChainSeen:
    answer = deployment.issued(identity)
    root = deployment.root_certificate(deployment.mesh.identities[identity].hierarchy)
    return ChainSeen(answer["Certificate"], answer.get("CertificateChain", ""), root)


def _tags(deployment: Deployment, identity: str) -> tuple[str, Mapping[str, str]]:
    arn = deployment.certificate_arn(identity)
    tags = deployment.account.read("acm:ListTagsForCertificate", CertificateArn=arn)["Tags"]
    return deployment.name, {tag["Key"]: tag.get("Value", "") for tag in tags}


def judge_purposes(seen: LeafSeen) -> Judgement:
    """Judge the purposes: without both, one side of every mutual handshake refuses the certificate."""
    usage = extension_of(seen.leaf, x509.ExtendedKeyUsage)
    purposes = [PURPOSES.get(oid, oid.dotted_string) for oid in usage] if usage is not None else []
    told = ", ".join(usage["Name"] for usage in seen.description.get("ExtendedKeyUsages", [])) or "nothing"
    text = f"the leaf has {', '.join(purposes) or 'no extended key usage'}; DescribeCertificate says {told}"
    if set(PURPOSES.values()) <= set(purposes):
        return confirmed(text)
    return contradicted(
        text, "The export function refuses this material. Please report it: ACM does not suit mutual TLS here"
    )


def judge_names(seen: LeafSeen) -> Judgement:
    """Judge whether the names are those of the mesh file, no more and no fewer."""
    names = sans_of(seen.leaf)
    told, declared = (", ".join(str(name) for name in each) for each in (names, seen.declared))
    if set(names) == set(seen.declared):
        return confirmed(told)
    return contradicted(f"{told}; the mesh file says {declared}", "Deploy this mesh file, or check another")


def judge_chain(seen: ChainSeen) -> Judgement:
    """Judge the order of the chain, issuing CA first and root last: the proxy presents all but the last."""
    chain = [x509.load_pem_x509_certificate(pem.encode()) for pem in split_certificates(seen.chain)]
    leaf, root = (x509.load_pem_x509_certificate(pem.encode()) for pem in (seen.certificate, seen.root))
    text = " → ".join(certificate.subject.rfc4514_string() for certificate in chain) or "an empty chain"
    remedy = "Peers would refuse this certificate: the last one of the chain is left out as its root. Please report it"
    for issued, issuer in itertools.pairwise([leaf, *chain]):
        if not _issued_by(issued, issuer):
            return contradicted(f"{text}: {issuer.subject.rfc4514_string()} did not sign the one before it", remedy)
    if not chain or not _issued_by(chain[-1], chain[-1]):
        return contradicted(f"{text}: the root is missing", remedy)
    if chain[-1].public_key() != root.public_key():
        return contradicted(f"{text}: the last one is not the hierarchy's root CA", remedy)
    return confirmed(f"{text} ({len(chain)}, root last)")


def judge_lifetime(seen: LeafSeen) -> Judgement:
    """Judge whether the certificate is valid for thirteen months from the time of issue."""
    leaf = seen.leaf
    life = leaf.not_valid_after_utc - leaf.not_valid_before_utc - BACK_DATING
    text = f"{life / dt.timedelta(days=1):.2f} days, until {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    if SHORTEST_LIFE <= life <= LONGEST_LIFE:
        return confirmed(text)
    return contradicted(
        text, "Please report it. Rotation goes by fractions of a life; ca-life counts on at most 398 days"
    )


def judge_back_dating(seen: LeafSeen) -> Judgement:
    """Judge whether validity begins an hour before the time of issue; only a first certificate shows that."""
    if "RenewalSummary" in seen.description:
        return undecided("it has been renewed, and ACM keeps no time of issue of a renewal")
    issued = seen.description.get("IssuedAt") or seen.description.get("CreatedAt")
    if issued is None:
        return undecided("DescribeCertificate gives neither IssuedAt nor CreatedAt")
    issued = issued.astimezone(dt.UTC)
    back = issued - seen.leaf.not_valid_before_utc
    text = f"NotBefore lies {back / dt.timedelta(minutes=1):.1f} min before {issued:%Y-%m-%d %H:%M:%S} UTC"
    # The request comes before the issue, so a little less than the hour is left.
    if BACK_DATING - _ISSUING_TAKES <= back <= BACK_DATING + _ISSUING_TAKES:
        return confirmed(text)
    return contradicted(text, "Please report it: lives are counted from NotBefore plus 60 minutes")


def judge_export(seen: LeafSeen) -> Judgement:
    """Judge whether it can be exported: the template does not ask for that, as AWS demands for public ones."""
    option = seen.description.get("Options", {}).get("Export", "not set")
    if seen.published:
        return confirmed(f"its export is the secret's current version; Options.Export is {option}")
    return undecided(f"this certificate is not published; Options.Export is {option}", "See secret-version")


def judge_renewable(seen: LeafSeen) -> Judgement:
    """Judge whether ACM can renew the certificate, by itself and on request."""
    eligibility = seen.description.get("RenewalEligibility", "absent")
    text = f"RenewalEligibility is {eligibility}"
    if eligibility == "ELIGIBLE":
        return confirmed(text)
    if not seen.published:
        return undecided(f"{text}, and this certificate is not published", "See secret-version")
    return contradicted(f"{text} although its export is published", "ACM will not renew it. Please report it")


def judge_renewal(seen: LeafSeen) -> Judgement:
    """Judge the state of the renewal: one that hangs does so until the certificate expires."""
    summary = seen.description.get("RenewalSummary")
    if summary is None:
        return undecided("not renewed yet", "Run this again after the first renewal, or after acm:RenewCertificate")
    status, reason = summary.get("RenewalStatus", "absent"), summary.get("RenewalStatusReason", "")
    text = f"RenewalStatus is {status}" + (f", {reason}" if reason else "")
    if status == "SUCCESS":
        return confirmed(text)
    if status == "FAILED" or reason:
        return contradicted(text, _RENEWAL_REMEDIES.get(reason, "Look the reason up in ACM's guide, managed renewal"))
    return undecided(f"{text}: under way", "Run this again; it may take hours")


def judge_tag(seen: tuple[str, Mapping[str, str]]) -> Judgement:
    """Judge the certificate's tag, on which the export function's rights depend."""
    mesh, tags = seen
    text = f"{naming.TAG} is {tags.get(naming.TAG, 'absent')}"
    if tags.get(naming.TAG) == mesh:
        return confirmed(text)
    return contradicted(text, f"The export function cannot reach it: deploy again, or tag it {naming.TAG}={mesh}")


def renewed(deployment: Deployment, since: dt.datetime, until: dt.datetime) -> list[str]:
    """
    The identities whose certificate ACM has renewed.

    Args:
        since: Earlier renewals do not count.
        until: Later renewals do not count.
    """
    found = []
    for identity in deployment.identities(ACM):
        arn = deployment.certificate_arn(identity)
        description = deployment.account.read("acm:DescribeCertificate", CertificateArn=arn)["Certificate"]
        summary = description.get("RenewalSummary", {})
        at = summary.get("UpdatedAt")
        if summary.get("RenewalStatus") == "SUCCESS" and at is not None and since < at < until:
            found.append(identity)
    return found


def _issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


CHECKS: tuple[Check[Any], ...] = (
    Check(
        "certificate-purposes",
        "A private ACM certificate is for servers and for clients",
        _of_acm,
        leaf_seen,
        judge_purposes,
    ),
    Check("certificate-names", "A certificate carries the names of the mesh file", _identities, leaf_seen, judge_names),
    Check(
        "certificate-chain",
        "A certificate's chain goes from the issuing CA to the root, the root included and last",
        _identities,
        _chain,
        judge_chain,
    ),
    Check(
        "certificate-lifetime",
        "A certificate lives 13 months (393 to 398 days) from its time of issue",
        _of_acm,
        leaf_seen,
        judge_lifetime,
    ),
    Check(
        "certificate-back-dating",
        "A certificate's NotBefore is an hour before its issue",
        _of_acm,
        leaf_seen,
        judge_back_dating,
    ),
    Check(
        "certificate-export",
        "A certificate can be exported although the template asks for nothing",
        _of_acm,
        leaf_seen,
        judge_export,
    ),
    Check("certificate-renewable", "Our export makes a certificate renewable", _of_acm, leaf_seen, judge_renewable),
    Check("certificate-renewal", "ACM's renewals succeed", _of_acm, leaf_seen, judge_renewal),
    Check("certificate-tag", "CloudFormation tags certificates with the mesh's name", _of_acm, _tags, judge_tag),
)
