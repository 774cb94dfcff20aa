"""
CAs of other regions: the deploy function asks them nothing, for their roots stand in the request for a trust bundle.

``RemoteRoots`` of the request has a root, PEM, by the ARN of each such CA. Whoever may invoke the function could write
it, so it counts only where the function's environment declares that root (:mod:`meshcert.publishing.declared_roots`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from meshcert.errors import IdentityMissing, RootNotDeclared

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshcert.publishing.declared_roots import DeclaredRoots


class StatedRoots:
    """
    CAs of which a request states the roots, and nothing else.

    :class:`meshcert.publishing.ports.CertificateAuthorities`.

    Args:
        stated: The roots, PEM, by ARN of the CA.
        declared: Those that are believed.
    """

    def __init__(self, stated: Mapping[str, str], declared: DeclaredRoots) -> None:
        self._stated, self._declared = stated, declared

    def root(self, certificate_authority_arn: str) -> str:
        """See :meth:`meshcert.publishing.ports.CertificateAuthorities.root`."""
        stated = self._stated.get(certificate_authority_arn)
        if stated is None:
            _unknown(certificate_authority_arn)
        if not self._declared.is_root_of(certificate_authority_arn, stated):
            raise RootNotDeclared(certificate_authority_arn)
        return stated

    def chain(self, certificate_authority_arn: str) -> tuple[str, ...]:
        """See :meth:`meshcert.publishing.ports.CertificateAuthorities.chain`; no request states any."""
        _unknown(certificate_authority_arn)

    def certificate(self, certificate_authority_arn: str) -> str:
        """See :meth:`meshcert.publishing.ports.CertificateAuthorities.certificate`; no request states any."""
        _unknown(certificate_authority_arn)


def _unknown(arn: str) -> NoReturn:
    raise IdentityMissing(arn, "Deploy the stacks again")
