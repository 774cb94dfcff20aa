"""The messages of the X.509 profile, from SPIFFE's ``workloadapi.proto``. Its requests are empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from entrypoint.grpc.wire import field
from meshcert.contract.spiffe_id import SpiffeId

if TYPE_CHECKING:
    from collections.abc import Iterable


class X509Svid(NamedTuple):
    """
    An identity of this task with its key in clear; ``repr`` shows the SPIFFE ID alone.

    Args:
        spiffe_id: The one in the leaf.
        certificates: The leaf and then its issuers without the root, DER, one after the other.
        private_key: PKCS#8, DER, not encrypted.
        not_after: End of the leaf's validity, seconds since 1970, UTC.
        hint: Tells an application with several identities which one this is.
    """

    spiffe_id: str
    certificates: bytes
    private_key: bytes
    not_after: int
    hint: str

    def __repr__(self) -> str:
        return f"<X509Svid {self.spiffe_id}>"


def x509_svid_response(svids: Iterable[X509Svid], bundle: bytes) -> bytes:
    """
    An ``X509SVIDResponse``.

    Args:
        svids: All of them, the default one first.
        bundle: The roots of their trust domain, DER, one after the other.
    """
    return b"".join(
        field(
            1,
            field(1, svid.spiffe_id)
            + field(2, svid.certificates)
            + field(3, svid.private_key)
            + field(4, bundle)
            + field(5, svid.hint),
        )
        for svid in svids
    )


def x509_bundles_response(trust_domain: str, bundle: bytes) -> bytes:
    """An ``X509BundlesResponse`` with the bundle of one trust domain, which is named without its scheme."""
    return field(2, field(1, str(SpiffeId(trust_domain, ""))) + field(2, bundle))
