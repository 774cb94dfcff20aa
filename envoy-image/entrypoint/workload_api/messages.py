"""The messages of the X.509 profile, from SPIFFE's ``workloadapi.proto``. Its requests are empty."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from entrypoint.grpc.wire import field
from meshcert.contract.spiffe_id import SpiffeId

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NONE: Mapping[str, bytes] = MappingProxyType({})


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


def x509_svid_response(svids: Iterable[X509Svid], bundle: bytes, federated: Mapping[str, bytes] = _NONE) -> bytes:
    """
    An ``X509SVIDResponse``; empty if there are no SVIDs.

    Args:
        svids: All of them, the default one first.
        bundle: The roots of their trust domain, DER, one after the other.
        federated: The same of foreign trust domains, by their names without the scheme.
    """
    own = b"".join(
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
    return own and own + b"".join(_bundle(3, *each) for each in federated.items())


def x509_bundles_response(trust_domain: str, bundle: bytes, federated: Mapping[str, bytes] = _NONE) -> bytes:
    """An ``X509BundlesResponse`` with the bundles of trust domains, which are named without their scheme."""
    return b"".join(_bundle(2, *each) for each in ((trust_domain, bundle), *federated.items()))


def _bundle(number: int, trust_domain: str, bundle: bytes) -> bytes:
    """An entry of a map from the ID of a trust domain to its roots."""
    return field(number, field(1, str(SpiffeId(trust_domain, ""))) + field(2, bundle))
