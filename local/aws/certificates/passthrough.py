"""
What a passthrough template takes from ``ApiPassthrough`` and from the signing request's own extensions.

Of two that give the same thing, the template counts before the API, and the API before the signing request (Private CA
guide, "Order of operations"). So an alternative name of the API stands in place of the signing request's names; that it
is not added to them is how the guide reads, and has not been seen on AWS.
"""

from __future__ import annotations

import base64
import ipaddress
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from local.aws.certificates.x509_signing import Passed, Template, distinguished_name
from local.aws.json_service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LONGEST_NAME = 253
_EXTENDED_USAGES = {
    "SERVER_AUTH": ExtendedKeyUsageOID.SERVER_AUTH,
    "CLIENT_AUTH": ExtendedKeyUsageOID.CLIENT_AUTH,
    "CODE_SIGNING": ExtendedKeyUsageOID.CODE_SIGNING,
    "EMAIL_PROTECTION": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "TIME_STAMPING": ExtendedKeyUsageOID.TIME_STAMPING,
    "OCSP_SIGNING": ExtendedKeyUsageOID.OCSP_SIGNING,
}
_KEY_USAGES = {
    "DigitalSignature": "digital_signature",
    "NonRepudiation": "content_commitment",
    "KeyEncipherment": "key_encipherment",
    "DataEncipherment": "data_encipherment",
    "KeyAgreement": "key_agreement",
    "KeyCertSign": "key_cert_sign",
    "CRLSign": "crl_sign",
    "EncipherOnly": "encipher_only",
    "DecipherOnly": "decipher_only",
}


def passed(template: Template, request: x509.CertificateSigningRequest, api: Mapping[str, Any]) -> Passed:
    """
    What ``template`` takes; nothing if it is a base template.

    Args:
        api: ``ApiPassthrough``, empty if there is none.

    Raises:
        ServiceError: If the template takes ``api``, and it is malformed or has what the local Private CA does not know.
    """
    subject = None
    extensions: list[x509.Extension[x509.ExtensionType]] = []
    if template.takes_api:
        subject = distinguished_name(api["Subject"]) if api.get("Subject") else None
        try:
            extensions += _given(api.get("Extensions") or {})
        except (KeyError, ValueError, TypeError) as error:
            raise ServiceError("InvalidArgsException", f"ApiPassthrough: {error!r}") from error
    if template.takes_csr:
        extensions += request.extensions
    return Passed(subject, tuple(extensions))


def _given(extensions: Mapping[str, Any]) -> Iterator[x509.Extension[x509.ExtensionType]]:
    """The extensions that ``ApiPassthrough.Extensions`` spells out."""
    for name, value in extensions.items():
        if not value:
            continue
        match name:
            case "SubjectAlternativeNames":
                yield _extension(x509.SubjectAlternativeName([_general_name(each) for each in value]))
            case "KeyUsage":
                usages = {ours: bool(value.get(theirs)) for theirs, ours in _KEY_USAGES.items()}
                yield _extension(x509.KeyUsage(**usages), critical=True)
            case "ExtendedKeyUsage":
                yield _extension(x509.ExtendedKeyUsage([_extended_usage(each) for each in value]))
            case "CertificatePolicies":
                oids = [x509.ObjectIdentifier(each["CertPolicyId"]) for each in value]
                yield _extension(x509.CertificatePolicies([x509.PolicyInformation(oid, None) for oid in oids]))
            case "CustomExtensions":
                for each in value:
                    oid, body = x509.ObjectIdentifier(each["ObjectIdentifier"]), base64.b64decode(each["Value"])
                    yield _extension(x509.UnrecognizedExtension(oid, body), critical=bool(each.get("Critical")))
            case _:
                raise ValueError(f"no such extension: {name}")


def _extended_usage(usage: Mapping[str, str]) -> x509.ObjectIdentifier:
    if known := usage.get("ExtendedKeyUsageType"):
        return _EXTENDED_USAGES[known]
    return x509.ObjectIdentifier(usage["ExtendedKeyUsageObjectIdentifier"])


def _general_name(name: Mapping[str, Any]) -> x509.GeneralName:
    """One ``GeneralName``, which has one member."""
    ((kind, value),) = name.items()
    if isinstance(value, str) and len(value) > _LONGEST_NAME:
        raise ValueError(f"{kind} is longer than {_LONGEST_NAME} characters")
    match kind:
        case "DnsName":
            return x509.DNSName(value)
        case "UniformResourceIdentifier":
            return x509.UniformResourceIdentifier(value)
        case "Rfc822Name":
            return x509.RFC822Name(value)
        case "IpAddress":
            return x509.IPAddress(ipaddress.ip_address(value))
        case "DirectoryName":
            return x509.DirectoryName(distinguished_name(value))
        case _:
            raise ValueError(f"the local Private CA makes no {kind}")


def _extension(value: x509.ExtensionType, *, critical: bool = False) -> x509.Extension[x509.ExtensionType]:
    return x509.Extension(value.oid, critical, value)
