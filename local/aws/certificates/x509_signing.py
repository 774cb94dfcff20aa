"""Real keys, requests and certificates, laid out the way AWS Private CA's templates do. Knows nothing of MiniStack."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

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

SIGNING_ALGORITHMS = frozenset(f"{name}WITH{family}" for name in _HASHES for family in ("ECDSA", "RSA"))

_SUBJECT = {
    "Country": NameOID.COUNTRY_NAME,
    "State": NameOID.STATE_OR_PROVINCE_NAME,
    "Locality": NameOID.LOCALITY_NAME,
    "Organization": NameOID.ORGANIZATION_NAME,
    "OrganizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "CommonName": NameOID.COMMON_NAME,
    "SerialNumber": NameOID.SERIAL_NUMBER,
}

_SERVER, _CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
_EXTENDED_USAGES = {
    "EndEntityCertificate": (_SERVER, _CLIENT),
    "EndEntityServerAuthCertificate": (_SERVER,),
    "EndEntityClientAuthCertificate": (_CLIENT,),
    "BlankEndEntityCertificate": (),
    "BlankEndEntityCertificate_CriticalBasicConstraints": (),
}
# Private CA guide, "Template varieties". Blank templates exist with a passthrough alone, those of roots with the API's.
_END_ENTITY = re.compile(
    r"(EndEntity(?:ServerAuth|ClientAuth)?Certificate)(?:_(?:API|CSR|APICSR)Passthrough)?"
    r"|(BlankEndEntityCertificate(?:_CriticalBasicConstraints)?)_(?:API|CSR|APICSR)Passthrough"
)
_AUTHORITY = re.compile(
    r"RootCACertificate(?:_APIPassthrough)?"
    r"|BlankRootCACertificate(?:_PathLen([0-3]))?_APIPassthrough"
    r"|SubordinateCACertificate_PathLen([0-3])(?:_(?:API|CSR|APICSR)Passthrough)?"
    r"|BlankSubordinateCACertificate_PathLen([0-3])_(?:API|CSR|APICSR)Passthrough"
)
DEFAULT_TEMPLATE = "arn:aws:acm-pca:::template/EndEntityCertificate/V1"


@dataclass(frozen=True)
class Template:
    """
    One of Private CA's certificate templates.

    Args:
        name: For example ``SubordinateCACertificate_PathLen0``.
        for_authority: Whether its certificates may sign others.
        path_length: How many CAs may follow below; None for no limit and for end entities.
        extended_key_usages: What an end entity may be used for; empty for a CA and for blank templates.
    """

    name: str
    for_authority: bool
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
        if authority := _AUTHORITY.fullmatch(name):
            length = next((int(group) for group in authority.groups() if group), None)
            return cls(name, for_authority=True, path_length=length, extended_key_usages=())
        if end_entity := _END_ENTITY.fullmatch(name):
            usages = _EXTENDED_USAGES[end_entity.group(1) or end_entity.group(2)]
            return cls(name, for_authority=False, path_length=None, extended_key_usages=usages)
        raise ValueError(f"the local Private CA has no template {arn}")

    @property
    def self_signed(self) -> bool:
        """True if its certificates are signed by their own key."""
        return "RootCACertificate" in self.name

    @property
    def takes_api(self) -> bool:
        """True if ``ApiPassthrough`` counts; with the other templates it is ignored."""
        return "_API" in self.name

    @property
    def takes_csr(self) -> bool:
        """True if all extensions of the signing request count, not its alternative names alone."""
        return "CSRPassthrough" in self.name

    @property
    def extensions(self) -> list[x509.Extension[x509.ExtensionType]]:
        """
        What the template sets itself, and nobody else can (Private CA guide, "Template definitions").

        Blank templates set basic constraints alone. They are critical for CAs, and in the variant named after that.
        """
        critical = self.for_authority or "_CriticalBasicConstraints" in self.name
        found = [_extension(x509.BasicConstraints(self.for_authority, self.path_length), critical=critical)]
        if not self.name.startswith("Blank"):
            found.append(_extension(_key_usage(self), critical=True))
        if self.extended_key_usages:
            found.append(_extension(x509.ExtendedKeyUsage(self.extended_key_usages), critical=False))
        return found


@dataclass(frozen=True)
class Passed:
    """
    What a passthrough template takes from the request.

    Args:
        subject: In place of the signing request's; None leaves that one.
        extensions: Those that come first count; what the template sets itself comes before all of them.
    """

    subject: x509.Name | None = None
    extensions: tuple[x509.Extension[x509.ExtensionType], ...] = ()


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


def issue(
    request: x509.CertificateSigningRequest,
    template: Template,
    signer: Signer,
    period: Period,
    passed: Passed | None = None,
) -> x509.Certificate:
    """
    The certificate that ``signer`` gives for ``request``.

    Subject and alternative names come from the request, with every template, unless something else is passed; all else
    comes from the template. That the signer may sign, and long enough, is not checked here.

    Args:
        passed: What the template takes beside them.
    """
    passed = passed or Passed()
    subject = passed.subject or request.subject
    found = template.extensions
    found.append(_extension(x509.SubjectKeyIdentifier.from_public_key(request.public_key()), critical=False))
    if not template.self_signed:
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())
        found.append(_extension(authority, critical=False))
    requested = [each for each in request.extensions if isinstance(each.value, x509.SubjectAlternativeName)]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer.name)
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(period.not_before)
        .not_valid_after(period.not_after)
    )
    first: dict[x509.ObjectIdentifier, x509.Extension[x509.ExtensionType]] = {}
    for each in (*found, *passed.extensions, *requested):
        first.setdefault(each.oid, each)
    for each in first.values():
        is_names = isinstance(each.value, x509.SubjectAlternativeName)
        builder = builder.add_extension(each.value, critical=not list(subject) if is_names else each.critical)
    return builder.sign(signer.key, signature_hash(signer.algorithm))


def pem(thing: x509.Certificate | x509.CertificateSigningRequest) -> str:
    """``thing`` as PEM text with a final newline."""
    return thing.public_bytes(Encoding.PEM).decode()


def serial_text(certificate: x509.Certificate) -> str:
    """The serial number as ACM and Private CA print it: pairs of hex digits with colons."""
    digits = f"{certificate.serial_number:x}"
    return bytes.fromhex(digits.zfill(len(digits) + len(digits) % 2)).hex(":")


def _extension(value: x509.ExtensionType, *, critical: bool) -> x509.Extension[x509.ExtensionType]:
    return x509.Extension(value.oid, critical, value)


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
