"""AWS Private CA (``acm-pca``): the API of the certificate authorities in :mod:`local.aws.certificates.authorities`."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ministack import app as gateway
from ministack.core import router

from local.aws import control, hooks, json_service
from local.aws.certificates import authorities, revocation_lists
from local.aws.certificates.authorities import authority
from local.aws.certificates.x509_signing import pem
from local.aws.json_service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.config import Config


def install(config: Config) -> None:
    """Register the service with MiniStack's router."""
    authorities.configure(config.certificates)
    hooks.require(router, "SERVICE_PATTERNS")["acm-pca"] = {
        "target_prefixes": ["ACMPrivateCA"],
        "host_patterns": [r"acm-pca\."],
        "credential_scope": "acm-pca",
    }
    handler = json_service.handler(_OPERATIONS, off_loop=frozenset({"CreateCertificateAuthority"}))
    hooks.require(gateway, "SERVICE_HANDLERS")["acm-pca"] = handler
    control.at_reset(authorities.forget_all)


def _list(_request: dict[str, Any]) -> dict[str, Any]:
    return {"CertificateAuthorities": [authorities.describe(ca) for ca in authorities.here()]}


def _issue(request: dict[str, Any]) -> dict[str, Any]:
    return {
        "CertificateArn": authorities.issue({**request, "Csr": _decoded(request["Csr"], "MalformedCSRException")}).arn
    }


def _get_certificate(request: dict[str, Any]) -> dict[str, Any]:
    ca = authority(request["CertificateAuthorityArn"])
    issued = ca.issued.get(request["CertificateArn"])
    if issued is None:
        raise ServiceError("ResourceNotFoundException", f"Could not find certificate {request['CertificateArn']}")
    return _with_chain(pem(issued.certificate), issued.chain)


def _get_authority_certificate(request: dict[str, Any]) -> dict[str, Any]:
    ca = authority(request["CertificateAuthorityArn"])
    if ca.certificate is None:
        raise ServiceError("InvalidStateException", f"{ca.arn} is {ca.status}: it has no certificate yet")
    return _with_chain(pem(ca.certificate), ca.chain)


def _get_request(request: dict[str, Any]) -> dict[str, Any]:
    return {"Csr": pem(authority(request["CertificateAuthorityArn"]).request)}


def _import_certificate(request: dict[str, Any]) -> dict[str, Any]:
    ca = authority(request["CertificateAuthorityArn"])
    certificate = _decoded(request["Certificate"], "MalformedCertificateException")
    ca.install(certificate, _decoded(request.get("CertificateChain") or "", "MalformedCertificateException"))
    revocation_lists.write(ca)
    return {}


def _update(request: dict[str, Any]) -> dict[str, Any]:
    ca = authority(request["CertificateAuthorityArn"])
    if ca.status not in {"ACTIVE", "DISABLED"}:
        raise ServiceError("InvalidStateException", f"{ca.arn} is {ca.status}; only ACTIVE or DISABLED can be updated")
    if "RevocationConfiguration" in request:
        authorities.revoke_by(ca, request["RevocationConfiguration"])
    if "Status" in request:
        if request["Status"] not in {"ACTIVE", "DISABLED"}:
            raise ServiceError("InvalidArgsException", f"a CA cannot be set to {request['Status']}")
        ca.change_state(request["Status"])
    return {}


def _restore(request: dict[str, Any]) -> dict[str, Any]:
    ca = authority(request["CertificateAuthorityArn"])
    if ca.state != "DELETED":
        raise ServiceError("InvalidStateException", f"{ca.arn} is {ca.status}, not DELETED")
    ca.restorable_until = None
    ca.change_state("DISABLED" if ca.certificate else "PENDING_CERTIFICATE")
    return {}


def _revoke(request: dict[str, Any]) -> dict[str, Any]:
    ca = authority(request["CertificateAuthorityArn"])
    try:
        serial = int(request["CertificateSerial"].replace(":", ""), 16)
    except ValueError as error:
        raise ServiceError("InvalidRequestException", f"not a hexadecimal serial number: {error}") from error
    if all(issued.certificate.serial_number != serial for issued in ca.issued.values()):
        raise ServiceError("ResourceNotFoundException", f"{ca.arn} issued no certificate {serial:x}")
    if serial in ca.revoked:
        raise ServiceError("RequestAlreadyProcessedException", f"certificate {serial:x} is already revoked")
    ca.revoked[serial] = datetime.now(UTC)
    revocation_lists.write(ca)
    return {}


def _put_policy(request: dict[str, Any]) -> dict[str, Any]:
    authority(request["ResourceArn"]).policy = request["Policy"]
    return {}


def _get_policy(request: dict[str, Any]) -> dict[str, Any]:
    policy = authority(request["ResourceArn"]).policy
    if policy is None:
        raise ServiceError("ResourceNotFoundException", f"{request['ResourceArn']} has no policy")
    return {"Policy": policy}


def _delete_policy(request: dict[str, Any]) -> dict[str, Any]:
    authority(request["ResourceArn"]).policy = None
    return {}


def _list_permissions(request: dict[str, Any]) -> dict[str, Any]:
    return {"Permissions": list(authority(request["CertificateAuthorityArn"]).permissions.values())}


def _list_tags(request: dict[str, Any]) -> dict[str, Any]:
    tags = authority(request["CertificateAuthorityArn"]).tags
    return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def _tag(request: dict[str, Any]) -> dict[str, Any]:
    authority(request["CertificateAuthorityArn"]).tags.update(authorities.tag_map(request["Tags"]))
    return {}


def _untag(request: dict[str, Any]) -> dict[str, Any]:
    tags = authority(request["CertificateAuthorityArn"]).tags
    for key in authorities.tag_map(request["Tags"]):
        tags.pop(key, None)
    return {}


def _with_chain(certificate: str, chain: str) -> dict[str, Any]:
    return {"Certificate": certificate, "CertificateChain": chain} if chain else {"Certificate": certificate}


def _decoded(blob: str, code: str) -> str:
    try:
        return base64.b64decode(blob, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ServiceError(code, f"not base64 of ASCII text: {error}") from error


def _describe(request: dict[str, Any]) -> dict[str, Any]:
    return {"CertificateAuthority": authorities.describe(authority(request["CertificateAuthorityArn"]))}


_OPERATIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = {
    "CreateCertificateAuthority": authorities.create,
    "DescribeCertificateAuthority": _describe,
    "ListCertificateAuthorities": _list,
    "GetCertificateAuthorityCsr": _get_request,
    "ImportCertificateAuthorityCertificate": _import_certificate,
    "GetCertificateAuthorityCertificate": _get_authority_certificate,
    "UpdateCertificateAuthority": _update,
    "DeleteCertificateAuthority": authorities.delete,
    "RestoreCertificateAuthority": _restore,
    "IssueCertificate": _issue,
    "GetCertificate": _get_certificate,
    "RevokeCertificate": _revoke,
    "CreatePermission": authorities.permit,
    "DeletePermission": authorities.forbid,
    "ListPermissions": _list_permissions,
    "PutPolicy": _put_policy,
    "GetPolicy": _get_policy,
    "DeletePolicy": _delete_policy,
    "TagCertificateAuthority": _tag,
    "UntagCertificateAuthority": _untag,
    "ListTags": _list_tags,
}
