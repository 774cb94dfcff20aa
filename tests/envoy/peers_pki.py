"""A hierarchy that Envoy trusts, and every way in which a peer's certificate under it can be wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from meshcert.material import TrustBundle
from tests.envoy.peers_certificates import Credential, Issued, PrivateKey, Shape, issue, sign_again

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography import x509

INTRUDER = 'certificate has expired"}intruder'
"""A name that wants to look like another cause, or like the end of a log line."""


class PeerPki:
    """
    The hierarchy that Envoy trusts for its peers, and what can go wrong in it.

    Args:
        name: DNS name that Envoy expects of the peer.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.root = issue(Shape("peer root", ca=True, path_length=1, signs=True, usages=()))
        self.issuing = self.authority("peer issuing", path_length=0)
        self.good = Shape("peer", (name,))

    @property
    def trust_bundle(self) -> TrustBundle:
        """What Envoy is given."""
        return TrustBundle(self.root.certificate.public_bytes(Encoding.PEM).decode())

    def authority(
        self, subject: str, issuer: Issued | None = None, key: PrivateKey | None = None, **changes: object
    ) -> Issued:
        """An issuing CA under the root, or another issuer."""
        shape = Shape(subject, ca=True, signs=True, usages=())
        return issue(replace(shape, **changes), issuer or self.root, key)  # type: ignore[arg-type] # fields of Shape

    def leaf(
        self, *chain: Issued, issuer: Issued | None = None, key: PrivateKey | None = None, **changes: object
    ) -> Credential:
        """The good peer's certificate with changes, under ``issuer``, which is sent with it, or with ``chain``."""
        signer = issuer or self.issuing
        leaf = issue(replace(self.good, **changes), signer, key)  # type: ignore[arg-type] # fields of Shape
        return present(leaf, *(chain or (signer,)))


def present(leaf: Issued, *chain: Issued) -> Credential:
    """What a peer with this certificate and this chain presents."""
    return Credential(tuple(each.certificate.public_bytes(Encoding.DER) for each in (leaf, *chain)), leaf.key)


def alone(credential: Credential) -> Credential:
    """The same without the certificates that it would send besides its own."""
    return replace(credential, chain=credential.chain[:1])


def self_signed(pki: PeerPki) -> Credential:
    """As ``openssl req -x509`` makes it: a CA."""
    return present(issue(replace(pki.good, ca=True, signs=True)))


def other_root(pki: PeerPki) -> Credential:
    """Signed by the root of another hierarchy, which is sent with it."""
    return pki.leaf(issuer=issue(Shape("other root", ca=True, signs=True, usages=())))


def same_name_and_key_identifier(pki: PeerPki) -> Credential:
    """Says that the true issuing CA signed it: only the signature tells."""
    leaf = issue(pki.good, pki.issuing)
    other = PeerPki(pki.name).issuing
    return replace(present(leaf, pki.issuing), chain=(sign_again(leaf, other), *present(pki.issuing).chain))


def signed_by_a_leaf(pki: PeerPki) -> Credential:
    """Signed by who holds a good leaf and no more, with the whole chain."""
    signer = issue(pki.good, pki.issuing)
    return pki.leaf(signer, pki.issuing, issuer=signer)


def third_authority(pki: PeerPki) -> Credential:
    """Signed by a CA under the issuing CA, whose path length allows none."""
    third = pki.authority("peer third", pki.issuing)
    return pki.leaf(third, pki.issuing, issuer=third)


def under(**changes: object) -> Callable[[PeerPki], Credential]:
    """Signed by an issuing CA whose certificate has these changes: fields of Shape, or a key."""
    return lambda pki: pki.leaf(issuer=pki.authority("peer odd issuing", **changes))  # type: ignore[arg-type]


def changed(
    before: Callable[[x509.Certificate], bytes], after: Callable[[bytes], bytes]
) -> Callable[[PeerPki], Credential]:
    """A certificate whose DER was changed before it was signed."""

    def make(pki: PeerPki) -> Credential:
        leaf = issue(pki.good, pki.issuing)
        found = before(leaf.certificate)
        changed = sign_again(leaf, pki.issuing, (found, after(found)))
        return replace(present(leaf, pki.issuing), chain=(changed, *present(pki.issuing).chain))

    return make


def not_before(certificate: x509.Certificate) -> bytes:
    """Start of its validity as it stands in the certificate."""
    return certificate.not_valid_before_utc.strftime("%y%m%d%H%M%SZ").encode()


KEY_USAGE_CRITICAL = bytes.fromhex("0603551d0f0101ff")
"""Object identifier of keyUsage, then the BOOLEAN ``critical`` (RFC 5280 section 4.2.1.3)."""
VERSION_3 = bytes.fromhex("a003020102")
VERSION_8 = bytes.fromhex("a003020107")
"""There is none (RFC 5280 section 4.1.2.1)."""


def sha1(pki: PeerPki) -> Credential:
    """Signed over SHA-1."""
    leaf = issue(pki.good, pki.issuing)
    weak = sign_again(leaf, pki.issuing, digest=hashes.SHA1)
    return replace(present(leaf, pki.issuing), chain=(weak, *present(pki.issuing).chain))


def under_sha1(pki: PeerPki) -> Credential:
    """Signed by an issuing CA that is itself signed over SHA-1."""
    issuing = pki.authority("peer SHA-1 issuing", path_length=0)
    credential = pki.leaf(issuer=issuing)
    return replace(credential, chain=(credential.chain[0], sign_again(issuing, pki.root, digest=hashes.SHA1)))


def rsa_key(bits: int) -> PrivateKey:
    """A new RSA key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)
