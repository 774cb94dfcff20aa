"""Bring the secret of one trust bundle up to date with its CAs: roots, and where revocation lists lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshcert import naming
from meshcert.contract.staging_labels import CURRENT, PREVIOUS
from meshcert.errors import Fault, RevocationListsUnusable
from meshcert.material import ListSource, TrustBundle, join_certificates
from meshcert.material.document import write_trust_bundle
from meshcert.publishing.export import ExportResult
from meshcert.publishing.preflight import verify_trust_bundle
from meshcert.publishing.publication import publish

if TYPE_CHECKING:
    from meshcert.publishing.export import Sources


@dataclass(frozen=True)
class RevocationListRequest:
    """A revocation list that proxies check peers against: its S3 bucket, and the CA that writes and signs it."""

    bucket: str
    certificate_authority_arn: str

    @property
    def key(self) -> str:
        """The list's key in the bucket."""
        return naming.revocation_list(self.certificate_authority_arn.rpartition("/")[2])


@dataclass(frozen=True)
class NamedLists:
    """
    Revocation lists that the mesh file names, because the mesh does not make the CAs.

    Args:
        certificate_authority_arn: The CA that signs for the mesh.
        locations: One of each CA of its chain, its own first and its root's last.
    """

    certificate_authority_arn: str
    locations: tuple[str, ...]


@dataclass(frozen=True)
class TrustBundleRequest:
    """
    A trust bundle to publish.

    Args:
        hierarchy: Name of the hierarchy in the mesh file.
        secret_id: ARN of the secret that holds it.
        root_certificate_authority_arns: The root CAs whose certificates are in it, or CAs of the user's whose roots
            are; several while one root replaces another.
        lists: The revocation lists of all CAs of the mesh's own in these hierarchies; empty if they write none.
        named_lists: Those of the other CAs in them.
    """

    hierarchy: str
    secret_id: str
    root_certificate_authority_arns: tuple[str, ...]
    lists: tuple[RevocationListRequest, ...] = ()
    named_lists: tuple[NamedLists, ...] = ()


def has_been_current(order: TrustBundleRequest, sources: Sources) -> bool:
    """
    True if exactly this bundle is what proxies read, or what they read before: what an undone deploy goes back to.

    Raises:
        RevocationListsUnusable: If not every CA of a chain has a revocation list.
        MeshcertError: If AWS is unavailable, denies a call, or something does not exist.
    """
    known = sources.vault.labels(order.secret_id)
    return not known.get(_bundle(order, sources).version_id, frozenset()).isdisjoint((CURRENT, PREVIOUS))


def export_trust_bundle(order: TrustBundleRequest, sources: Sources) -> ExportResult:
    """
    Publish the present certificates of a trust bundle's root CAs, unless they are published already.

    A root certificate that was reissued with the same subject and key replaces the earlier one: leaves issued under
    either verify against both.

    Returns:
        The state of the secret now.

    Raises:
        MaterialRejected: If a certificate is not a root's, or is not valid now; the secret is unchanged.
        RevocationListsUnusable: If not every CA of a chain has a revocation list; the secret is unchanged.
        MeshcertError: If AWS is unavailable, denies a call, or something does not exist.
    """
    seen = sources.vault.labels(order.secret_id)
    bundle = _bundle(order, sources)
    verify_trust_bundle(bundle, order.hierarchy, sources.clock.now())
    value = write_trust_bundle(bundle)
    outcome = publish(sources.vault, order.secret_id, bundle.version_id, value, seen)
    return ExportResult(f"trust-bundle/{order.hierarchy}", outcome, bundle.version_id)


def _bundle(order: TrustBundleRequest, sources: Sources) -> TrustBundle:
    roots = dict.fromkeys(sources.authorities.root(arn).strip() for arn in order.root_certificate_authority_arns)
    # A list's reader checks its CA's signature, and a bundle of roots does not contain issuing CAs.
    lists = ((each, sources.authorities.certificate(each.certificate_authority_arn)) for each in order.lists)
    listed = [ListSource(each.bucket, each.key, certificate) for each, certificate in lists]
    for named in order.named_lists:
        chain = sources.authorities.chain(named.certificate_authority_arn)
        if len(chain) != len(named.locations):
            problem = f"the chain of {named.certificate_authority_arn} has {len(chain)} CAs"
            fault = Fault("lists", problem, "Name a list of each, its own first, its root's last: Envoy wants them all")
            raise RevocationListsUnusable(f"{len(named.locations)} revocation lists of {order.hierarchy}", (fault,))
        listed += map(ListSource.at, named.locations, chain)
    return TrustBundle(join_certificates(roots), tuple(listed))
