"""
A request for a certificate from AWS Private CA: key, CSR and all parameters of acm-pca:IssueCertificate, as one value.

It is stored before its first use, and whoever comes second sends the identical request: an ECDSA signature is random,
so the same key gives another CSR, and Private CA issues once for an idempotency token only if all else is the same.
The key is no part of the JSON. Whoever stores the request encrypts the key, and keeps it beside the JSON.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from meshcert.bounded_json import JsonInvalid, read_json
from meshcert.clock import believed
from meshcert.errors import CertificateRequestInvalid, Fault
from meshcert.issuing.private_ca_lives import RENEWED_FROM
from meshcert.material.certificate_facts import UNREADABLE
from meshcert.san import Dns, SanInvalid, parse_sans

if TYPE_CHECKING:
    from meshcert.material import PrivateKey
    from meshcert.san import San

SCHEMA = 1
LONGEST_TOKEN = 36
"""Characters of an idempotency token (acm-pca:IssueCertificate). Private CA keeps it for five minutes."""
CURVES = {"secp256r1": "EC_prime256v1", "secp384r1": "EC_secp384r1"}
"""ACM's names of the curves that keys are made on, by the names that ``cryptography`` has for them."""
_TEXTS = ("Identity", "Epoch", "AuthorityArn", "SigningAlgorithm", "TemplateArn", "Token", "Csr")
_TIMES = ("MadeAt", "NotBefore", "NotAfter")


@dataclass(frozen=True)
class CertificateRequest:
    """
    One request. Made by :func:`meshcert.issuing.issuance_terms.make_request`, or read by :func:`read_stored_request`.

    Args:
        identity: Name of the identity.
        epoch: The epoch that it is for.
        token: Idempotency token.
        csr: PEM.
        private_key: The key of the CSR, PKCS#8 PEM.
        made_at: When it was made; its life counts from here. Times are aware, UTC, whole seconds.
    """

    identity: str
    epoch: str
    authority_arn: str
    signing_algorithm: str
    template_arn: str
    token: str
    names: tuple[San, ...]
    csr: str
    private_key: PrivateKey
    made_at: dt.datetime
    not_before: dt.datetime
    not_after: dt.datetime

    def parameters(self) -> dict[str, Any]:
        """The parameters of acm-pca:IssueCertificate, as boto3 takes them."""
        return {
            "CertificateAuthorityArn": self.authority_arn,
            "Csr": self.csr.encode(),
            "SigningAlgorithm": self.signing_algorithm,
            "TemplateArn": self.template_arn,
            # DAYS would be a day at least; an absolute time is in seconds since 1970.
            "Validity": {"Value": int(self.not_after.timestamp()), "Type": "ABSOLUTE"},
            "ValidityNotBefore": {"Value": int(self.not_before.timestamp()), "Type": "ABSOLUTE"},
            "IdempotencyToken": self.token,
        }

    @property
    def key_algorithm(self) -> str:
        """See :func:`key_algorithm`."""
        return key_algorithm(x509.load_pem_x509_csr(self.csr.encode()).public_key())

    def is_outdated(self, now: dt.datetime) -> bool:
        """True if so much of the life has gone that the certificate would be renewed as soon as it is there."""
        return now - self.made_at >= (self.not_after - self.made_at) * float(RENEWED_FROM)

    def to_json(self) -> str:
        """All but the key, for :func:`read_stored_request`. Nothing in it is secret."""
        return json.dumps(
            {
                "Schema": SCHEMA,
                "Identity": self.identity,
                "Epoch": self.epoch,
                "AuthorityArn": self.authority_arn,
                "SigningAlgorithm": self.signing_algorithm,
                "TemplateArn": self.template_arn,
                "Token": self.token,
                "Names": [str(name) for name in self.names],
                "Csr": self.csr,
                "MadeAt": self.made_at.isoformat(),
                "NotBefore": self.not_before.isoformat(),
                "NotAfter": self.not_after.isoformat(),
            }
        )


def read_stored_request(text: str, private_key: PrivateKey, identity: str, epoch: str) -> CertificateRequest:
    """
    A request that was stored.

    Args:
        text: What :meth:`CertificateRequest.to_json` gave.
        private_key: Its key, decrypted.
        identity: The identity that it is read for.
        epoch: The epoch that it is read for.

    Raises:
        CertificateRequestInvalid: If it is not such JSON, is another identity's or epoch's, or if CSR, names and key do
            not belong together. Messages have nothing of the key.
    """
    try:
        return _read(text, private_key, identity, epoch)
    except _Unreadable as error:
        remedy = "Nothing was sent. Begin a new epoch, which makes a new request, and look who wrote the row"
        faults = (Fault("stored request", str(error), remedy),)
        raise CertificateRequestInvalid(f"request for identity {identity}", faults) from None


class _Unreadable(ValueError):
    pass


def _read(text: str, private_key: PrivateKey, identity: str, epoch: str) -> CertificateRequest:
    try:
        value = read_json(text)
    except JsonInvalid as error:
        raise _Unreadable(str(error)) from None
    if not isinstance(value, dict) or value.get("Schema") != SCHEMA:
        raise _Unreadable(f"it is no object of schema {SCHEMA}")
    if missing := [name for name in (*_TEXTS, *_TIMES) if not isinstance(value.get(name), str) or not value[name]]:
        raise _Unreadable(f"missing or empty: {', '.join(missing)}")
    if (value["Identity"], value["Epoch"]) != (identity, epoch):
        raise _Unreadable("it belongs to another identity or epoch")
    if len(value["Token"]) > LONGEST_TOKEN:
        raise _Unreadable(f"its token is longer than {LONGEST_TOKEN} characters")
    try:
        made_at, not_before, not_after = (believed(dt.datetime.fromisoformat(value[name])) for name in _TIMES)
        names = parse_sans(value.get("Names"), "Names")
    except (SanInvalid, ValueError) as error:
        raise _Unreadable(f"a name or a time is none: {error}") from None
    if not not_before <= made_at < not_after:
        raise _Unreadable("its validity does not begin before it was made and end after that")
    _require_belonging(value["Csr"], names, private_key)
    return CertificateRequest(
        identity=identity,
        epoch=epoch,
        authority_arn=value["AuthorityArn"],
        signing_algorithm=value["SigningAlgorithm"],
        template_arn=value["TemplateArn"],
        token=value["Token"],
        names=names,
        csr=value["Csr"],
        private_key=private_key,
        made_at=made_at,
        not_before=not_before,
        not_after=not_after,
    )


def _require_belonging(csr: str, names: tuple[San, ...], private_key: PrivateKey) -> None:
    try:
        request = x509.load_pem_x509_csr(csr.encode())
        asked = list(request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
        signed = request.is_signature_valid
    except (*UNREADABLE, x509.ExtensionNotFound):
        raise _Unreadable("its CSR cannot be read, or has no names") from None
    try:
        key = load_pem_private_key(private_key.reveal().encode(), None)
    except UNREADABLE:
        raise _Unreadable("its key cannot be read") from None
    if not signed or request.public_key() != key.public_key():
        raise _Unreadable("its CSR was not made with its key")
    if asked != [general_name(name) for name in names]:
        raise _Unreadable("its CSR asks for other names than it says")


def key_algorithm(key: object) -> str:
    """The algorithm of a public key, by ACM's name; empty for one that meshcert makes no keys of."""
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA_{key.key_size}"
    return CURVES.get(key.curve.name, "") if isinstance(key, ec.EllipticCurvePublicKey) else ""


def general_name(name: San) -> x509.GeneralName:
    """A name as CSRs and certificates hold it."""
    return x509.DNSName(str(name)) if isinstance(name, Dns) else x509.UniformResourceIdentifier(str(name))
