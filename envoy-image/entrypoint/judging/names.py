"""The names in a certificate that OpenSSL has verified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshcert.san import Dns, Uri

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshcert.san import San


def names_of(certificate: Mapping[str, Any]) -> frozenset[San]:
    """
    The certificate's DNS names and URIs; other kinds are left out.

    Args:
        certificate: From :meth:`ssl.SSLSocket.getpeercert`.
    """
    kinds: dict[str, type[San]] = {"DNS": Dns, "URI": Uri}
    return frozenset(kinds[kind](text) for kind, text in certificate.get("subjectAltName", ()) if kind in kinds)
