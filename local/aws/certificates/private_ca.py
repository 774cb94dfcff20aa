"""AWS Private CA (``acm-pca``): the API of the certificate authorities in :mod:`local.aws.certificates.authorities`."""

from __future__ import annotations

import base64
import binascii
import functools
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ministack import app as gateway
from ministack.core import responses, router

from local.aws import control, hooks, json_service, messages
from local.aws.certificates import audit_reports, authorities, authority_policies, issuance, revocation_lists
from local.aws.certificates.x509_signing import pem
from local.aws.json_service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.certificates.authorities import Authorities
    from local.aws.certificates.authority import CertificateAuthority, Issued
    from local.aws.certificates.authority_policies import AuthorityPolicies
    from local.aws.config import CertificateTimes
    from local.aws.per_account import PerAccount

    Find = Callable[[str], CertificateAuthority]

# API reference, "RevokeCertificate".
_REASONS = {
    "UNSPECIFIED",
    "KEY_COMPROMISE",
    "CERTIFICATE_AUTHORITY_COMPROMISE",
    "AFFILIATION_CHANGED",
    "SUPERSEDED",
    "CESSATION_OF_OPERATION",
    "PRIVILEGE_WITHDRAWN",
    "A_A_COMPROMISE",
}

Request = dict[str, Any]
Answer = dict[str, Any]


def install(
    of_accounts: PerAccount[Authorities], find: Find, policies: AuthorityPolicies, times: CertificateTimes
) -> None:
    """
    Register the service with MiniStack's router.

    Args:
        of_accounts: The CAs of each account.
        find: Returns the CA that an ARN names, of whichever account: IAM has decided already.
        policies: Their resource policies.
    """
    hooks.require(router, "SERVICE_PATTERNS")["acm-pca"] = {
        "target_prefixes": ["ACMPrivateCA"],
        "host_patterns": [r"acm-pca\."],
        "credential_scope": "acm-pca",
    }
    operations = {name: functools.partial(_on_authority, find, operation) for name, operation in _ON_ONE.items()}
    operations["CreateCertificateAuthority"] = functools.partial(_create, of_accounts)
    operations["ListCertificateAuthorities"] = functools.partial(_list, of_accounts, policies)
    operations["GetPolicy"] = functools.partial(_get_policy, policies)
    operations["IssueCertificate"] = functools.partial(_issue, find, times)
    handler = json_service.handler(operations, off_loop=frozenset({"CreateCertificateAuthority"}))
    hooks.require(gateway, "SERVICE_HANDLERS")["acm-pca"] = handler
    control.route("/_local/acm-pca/issued", lambda _: issuance.counts(of_accounts.current))
    control.route("/_local/acm-pca/issuing", functools.partial(_hold, of_accounts))
    control.route("/_local/acm-pca/lives", functools.partial(_scale_lives, of_accounts))
    control.route("/_local/acm-pca/tokens", lambda request: issuance.age_tokens(of_accounts.current, request))


def _on_authority(
    find: Find, operation: Callable[[CertificateAuthority, Request], Answer | None], request: Request
) -> Answer:
    """Carry out an operation on the CA that the request names."""
    ca = find(request.get("CertificateAuthorityArn") or request["ResourceArn"])
    return operation(ca, request) or {}


def _create(of_accounts: PerAccount[Authorities], request: Request) -> Answer:
    return {"CertificateAuthorityArn": of_accounts.current.create(request).arn}


def _list(of_accounts: PerAccount[Authorities], policies: AuthorityPolicies, request: Request) -> Answer:
    account = responses.get_account_id()
    if request.get("ResourceOwner") == "OTHER_ACCOUNTS":
        others = [ca for other, own in of_accounts.items() if other != account for ca in own.in_region()]
        found = [ca for ca in others if policies.permits(account, ca.arn, "acm-pca:DescribeCertificateAuthority")]
    else:
        found = of_accounts.current.in_region()
    return {"CertificateAuthorities": [authorities.describe(ca) for ca in found]}


def _issue(find: Find, times: CertificateTimes, request: Request) -> Answer:
    ca = find(request["CertificateAuthorityArn"])
    decoded = {**request, "Csr": _decoded(request["Csr"], "MalformedCSRException")}
    return {"CertificateArn": issuance.issue(ca, decoded, times).arn}


def _hold(of_accounts: PerAccount[Authorities], request: Request) -> Answer:
    return of_accounts.current.progress.hold(request)


def _scale_lives(of_accounts: PerAccount[Authorities], request: Request) -> Answer:
    return of_accounts.current.lives.set(request)


def _describe(ca: CertificateAuthority, _request: Request) -> Answer:
    return {"CertificateAuthority": authorities.describe(ca)}


def _get_certificate(ca: CertificateAuthority, request: Request) -> Answer:
    issued = ca.issued.get(request["CertificateArn"])
    if issued is None:
        raise ServiceError("ResourceNotFoundException", f"Could not find certificate {request['CertificateArn']}")
    _require_made(ca, issued)
    return _with_chain(pem(issued.certificate), issued.chain)


def _require_made(ca: CertificateAuthority, issued: Issued) -> None:
    if ca.progress.is_pending(issued.arn):
        raise ServiceError("RequestInProgressException", f"the certificate {issued.arn} is not yet issued")
    if ca.progress.has_failed(issued.arn):
        raise ServiceError("RequestFailedException", f"the certificate {issued.arn} could not be issued")


def _get_authority_certificate(ca: CertificateAuthority, _request: Request) -> Answer:
    if ca.certificate is None:
        raise ServiceError("InvalidStateException", f"{ca.arn} is {ca.status}: it has no certificate yet")
    return _with_chain(pem(ca.certificate), ca.chain)


def _get_request(ca: CertificateAuthority, _request: Request) -> Answer:
    return {"Csr": pem(ca.request)}


def _import_certificate(ca: CertificateAuthority, request: Request) -> None:
    certificate = _decoded(request["Certificate"], "MalformedCertificateException")
    ca.install(certificate, _decoded(request.get("CertificateChain") or "", "MalformedCertificateException"))
    revocation_lists.write(ca)


def _update(ca: CertificateAuthority, request: Request) -> None:
    if ca.status not in {"ACTIVE", "DISABLED"}:
        raise ServiceError("InvalidStateException", f"{ca.arn} is {ca.status}; only ACTIVE or DISABLED can be updated")
    if "RevocationConfiguration" in request:
        authorities.revoke_by(ca, request["RevocationConfiguration"])
    if "Status" in request:
        if request["Status"] not in {"ACTIVE", "DISABLED"}:
            raise ServiceError("InvalidArgsException", f"a CA cannot be set to {request['Status']}")
        ca.change_state(request["Status"])


def _delete(ca: CertificateAuthority, request: Request) -> None:
    authorities.delete(ca, int(request.get("PermanentDeletionTimeInDays") or 30))


def _restore(ca: CertificateAuthority, _request: Request) -> None:
    if ca.state != "DELETED":
        raise ServiceError("InvalidStateException", f"{ca.arn} is {ca.status}, not DELETED")
    ca.restorable_until = None
    ca.change_state("DISABLED" if ca.certificate else "PENDING_CERTIFICATE")


def _revoke(ca: CertificateAuthority, request: Request) -> None:
    """RevokeCertificate, which a disabled CA does too (Private CA guide, "Delete your private CA")."""
    if ca.state not in {"ACTIVE", "DISABLED"}:
        raise ServiceError("InvalidStateException", f"{ca.arn} is {ca.status}: it revokes nothing")
    reason = request["RevocationReason"]
    if reason not in _REASONS:
        raise ServiceError("InvalidRequestException", f"{reason!r} is none of {sorted(_REASONS)}")
    try:
        serial = int(request["CertificateSerial"].replace(":", ""), 16)
    except ValueError as error:
        raise ServiceError("InvalidRequestException", f"not a hexadecimal serial number: {error}") from error
    issued = next((each for each in ca.issued.values() if each.certificate.serial_number == serial), None)
    if issued is None:
        raise ServiceError("ResourceNotFoundException", f"{ca.arn} issued no certificate {serial:x}")
    if issued.template.self_signed:
        raise ServiceError("InvalidRequestException", f"{serial:x} is the self-signed certificate of the root {ca.arn}")
    _require_made(ca, issued)
    if serial in ca.revoked:
        raise ServiceError("RequestAlreadyProcessedException", f"certificate {serial:x} is already revoked")
    ca.revoked[serial] = datetime.now(UTC)
    ca.revocation_reasons[serial] = reason
    messages.emit("aws.acm-pca", "ACM Private CA Certificate Revocation", [ca.arn, issued.arn], {"result": "success"})
    revocation_lists.write(ca)


def _put_policy(ca: CertificateAuthority, request: Request) -> None:
    authority_policies.put(ca, request["Policy"])


def _get_policy(policies: AuthorityPolicies, request: Request) -> Answer:
    document = policies.document(request["ResourceArn"])
    if document is None:
        raise ServiceError("ResourceNotFoundException", f"{request['ResourceArn']} has no policy")
    return {"Policy": json.dumps(document)}


def _delete_policy(ca: CertificateAuthority, _request: Request) -> None:
    ca.policy = None


def _list_permissions(ca: CertificateAuthority, _request: Request) -> Answer:
    return {"Permissions": list(ca.permissions.values())}


def _list_tags(ca: CertificateAuthority, _request: Request) -> Answer:
    return {"Tags": [{"Key": key, "Value": value} for key, value in ca.tags.items()]}


def _tag(ca: CertificateAuthority, request: Request) -> None:
    ca.tags.update(authorities.tag_map(request["Tags"]))


def _untag(ca: CertificateAuthority, request: Request) -> None:
    for key in authorities.tag_map(request["Tags"]):
        ca.tags.pop(key, None)


def _with_chain(certificate: str, chain: str) -> dict[str, Any]:
    return {"Certificate": certificate, "CertificateChain": chain} if chain else {"Certificate": certificate}


def _decoded(blob: str, code: str) -> str:
    try:
        return base64.b64decode(blob, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ServiceError(code, f"not base64 of ASCII text: {error}") from error


_ON_ONE: dict[str, Callable[[CertificateAuthority, Request], Answer | None]] = {
    "DescribeCertificateAuthority": _describe,
    "GetCertificateAuthorityCsr": _get_request,
    "ImportCertificateAuthorityCertificate": _import_certificate,
    "GetCertificateAuthorityCertificate": _get_authority_certificate,
    "UpdateCertificateAuthority": _update,
    "DeleteCertificateAuthority": _delete,
    "RestoreCertificateAuthority": _restore,
    "GetCertificate": _get_certificate,
    "RevokeCertificate": _revoke,
    "CreateCertificateAuthorityAuditReport": audit_reports.create,
    "DescribeCertificateAuthorityAuditReport": audit_reports.describe,
    "CreatePermission": authorities.permit,
    "DeletePermission": authorities.forbid,
    "ListPermissions": _list_permissions,
    "PutPolicy": _put_policy,
    "DeletePolicy": _delete_policy,
    "TagCertificateAuthority": _tag,
    "UntagCertificateAuthority": _untag,
    "ListTags": _list_tags,
}
