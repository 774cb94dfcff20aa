"""
CAs of the user's that do not answer: what trust bundles hold of them already is not asked for again.

The owner of a CA may end its share, disable the CA, or delete it. What was accepted once is published, and a deploy
that changes nothing about it, or goes back to it, must not depend on another account. So each CA is asked, and if it
has no answer, or another than the stacks declare, the root that is published stays. A root is known by the digest in
the function's environment (:mod:`meshcert.publishing.declared_roots`), wherever a certificate of it comes from.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from meshcert import naming
from meshcert.contract.staging_labels import CURRENT, PREVIOUS
from meshcert.errors import IdentityMissing, MeshcertError, SecretMalformed, SecretNotPublished
from meshcert.material import split_certificates
from meshcert.material.document import read_trust_bundle
from meshcert.publishing.declared_bundles import listed_elsewhere

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from meshcert.material import ListSource, TrustBundle
    from meshcert.publishing.declared_bundles import DeclaredBundle
    from meshcert.publishing.declared_roots import DeclaredRoots
    from meshcert.publishing.ports import CertificateAuthorities

    Chain = tuple[str, ...]

logger = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")


class LabelledValues(Protocol):
    """Secrets Manager: reads the versions of trust bundles that have a label."""

    def labelled_value(self, secret_id: str, label: str) -> str:
        """
        The value of the version with a staging label.

        Raises:
            IdentityMissing: If there is no such secret, or no version with the label.
        """
        ...


class PublishedAuthorities:
    """
    CAs as trust bundles hold them: the current version of each, and the one before, to which a deploy goes back.

    :class:`meshcert.publishing.ports.CertificateAuthorities`, but that it knows none but the user's.

    Args:
        mesh: Name of the mesh.
        bundles: The CAs of each trust bundle, as the stacks declare them.
        roots: The roots of CAs of the user's, likewise.
        values: Reads the bundles.
    """

    def __init__(
        self, mesh: str, bundles: Mapping[str, DeclaredBundle], roots: DeclaredRoots, values: LabelledValues
    ) -> None:
        self._mesh, self._bundles, self._roots, self._values = mesh, bundles, roots, values

    def root(self, certificate_authority_arn: str) -> str:
        """See :meth:`meshcert.publishing.ports.CertificateAuthorities.root`."""
        for _, bundle in self._published(certificate_authority_arn):
            for certificate in split_certificates(bundle.certificates):
                if self._roots.is_root_of(certificate_authority_arn, certificate):
                    return certificate
        raise IdentityMissing(certificate_authority_arn, "Deploy the stacks again")

    def chain(self, certificate_authority_arn: str) -> Chain:
        """
        See :meth:`meshcert.publishing.ports.CertificateAuthorities.chain`.

        Known are those whose revocation lists are in a bundle where the stacks declare them: another CA under the same
        root has lists of its own.
        """
        for declared, bundle in self._published(certificate_authority_arn):
            for part in _parts(bundle.lists):
                listed = listed_elsewhere(certificate_authority_arn, (each.location for each in part))
                chain = tuple(each.authority for each in part)
                if listed in declared.listed and self._leads_to_its_root(certificate_authority_arn, chain):
                    return chain
        raise IdentityMissing(certificate_authority_arn, "Deploy the stacks again")

    def certificate(self, certificate_authority_arn: str) -> str:
        """See :meth:`meshcert.publishing.ports.CertificateAuthorities.certificate`."""
        return self.chain(certificate_authority_arn)[0]

    def _leads_to_its_root(self, arn: str, chain: Chain) -> bool:
        return self._roots.is_root_of(arn, chain[-1]) and all(map(_is_issued_by, chain, chain[1:]))

    def _published(self, arn: str) -> Iterator[tuple[DeclaredBundle, TrustBundle]]:
        for hierarchy, declared in self._bundles.items():
            if self._roots.is_declared(arn) and arn.rpartition("/")[2] in declared.roots:
                secret = naming.trust_bundle_secret(self._mesh, hierarchy)
                for label in (CURRENT, PREVIOUS):
                    try:
                        yield declared, read_trust_bundle(self._values.labelled_value(secret, label), secret)
                    except (IdentityMissing, SecretMalformed, SecretNotPublished) as error:
                        logger.debug("%s of %s holds no roots: %s", label, secret, error)


class FallbackAuthorities:
    """
    CAs as they answer, or as something else knows them.

    :class:`meshcert.publishing.ports.CertificateAuthorities`.

    Args:
        first: Asked first.
        then: Asked where that has no answer. If it has none either, the first one's error counts.
        tell: Takes a sentence for every answer that the second one gave.
    """

    def __init__(
        self, first: CertificateAuthorities, then: CertificateAuthorities, tell: Callable[[str], None]
    ) -> None:
        self._first, self._then, self._tell = first, then, tell

    def root(self, certificate_authority_arn: str) -> str:
        """See :meth:`meshcert.publishing.ports.CertificateAuthorities.root`."""
        return self._ask(lambda who: who.root(certificate_authority_arn))

    def chain(self, certificate_authority_arn: str) -> Chain:
        """See :meth:`meshcert.publishing.ports.CertificateAuthorities.chain`."""
        return self._ask(lambda who: who.chain(certificate_authority_arn))

    def certificate(self, certificate_authority_arn: str) -> str:
        """See :meth:`meshcert.publishing.ports.CertificateAuthorities.certificate`."""
        return self._ask(lambda who: who.certificate(certificate_authority_arn))

    def _ask(self, question: Callable[[CertificateAuthorities], _Answer]) -> _Answer:
        try:
            return question(self._first)
        except MeshcertError as unanswered:
            try:
                answer = question(self._then)
            except MeshcertError:
                raise unanswered from None
            self._tell(str(unanswered))
            return answer


def _parts(lists: tuple[ListSource, ...]) -> Iterator[tuple[ListSource, ...]]:
    """Lists that stand side by side, as those of one CA's chain do."""
    return (lists[begin:end] for begin in range(len(lists)) for end in range(begin + 1, len(lists) + 1))


def _is_issued_by(certificate: str, issuer: str) -> bool:
    below, above = (x509.load_pem_x509_certificate(each.encode()) for each in (certificate, issuer))
    try:
        below.verify_directly_issued_by(above)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return below != above
