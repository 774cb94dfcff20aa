"""Where material comes from: one source for each issuer, chosen by the ARN of the certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshcert.issuing.issuer import IssuedCertificate, MaterialSource
    from meshcert.material import Material, Passphrase


class MaterialSources:
    """
    :class:`meshcert.issuing.issuer.MaterialSource`.

    Args:
        acm: For certificates of ACM.
        own: For certificates of AWS Private CA, whose keys are meshcert's own.
    """

    def __init__(self, acm: MaterialSource, own: MaterialSource) -> None:
        self._acm = acm
        self._own = own

    def look(self, reference: str) -> IssuedCertificate:
        """See :meth:`meshcert.issuing.issuer.MaterialSource.look`."""
        return self._of(reference).look(reference)

    def owner(self, reference: str) -> str:
        """See :meth:`meshcert.issuing.issuer.MaterialSource.owner`."""
        return self._of(reference).owner(reference)

    def export(self, reference: str, passphrase: Passphrase) -> Material:
        """See :meth:`meshcert.issuing.issuer.MaterialSource.export`."""
        return self._of(reference).export(reference, passphrase)

    def published(self, identity: str, reference: str) -> None:
        """See :meth:`meshcert.issuing.issuer.MaterialSource.published`."""
        self._of(reference).published(identity, reference)

    def _of(self, reference: str) -> MaterialSource:
        return self._own if reference.split(":")[2:3] == ["acm-pca"] else self._acm
