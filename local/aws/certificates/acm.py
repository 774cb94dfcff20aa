"""ACM's API for private certificates; MiniStack's own ``acm`` goes on answering for public ones."""

from __future__ import annotations

import base64
import functools
from typing import TYPE_CHECKING, Any

from ministack import app as gateway
from ministack.core import responses
from ministack.services import acm as public_acm

from local.aws import caller, control, hooks, json_service
from local.aws.certificates import acm_shapes, managed_renewal, service_linked_role
from local.aws.certificates.authority_policies import owner
from local.aws.certificates.x509_signing import pem
from local.aws.json_service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography import x509

    from local.aws.certificates.private_certificate import PrivateCertificate
    from local.aws.certificates.private_certificates import PrivateCertificates
    from local.aws.config import Config
    from local.aws.per_account import PerAccount

Request = dict[str, Any]
Answer = dict[str, Any]

_LISTED_BY_DEFAULT = ("RSA_1024", "RSA_2048")


def install(config: Config, certificates: PerAccount[PrivateCertificates]) -> None:
    """Put private certificates in front of MiniStack's service and offer ACM's daily run as a control endpoint."""
    hooks.require(public_acm, "_certificates")
    operations: dict[str, json_service.Operation] = {
        **{name: functools.partial(_in_account, certificates, operation) for name, operation in _IN_ACCOUNT.items()},
        **{name: functools.partial(_on_one, certificates, operation) for name, operation in _ON_ONE.items()},
    }
    handlers = hooks.require(gateway, "SERVICE_HANDLERS")
    handlers["acm"] = json_service.handler(
        operations, off_loop=frozenset({"RequestCertificate"}), fallback=handlers["acm"]
    )
    control.route("/_local/acm/day", lambda _: managed_renewal.day(certificates.current.all()))
    control.route("/_local/acm/renewals", managed_renewal.hold)
    control.at_reset(managed_renewal.release)
    managed_renewal.live_by_the_clock(config, certificates)


def _in_account(
    certificates: PerAccount[PrivateCertificates],
    operation: Callable[[PrivateCertificates, Request], Answer | None],
    request: Request,
) -> Answer | None:
    return operation(certificates.current, request)


def _on_one(
    certificates: PerAccount[PrivateCertificates],
    operation: Callable[[PrivateCertificate, Request], Answer | None],
    request: Request,
) -> Answer | None:
    """Carry out an operation on the private certificate that the request names; None leaves it to MiniStack."""
    certificate = certificates.current.find(request.get("CertificateArn", ""))
    return None if certificate is None else operation(certificate, request) or {}


def _request(certificates: PrivateCertificates, request: Request) -> Answer | None:
    if not request.get("CertificateAuthorityArn"):
        return None
    role = service_linked_role.arn_of(responses.get_account_id())
    is_own = owner(request["CertificateAuthorityArn"]) == responses.get_account_id()
    may_make_role = is_own or caller.may("iam:CreateServiceLinkedRole", role)
    return {"CertificateArn": certificates.request(request, may_make_role=may_make_role).arn}


def _describe(certificate: PrivateCertificate, _request: Request) -> Answer:
    return {"Certificate": acm_shapes.detail(certificate)}


def _issued(certificate: PrivateCertificate) -> x509.Certificate:
    if certificate.certificate is None:
        code = "RequestInProgressException" if certificate.status == "PENDING_VALIDATION" else "ValidationException"
        raise ServiceError(code, f"certificate {certificate.arn} is {certificate.current_status}, not issued")
    return certificate.certificate


def _get(certificate: PrivateCertificate, _request: Request) -> Answer:
    return {"Certificate": pem(_issued(certificate)), "CertificateChain": certificate.chain}


def _export(certificates: PrivateCertificates, request: Request) -> Answer:
    arn = request["CertificateArn"]
    certificate = certificates.find(arn)
    if certificate is None:
        if arn in public_acm._certificates:
            raise ServiceError("ValidationException", f"Certificate ARN: {arn} is not a private certificate")
        raise ServiceError("ResourceNotFoundException", f"Could not find certificate {arn}.")
    leaf = pem(_issued(certificate))
    key = certificate.encrypted_key(base64.b64decode(request["Passphrase"]))
    certificate.exported = True
    return {"Certificate": leaf, "CertificateChain": certificate.chain, "PrivateKey": key}


def _renew(certificate: PrivateCertificate, _request: Request) -> None:
    if certificate.pending:
        raise ServiceError("RequestInProgressException", f"a renewal of {certificate.arn} is pending")
    if not certificate.exported:
        raise ServiceError(
            "ValidationException",
            f"Certificate ARN {certificate.arn} has not been exported so it is not eligible for the Renew "
            "Certificate API.",
        )
    if not certificate.renewable:
        raise ServiceError("ValidationException", f"certificate {certificate.arn} is {certificate.current_status}")
    managed_renewal.start(certificate)


def _delete(certificates: PrivateCertificates, request: Request) -> Answer | None:
    return {} if certificates.delete(request["CertificateArn"]) else None


def _add_tags(certificate: PrivateCertificate, request: Request) -> None:
    tags = {tag["Key"]: tag for tag in [*certificate.tags, *request.get("Tags", [])]}
    certificate.tags[:] = tags.values()


def _remove_tags(certificate: PrivateCertificate, request: Request) -> None:
    removed = {tag["Key"] for tag in request.get("Tags", [])}
    certificate.tags[:] = [tag for tag in certificate.tags if tag["Key"] not in removed]


def _list_tags(certificate: PrivateCertificate, _request: Request) -> Answer:
    return {"Tags": certificate.tags}


def _update_options(certificate: PrivateCertificate, request: Request) -> None:
    certificate.options = request["Options"]


def _list(certificates: PrivateCertificates, request: Request) -> Answer:
    """ListCertificates, which leaves out EC keys unless they are asked for."""
    key_types = (request.get("Includes") or {}).get("keyTypes") or _LISTED_BY_DEFAULT
    statuses = request.get("CertificateStatuses") or []
    summaries = [acm_shapes.public_summary(record) for record in public_acm._certificates.values()]
    summaries += [acm_shapes.summary(certificate) for certificate in certificates.in_region()]
    chosen = [
        summary
        for summary in summaries
        if summary["KeyAlgorithm"] in key_types and (not statuses or summary["Status"] in statuses)
    ]
    start, size = int(request.get("NextToken") or 0), int(request.get("MaxItems") or 1000)
    more = {"NextToken": str(start + size)} if start + size < len(chosen) else {}
    return {"CertificateSummaryList": chosen[start : start + size], **more}


_IN_ACCOUNT: dict[str, Callable[[PrivateCertificates, Request], Answer | None]] = {
    "RequestCertificate": _request,
    "ExportCertificate": _export,
    "DeleteCertificate": _delete,
    "ListCertificates": _list,
}
_ON_ONE: dict[str, Callable[[PrivateCertificate, Request], Answer | None]] = {
    "DescribeCertificate": _describe,
    "GetCertificate": _get,
    "RenewCertificate": _renew,
    "AddTagsToCertificate": _add_tags,
    "RemoveTagsFromCertificate": _remove_tags,
    "ListTagsForCertificate": _list_tags,
    "UpdateCertificateOptions": _update_options,
}
