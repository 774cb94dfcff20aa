"""
Certificates with one fault each, as a peer of Envoy would present them.

They are written by hand, not through :mod:`evidence.fixtures.pki`: no issuer of ours would make most of them.
"""

from __future__ import annotations

import datetime as dt
import ssl
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from evidence.fixtures.pki import general_name, key_usage

Digest = hashes.SHA1 | hashes.SHA256
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
DAY = dt.timedelta(days=1)
_USAGES = {"serverAuth": ExtendedKeyUsageOID.SERVER_AUTH, "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH}
_ECDSA_WITH = {
    hashes.SHA1: bytes.fromhex("300906072a8648ce3d0401"),
    hashes.SHA256: bytes.fromhex("300a06082a8648ce3d040302"),
}
"""AlgorithmIdentifier by hash function, DER (RFC 3279 section 2.2.3, RFC 5758 section 3.2)."""


def p256() -> ec.EllipticCurvePrivateKey:
    """A new key as ACM makes them."""
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True)
class Shape:
    """
    What a certificate says of itself.

    Args:
        subject: Common name.
        names: DNS names and URIs of the subject alternative name extension; empty leaves it out. A text is taken for
            the one or the other.
        ca: Of the basic constraints; None leaves the extension out.
        path_length: Of the basic constraints.
        signs: Whether its key usage has keyCertSign.
        usages: Extended key usages; empty leaves the extension out.
        starts: Start of validity, from now.
        ends: End of validity, from now.
    """

    subject: str
    names: tuple[str | x509.GeneralName, ...] = ()
    ca: bool | None = False
    path_length: int | None = None
    signs: bool = False
    usages: tuple[str, ...] = ("serverAuth", "clientAuth")
    starts: dt.timedelta = -DAY
    ends: dt.timedelta = 90 * DAY


@dataclass(frozen=True)
class Issued:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: PrivateKey


@dataclass(frozen=True)
class Credential:
    """
    What a peer presents.

    Args:
        chain: Its certificate first, DER each.
        key: Its private key.
    """

    chain: tuple[bytes, ...]
    key: PrivateKey

    @property
    def pem(self) -> str:
        """The chain, PEM."""
        return "".join(map(ssl.DER_cert_to_PEM_cert, self.chain))

    @property
    def key_pem(self) -> str:
        """The key in plain text: a peer of a test has nothing to hide."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def issue(shape: Shape, issuer: Issued | None = None, key: PrivateKey | None = None) -> Issued:
    """
    A certificate of this shape.

    Args:
        shape: What it says.
        issuer: Who signs it; None signs itself.
        key: Its key; a new P-256 key unless told.
    """
    key = key or p256()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, shape.subject)])
    signer = issuer.key if issuer else key
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + shape.starts)
        .not_valid_after(now + shape.ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(key_usage(signs=shape.signs), critical=True)
    )
    if shape.ca is not None:
        constraints = x509.BasicConstraints(ca=shape.ca, path_length=shape.path_length)
        builder = builder.add_extension(constraints, critical=True)
    if shape.names:
        names = x509.SubjectAlternativeName(
            name if isinstance(name, x509.GeneralName) else general_name(name) for name in shape.names
        )
        builder = builder.add_extension(names, critical=False)
    if shape.usages:
        usages = x509.ExtendedKeyUsage([_USAGES[usage] for usage in shape.usages])
        builder = builder.add_extension(usages, critical=False)
    return Issued(builder.sign(signer, hashes.SHA256()), key)


def revocation_list(issuer: Issued, *revoked: Issued, ends: dt.timedelta = 7 * DAY) -> str:
    """
    A CA's list of revoked certificates, PEM.

    Args:
        issuer: Whose list it is.
        revoked: What is in it.
        ends: When the next one is due, from now.
    """
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(now - 30 * DAY)
        .next_update(now + ends)
    )
    for each in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(each.certificate.serial_number).revocation_date(now)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def sign_again(
    issued: Issued, issuer: Issued, change: tuple[bytes, bytes] = (b"", b""), digest: type[Digest] = hashes.SHA256
) -> bytes:
    """
    A certificate as no library signs it, DER: its bytes changed, or with SHA-1. The signature fits.

    Args:
        issued: What to begin with.
        issuer: Who signs it, with a P-256 key.
        change: Bytes that occur once in it, and what stands there instead; both of one length.
        digest: With what to sign.
    """
    before, after = change
    signed = issued.certificate.tbs_certificate_bytes
    assert len(before) == len(after)
    assert not before or signed.count(before) == 1
    assert isinstance(issuer.key, ec.EllipticCurvePrivateKey)
    algorithm = _ECDSA_WITH[digest]
    content = signed[4:].replace(before, after) if before else signed[4:]  # after tag and length, which are four bytes
    signed = _der(0x30, content.replace(_ECDSA_WITH[hashes.SHA256], algorithm))
    signature = issuer.key.sign(signed, ec.ECDSA(digest()))
    return _der(0x30, signed + algorithm + _der(0x03, b"\0" + signature))


def _der(tag: int, content: bytes) -> bytes:
    """One DER value (X.690 section 8.1)."""
    size = len(content)
    octets = size.to_bytes((size.bit_length() + 7) // 8 or 1, "big")
    return bytes([tag, *((size,) if size < 128 else (0x80 | len(octets), *octets))]) + content
