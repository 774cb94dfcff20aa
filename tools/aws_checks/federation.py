"""Checks of federation: what its two functions may do, and whether partners find the roots of the mesh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshcert import naming
from meshcert.errors import BundleInvalid, IdentityMissing
from meshcert.federation.bundle_document import MOST_BYTES
from meshcert.federation.own_bundle import next_bundle, read_own_bundle
from meshcert.mesh.federation.declared import declared_endpoints
from tools.aws_checks.rights import Case, judge_rights, simulate
from tools.aws_checks.verdicts import Check, Judgement, confirmed, contradicted

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Mapping

    from tools.aws_checks.deployment import Deployment
    from tools.aws_checks.rights import RightsSeen

_READ_LOG = "Read the publisher function's log; OwnBundleNotPublished tells when it fails again and again"
_DEPLOY = "Deploy the identities stack again; the account's own Block Public Access goes before the bucket's"


@dataclass(frozen=True)
class OwnBundleSeen:
    """
    What partners get of the mesh's own roots.

    Args:
        roots: Those of the listed hierarchies, PEM, as Private CA has them.
        document: The object.
        notes: What is remembered with it.
    """

    trust_domain: str
    refresh_hint_s: int
    roots: tuple[str, ...]
    document: bytes
    notes: Mapping[str, str]
    now: dt.datetime


@dataclass(frozen=True)
class ReadersSeen:
    """
    Whether everybody may read the bucket with the bundle.

    Args:
        public: What the mesh file says.
        blocked: ``PublicAccessBlockConfiguration`` of the bucket.
    """

    public: bool
    blocked: Mapping[str, bool]


def _roles(deployment: Deployment) -> Iterator[str]:
    if declared_endpoints(deployment.mesh.trust_domains):
        yield naming.FEDERATE_ROLE
    yield from _publishers(deployment)


def _publishers(deployment: Deployment) -> Iterable[str]:
    return [naming.PUBLISHER_ROLE] if deployment.mesh.about.published_bundle else []


def _rights(deployment: Deployment, role: str) -> RightsSeen:
    mesh, name = deployment.mesh, deployment.name

    def secret(of: str) -> str:
        return deployment.arn("secretsmanager", f"secret:{of}-AbCdEf")

    identity = secret(naming.identity_secret(name, next(iter(mesh.identities), "any")))
    trust = secret(naming.trust_bundle_secret(name, next(iter(mesh.hierarchies))))
    cases = [
        Case("secretsmanager:GetSecretValue", identity, allowed=False, circumstances="of an identity"),
        Case("secretsmanager:PutSecretValue", identity, allowed=False, circumstances="of an identity"),
        Case("secretsmanager:PutSecretValue", trust, allowed=False, circumstances="of a trust bundle"),
        Case("acm-pca:IssueCertificate", deployment.arn("acm-pca", "certificate-authority/any"), allowed=False),
    ]
    if role == naming.FEDERATE_ROLE:
        (endpoint, *_) = declared_endpoints(mesh.trust_domains)
        foreign = secret(naming.foreign_bundle_secret(name, endpoint.trust_domain))
        cases.append(
            Case("secretsmanager:PutSecretValue", foreign, allowed=True, circumstances="of a foreign trust domain")
        )
        cases.append(Case("secretsmanager:GetSecretValue", trust, allowed=False, circumstances="of a trust bundle"))
    elif published := mesh.about.published_bundle:
        listed = secret(naming.trust_bundle_secret(name, published.hierarchies[0]))
        bucket = f"arn:{deployment.partition}:s3:::{_bucket(deployment)}"
        cases += [
            Case("secretsmanager:GetSecretValue", listed, allowed=True, circumstances="of a trust bundle"),
            Case("s3:PutObject", f"{bucket}/{naming.BUNDLE_OBJECT}", allowed=True),
            Case("s3:PutObject", f"{bucket}/other", allowed=False, circumstances="elsewhere in the bucket"),
        ]
    return simulate(deployment, deployment.role_arn(role), cases)


def _bucket(deployment: Deployment) -> str:
    return naming.bundle_bucket(deployment.name, deployment.account_id, deployment.region)


def _bundle(deployment: Deployment, _role: str) -> OwnBundleSeen:
    published = deployment.mesh.about.published_bundle
    if published is None:
        raise IdentityMissing("mesh.published_bundle", "Check another mesh file")
    answer = deployment.account.read("s3:GetObject", Bucket=_bucket(deployment), Key=naming.BUNDLE_OBJECT)
    hierarchies = dict.fromkeys(trusted for name in published.hierarchies for trusted in deployment.mesh.trusted(name))
    return OwnBundleSeen(
        deployment.mesh.about.trust_domain,
        published.refresh_hint_s,
        tuple(deployment.root_certificate(name) for name in hierarchies),
        answer["Body"].read(MOST_BYTES + 1),
        answer.get("Metadata", {}),
        deployment.now,
    )


def _readers(deployment: Deployment, _role: str) -> ReadersSeen:
    published = deployment.mesh.about.published_bundle
    answer = deployment.account.read("s3:GetBucketPublicAccessBlock", Bucket=_bucket(deployment))
    return ReadersSeen(published is not None and published.public, answer["PublicAccessBlockConfiguration"])


def judge_own_bundle(seen: OwnBundleSeen) -> Judgement:
    """Judge whether partners find the roots of now, and say when the last of them can be used."""
    try:
        bundle = read_own_bundle(seen.document, seen.notes, seen.trust_domain, seen.now)
    except BundleInvalid as error:
        return contradicted(f"it is no bundle of ours: {error}", _READ_LOG)
    roots = f"{len(bundle.usable)} roots, spiffe_sequence {bundle.sequence}"
    if next_bundle(bundle, seen.roots, seen.refresh_hint_s, seen.now) is not bundle:
        return contradicted(f"{roots}: it is not what Private CA and the mesh file say", _READ_LOG)
    waiting = [time for time in bundle.usable.values() if seen.now < time]
    when = f"; one can be used from {max(waiting):%Y-%m-%d %H:%M} UTC on" if waiting else ""
    return confirmed(roots + when)


def judge_readers(seen: ReadersSeen) -> Judgement:
    """Judge whether Block Public Access of the bucket is as the mesh file has it."""
    blocks = [key for key in ("BlockPublicPolicy", "RestrictPublicBuckets") if seen.blocked.get(key)]
    acls = all(seen.blocked.get(key) for key in ("BlockPublicAcls", "IgnorePublicAcls"))
    text = f"public policies are {'blocked' if blocks else 'let through'}, ACLs {'blocked' if acls else 'let through'}"
    if acls and len(blocks) == (0 if seen.public else 2):
        return confirmed(text)
    return contradicted(f"{text}; public: {str(seen.public).lower()} in the mesh file", _DEPLOY)


CHECKS: tuple[Check[Any], ...] = (
    Check(
        "rights-federation", "Functions of federation reach what is public, and no key", _roles, _rights, judge_rights
    ),
    Check("own-bundle", "Partners find the roots of the mesh", _publishers, _bundle, judge_own_bundle),
    Check("own-bundle-readers", "Who may read the bundle, the mesh file says", _publishers, _readers, judge_readers),
)
