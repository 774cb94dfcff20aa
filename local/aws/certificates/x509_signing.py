"""Real keys, requests and certificates, laid out the way AWS Private CA's templates do. Knows nothing of MiniStack."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Hash = hashes.SHA256 | hashes.SHA384 | hashes.SHA512

_KEYS: dict[str, Callable[[], PrivateKey]] = {
    "EC_prime256v1": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EC_secp384r1": lambda: ec.generate_private_key(ec.SECP384R1()),
    "EC_secp521r1": lambda: ec.generate_private_key(ec.SECP521R1()),
    "RSA_2048": lambda: rsa.generate_private_key(65537, 2048),
    "RSA_3072": lambda: rsa.generate_private_key(65537, 3072),
    "RSA_4096": lambda: rsa.generate_private_key(65537, 4096),
}
KEY_ALGORITHMS = frozenset(_KEYS)

_HASHES: dict[str, type[Hash]] = {"SHA256": hashes.SHA256, "SHA384": hashes.SHA384, "SHA512": hashes.SHA512}

_SUBJECT = {
    "Country": NameOID.COUNTRY_NAME,
    "State": NameOID.STATE_OR_PROVINCE_NAME,
    "Locality": NameOID.LOCALITY_NAME,
    "Organization": NameOID.ORGANIZATION_NAME,
    "OrganizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "CommonName": NameOID.COMMON_NAME,
    "SerialNumber": NameOID.SERIAL_NUMBER,
}

_EXTENDED_USAGES = {
    "EndEntityCertificate": [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
    "EndEntityServerAuthCertificate": [ExtendedKeyUsageOID.SERVER_AUTH],
    "EndEntityClientAuthCertificate": [ExtendedKeyUsageOID.CLIENT_AUTH],
}
DEFAULT_TEMPLATE = "arn:aws:acm-pca:::template/EndEntityCertificate/V1"


@dataclass(frozen=True)
class Template:
    """
    One of Private CA's certificate templates.

    Args:
        name: For example ``SubordinateCACertificate_PathLen0``.
        path_length: How many CAs may follow below; None for no limit and for end entities.
        extended_key_usages: What an end entity may be used for; empty for a CA.
    """

    name: str
    path_length: int | None
    extended_key_usages: tuple[x509.ObjectIdentifier, ...]

    @classmethod
    def from_arn(cls, arn: str) -> Template:
        """
        The template that ``arn`` names.

        Raises:
            ValueError: If the local AWS does not know the template.
        """
        match = re.fullmatch(r"arn:aws[\w-]*:acm-pca:::template/(\w+)/V1", arn)
        name = match.group(1) if match else ""
        authority = re.fullmatch(r"RootCACertificate|SubordinateCACertificate_PathLen([0-3])", name)
        if authority:
            return cls(name, int(authority.group(1)) if authority.group(1) else None, ())
        if name in _EXTENDED_USAGES:
            return cls(name, None, tuple(_EXTENDED_USAGES[name]))
        raise ValueError(f"the local Private CA has no template {arn}")

    @property
    def for_authority(self) -> bool:
        """True if its certificates may sign others."""
        return not self.extended_key_usages

    @property
    def self_signed(self) -> bool:
        """True if its certificates are signed by their own key."""
        return self.name == "RootCACertificate"


@dataclass(frozen=True)
class Signer:
    """
    Who signs.

    Args:
        name: The issuer's distinguished name.
        algorithm: For example ``SHA384WITHECDSA``.
    """

    name: x509.Name
    key: PrivateKey
    algorithm: str


@dataclass(frozen=True)
class Period:
    """When a certificate is valid, both ends aware UTC."""

    not_before: datetime
    not_after: datetime


def new_private_key(algorithm: str) -> PrivateKey:
    """
    A fresh private key; RSA takes up to a few seconds of one core, without the interpreter lock.

    Raises:
        KeyError: If ``algorithm`` is not in :data:`KEY_ALGORITHMS`.
    """
    return _KEYS[algorithm]()


def family(algorithm: str) -> str:
    """``EC`` or ``RSA`` for a key algorithm or a signing algorithm."""
    return "RSA" if "RSA" in algorithm else "EC"


def signature_hash(algorithm: str) -> Hash:
    """
    The hash of a signing algorithm such as ``SHA256WITHRSA``.

    Raises:
        KeyError: If the algorithm does not begin with SHA256, SHA384 or SHA512.
    """
    return _HASHES[algorithm[:6]]()


def distinguished_name(subject: Mapping[str, Any]) -> x509.Name:
    """The X.500 name of an ``ASN1Subject``; attributes that are not in the usual seven are left out."""
    return x509.Name([x509.NameAttribute(oid, str(subject[key])) for key, oid in _SUBJECT.items() if subject.get(key)])


def signing_request(
    subject: x509.Name,
    key: PrivateKey,
    algorithm: str,
    dns_names: tuple[str, ...] = (),
) -> x509.CertificateSigningRequest:
    """A request for ``subject``, with ``dns_names`` as its alternative names."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if dns_names:
        names = x509.SubjectAlternativeName([x509.DNSName(name) for name in dns_names])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key, signature_hash(algorithm))


def validity_end(validity: Mapping[str, Any], start: datetime) -> datetime:
    """
    When a certificate of ``validity`` that is issued at ``start`` ends.

    Args:
        validity: Private CA's ``Type`` (END_DATE, ABSOLUTE, DAYS, MONTHS, YEARS) and ``Value``.
        start: The time of issue, aware UTC.

    Raises:
        ValueError: If the type is unknown or the value is no date.
    """
    value = int(validity["Value"])
    match validity["Type"]:
        case "ABSOLUTE":
            return datetime.fromtimestamp(value, UTC)
        case "END_DATE":
            text = str(value)
            return datetime.strptime(text, "%Y%m%d%H%M%S" if len(text) > 12 else "%y%m%d%H%M%S").replace(tzinfo=UTC)  # noqa: PLR2004 - UTCTime has twelve digits
        case "DAYS":
            return start + timedelta(days=value)
        case "MONTHS":
            return _plus_months(start, value)
        case "YEARS":
            return _plus_months(start, 12 * value)
        case unknown:
            raise ValueError(f"validity type {unknown!r} is none of END_DATE, ABSOLUTE, DAYS, MONTHS, YEARS")


def issue(
    request: x509.CertificateSigningRequest,
    template: Template,
    signer: Signer,
    period: Period,
) -> x509.Certificate:
    """
    The certificate that ``signer`` gives for ``request``.

    Subject and alternative names come from the request, as with every base template; all else from the template. That
    the signer may sign, and long enough, is not checked here.
    """
    builder = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(signer.name)
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(period.not_before)
        .not_valid_after(period.not_after)
        .add_extension(x509.BasicConstraints(template.for_authority, template.path_length), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(request.public_key()), critical=False)
        .add_extension(_key_usage(template), critical=True)
    )
    if not template.self_signed:
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())
        builder = builder.add_extension(authority, critical=False)
    if template.extended_key_usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(template.extended_key_usages), critical=False)
    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        pass
    else:
        builder = builder.add_extension(names.value, critical=not list(request.subject))
    return builder.sign(signer.key, signature_hash(signer.algorithm))


def revocation_list(revoked: Mapping[int, datetime], signer: Signer, period: Period, number: int) -> bytes:
    """
    A complete revocation list, version 2, DER, as Private CA writes it.

    Args:
        revoked: When each serial number was revoked, aware UTC.
        signer: The authority.
        period: From this list to the next.
        number: Grows with each list.
    """
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(signer.name)
        .last_update(period.not_before)
        .next_update(period.not_after)
        .add_extension(authority, critical=False)
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    for serial, revoked_at in revoked.items():
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(revoked_at)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(signer.key, signature_hash(signer.algorithm)).public_bytes(Encoding.DER)


def pem(thing: x509.Certificate | x509.CertificateSigningRequest) -> str:
    """``thing`` as PEM text with a final newline."""
    return thing.public_bytes(Encoding.PEM).decode()


def serial_text(certificate: x509.Certificate) -> str:
    """The serial number as ACM and Private CA print it: pairs of hex digits with colons."""
    digits = f"{certificate.serial_number:x}"
    return bytes.fromhex(digits.zfill(len(digits) + len(digits) % 2)).hex(":")


def _plus_months(start: datetime, months: int) -> datetime:
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return start.replace(year=year, month=month + 1, day=day)


def _key_usage(template: Template) -> x509.KeyUsage:
    authority = template.for_authority
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not authority,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
