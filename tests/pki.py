"""
Certificate authorities and leaves for tests, made on the fly and shaped like those of AWS Private CA and ACM.

::

    hierarchy = Hierarchy(tiers=2)
    material = hierarchy.issue(["colorteller.mtls.svc.cluster.local"])
    hierarchy.trust_bundle, hierarchy.root_pem

Every fault a certificate can have is an argument of :meth:`Hierarchy.issue`. EC keys are always new; RSA keys are slow
to make and come in turn from a pool of eight, so keys made one after the other differ.
"""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from local.pkcs8 import KeyEncryption, PrivateKey, encrypt_private_key
from meshcert.material import EncryptedPrivateKey, Material, Passphrase, TrustBundle, join_certificates

if TYPE_CHECKING:
    from collections.abc import Sequence

KeyAlgorithm = Literal["EC_prime256v1", "EC_secp384r1", "RSA_2048"]

_DAY = dt.timedelta(days=1)
_RSA_POOL_SIZE = 8
_rsa_turn = count()


class Hierarchy:
    """
    A root CA, its issuing CA when there are two tiers, and the leaves they sign.

    Args:
        tiers: 1: the root signs leaves; 2: an issuing CA between them does.
        key: Key algorithm of every CA.
        name: Organization in the CAs' subjects; two hierarchies of one name still have different keys.
        not_before: Start of the CAs' validity; two years ago unless told.
        not_after: End of the CAs' validity; in ten years unless told.
    """

    def __init__(
        self,
        tiers: Literal[1, 2] = 1,
        key: KeyAlgorithm = "EC_prime256v1",
        *,
        name: str = "colorteller",
        not_before: dt.datetime | None = None,
        not_after: dt.datetime | None = None,
    ) -> None:
        now = dt.datetime.now(dt.UTC)
        validity = (not_before or now - 730 * _DAY, not_after or now + 3650 * _DAY)
        self.name = name
        root = _authority(f"{name} root", make_key(key), validity, path_length=tiers - 1)
        issuing = root if tiers == 1 else _authority(f"{name} issuing", make_key(key), validity, 0, issuer=root)
        self._authorities: tuple[_Authority, ...] = (root,) if tiers == 1 else (issuing, root)

    @property
    def root_pem(self) -> str:
        """The root CA's certificate, PEM."""
        return _pem(self._authorities[-1].certificate)

    @property
    def issuing_pem(self) -> str:
        """The certificate of the CA that signs leaves, PEM; in a single tier the root's."""
        return _pem(self._authorities[0].certificate)

    @property
    def certificate_chain(self) -> str:
        """The leaves' issuers as ACM exports them: issuing CA first, root last, PEM."""
        return join_certificates(_pem(authority.certificate) for authority in self._authorities)

    @property
    def trust_bundle(self) -> TrustBundle:
        """What peers check this hierarchy's leaves against: its root."""
        return TrustBundle(join_certificates([self.root_pem]))

    def reissue_root(self, *, not_after: dt.datetime | None = None) -> None:
        """
        Give the root CA a new certificate of the same subject and key; leaves of before stay valid.

        Args:
            not_after: End of its validity; in twenty years unless told.
        """
        *rest, root = self._authorities
        validity = (root.certificate.not_valid_before_utc, not_after or dt.datetime.now(dt.UTC) + 7300 * _DAY)
        self._authorities = (*rest, _authority(f"{self.name} root", root.key, validity, len(rest)))

    def revocation_list(
        self,
        *revoked: Material,
        by: Literal["issuing", "root"] = "issuing",
        number: int | None = 1,
        this_update: dt.datetime | None = None,
        next_update: dt.datetime | None = None,
        extension: x509.ExtensionType | None = None,
    ) -> bytes:
        """
        A CA's revocation list as AWS Private CA writes it: complete, version 2, DER.

        Args:
            revoked: Whose certificates are in it.
            by: Which CA's; in a single tier they are the same.
            number: Of the list; None leaves the extension out.
            this_update: When it was made; a minute ago unless told.
            next_update: When it ends; in seven days unless told.
            extension: One more, critical.
        """
        authority = self._authorities[0 if by == "issuing" else -1]
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(authority.certificate.subject)
            .last_update(this_update or now - dt.timedelta(minutes=1))
            .next_update(next_update or now + 7 * _DAY)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), False)
        )
        if number is not None:
            builder = builder.add_extension(x509.CRLNumber(number), critical=False)
        if extension:
            builder = builder.add_extension(extension, critical=True)
        for material in revoked:
            serial_number = x509.load_pem_x509_certificate(material.certificate.encode()).serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(serial_number).revocation_date(now)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(authority.key, _digest(authority.key)).public_bytes(Encoding.DER)

    def issue(
        self,
        names: Sequence[str],
        *,
        not_before: dt.datetime | None = None,
        not_after: dt.datetime | None = None,
        key_algorithm: KeyAlgorithm = "EC_prime256v1",
        extended_key_usages: Sequence[Literal["serverAuth", "clientAuth"]] = ("serverAuth", "clientAuth"),
        encryption: KeyEncryption = "pbes2-sha1",
        passphrase: str | None = None,
    ) -> Material:
        """
        A leaf with its chain and its encrypted key, as acm:ExportCertificate gives them.

        Args:
            names: DNS names of the subject alternative name extension; the first becomes the common name.
            not_before: Start of validity; one hour ago unless told (Private CA back-dates by 60 minutes).
            not_after: End of validity; in 395 days unless told.
            key_algorithm: Of the leaf's key.
            extended_key_usages: Empty leaves the extension out.
            encryption: How the key is encrypted; ``pbes2-sha1`` is what ACM does, Envoy opens the two first.
            passphrase: Opens the key; random unless told.
        """
        now = dt.datetime.now(dt.UTC)
        key = make_key(key_algorithm)
        issuer = self._authorities[0]
        builder = (
            _builder(names[0], key, issuer, (not_before or now - dt.timedelta(hours=1), not_after or now + 395 * _DAY))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=False)
            .add_extension(key_usage(signs=False, enciphers=True), critical=True)
        )
        if extended_key_usages:
            usages = [_USAGES[usage] for usage in extended_key_usages]
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        passphrase = passphrase or secrets.token_urlsafe(24)
        return Material(
            certificate=_pem(builder.sign(issuer.key, hashes.SHA256())),
            certificate_chain=self.certificate_chain,
            private_key=EncryptedPrivateKey(encrypt_private_key(key, passphrase, encryption)),
            passphrase=Passphrase(passphrase),
        )


def make_key(algorithm: KeyAlgorithm) -> PrivateKey:
    """A private key: a new one for EC, the next of the pool for RSA."""
    if algorithm == "RSA_2048":
        return _rsa_key(next(_rsa_turn) % _RSA_POOL_SIZE)
    return ec.generate_private_key(ec.SECP256R1() if algorithm == "EC_prime256v1" else ec.SECP384R1())


@cache
def _rsa_key(number: int) -> rsa.RSAPrivateKey:
    del number
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(frozen=True)
class _Authority:
    certificate: x509.Certificate
    key: PrivateKey


_USAGES = {"serverAuth": ExtendedKeyUsageOID.SERVER_AUTH, "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH}


def _authority(
    subject: str,
    key: PrivateKey,
    validity: tuple[dt.datetime, dt.datetime],
    path_length: int,
    issuer: _Authority | None = None,
) -> _Authority:
    builder = (
        _builder(subject, key, issuer, validity)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(key_usage(signs=True), critical=True)
    )
    return _Authority(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def _builder(
    subject: str, key: PrivateKey, issuer: _Authority | None, validity: tuple[dt.datetime, dt.datetime]
) -> x509.CertificateBuilder:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject[:64])])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity[0])
        .not_valid_after(validity[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if issuer is None:
        return builder
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
    return builder.add_extension(authority, critical=False)


def key_usage(*, signs: bool, enciphers: bool = False) -> x509.KeyUsage:
    """What a key is for, besides signatures: signing certificates and lists, enciphering keys."""
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=enciphers,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _digest(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384:
    """What AWS Private CA signs with, by its key."""
    return hashes.SHA384() if key.key_size == 384 else hashes.SHA256()


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def encrypt_again(material: Material, passphrase: Passphrase, encryption: KeyEncryption = "pbes2-sha1") -> Material:
    """
    The same material with its key under another passphrase: no two exports of a certificate give the same bytes.

    Args:
        material: What was issued.
        passphrase: Opens the new ``private_key``.
        encryption: As for :func:`encrypt_private_key`.
    """
    opened = load_pem_private_key(material.private_key.reveal().encode(), material.passphrase.reveal().encode())
    if not isinstance(opened, PrivateKey):
        raise TypeError(type(opened).__name__)
    sealed = EncryptedPrivateKey(encrypt_private_key(opened, passphrase.reveal(), encryption))
    return material._replace(private_key=sealed, passphrase=passphrase)
