"""The four types of Private CA and ACM's private certificate, with the update behaviour that AWS documents."""

from __future__ import annotations

from typing import Any

from ministack.services import acm as public_acm
from ministack.services.cloudformation import provisioners

from local.aws import hooks
from local.aws.certificates import acm, authorities, revocation_lists
from local.aws.certificates.x509_signing import pem
from local.aws.json_service import ServiceError
from local.aws.patches.cloudformation.resource_type import Created, Properties, ResourceType


def install() -> None:
    """Register them; a certificate without a CA stays MiniStack's."""
    for resource_type in _TYPES:
        resource_type.register()
    handlers = hooks.require(provisioners, "_RESOURCE_HANDLERS")
    original = handlers["AWS::CertificateManager::Certificate"]

    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        if properties.get("CertificateAuthorityArn"):
            return _create_certificate(properties)
        created: Created = original["create"](logical_id, properties, stack)
        return created

    def delete(physical_id: str, properties: Properties) -> None:
        acm.delete(physical_id)
        original["delete"](physical_id, properties)

    ResourceType(
        "AWS::CertificateManager::Certificate",
        create=create,
        update=_update_certificate,
        delete=delete,
        replacing=hooks.require(provisioners, "_ACM_REPLACEMENT_PROPERTIES"),
        tagged=True,
        slow=True,
    ).register()


def _create_authority(_logical_id: str, properties: Properties, _stack: str) -> Created:
    configuration = {
        name: properties[name]
        for name in ("KeyAlgorithm", "SigningAlgorithm", "Subject", "CsrExtensions")
        if name in properties
    }
    arn = authorities.create(
        {
            "CertificateAuthorityConfiguration": {"Subject": {}, **configuration},
            "CertificateAuthorityType": properties["Type"],
            "UsageMode": properties.get("UsageMode"),
            "RevocationConfiguration": properties.get("RevocationConfiguration"),
            "KeyStorageSecurityStandard": properties.get("KeyStorageSecurityStandard"),
            "Tags": properties.get("Tags"),
        },
    )["CertificateAuthorityArn"]
    return _authority(arn)


def _authority(arn: str) -> Created:
    return arn, {"Arn": arn, "CertificateSigningRequest": pem(authorities.authority(arn).request)}


def _update_authority(arn: str, old: Properties, new: Properties, _stack: str) -> Created:
    ca = authorities.authority(arn)
    authorities.revoke_by(ca, new.get("RevocationConfiguration") or {})
    for tag in old.get("Tags") or []:
        ca.tags.pop(tag["Key"], None)
    ca.tags.update({tag["Key"]: tag["Value"] for tag in new.get("Tags") or []})
    return _authority(arn)


def _delete_authority(arn: str, _properties: Properties) -> None:
    try:
        authorities.delete({"CertificateAuthorityArn": arn})
    except ServiceError as error:
        if error.code != "ResourceNotFoundException":
            raise


def _issue(_logical_id: str, properties: Properties, _stack: str) -> Created:
    request = {**properties, "Csr": properties["CertificateSigningRequest"]}
    issued = authorities.issue(request)
    return issued.arn, {"Arn": issued.arn, "Certificate": pem(issued.certificate)}


def _activate(_logical_id: str, properties: Properties, _stack: str) -> Created:
    ca = authorities.authority(properties["CertificateAuthorityArn"])
    ca.install(properties["Certificate"], properties.get("CertificateChain") or "")
    ca.change_state(properties.get("Status") or "ACTIVE")
    revocation_lists.write(ca)
    return ca.arn, {"CompleteCertificateChain": ca.complete_chain}


def _reactivate(_physical_id: str, _old: Properties, new: Properties, stack: str) -> Created:
    """A reissued certificate or another status, on the same CA and key."""
    return _activate("", new, stack)


def _deactivate(arn: str, _properties: Properties) -> None:
    try:
        ca = authorities.authority(arn)
    except ServiceError:
        return
    if ca.state == "ACTIVE":
        ca.change_state("DISABLED")


def _permit(_logical_id: str, properties: Properties, _stack: str) -> Created:
    authorities.permit(properties)
    return f"{properties['CertificateAuthorityArn']}|{properties['Principal']}", {}


def _forbid(_physical_id: str, properties: Properties) -> None:
    try:
        authorities.forbid(properties)
    except ServiceError as error:
        if error.code != "ResourceNotFoundException":
            raise


def _create_certificate(properties: Properties) -> Created:
    certificate = acm.request({**properties, "Options": _options(properties)})
    if certificate.status != "ISSUED":
        acm.delete(certificate.arn)
        raise ValueError(
            f"the certificate for {certificate.domain_name} could not be issued: {certificate.failure_reason}",
        )
    return _certificate(certificate.arn)


def _certificate(arn: str) -> Created:
    return arn, {"CertificateArn": arn, "Arn": arn}


def _update_certificate(arn: str, old: Properties, new: Properties, stack: str) -> Created:
    record = public_acm._certificates.get(arn)
    if record is None or record.get("Type") != "PRIVATE":
        updated: Created = provisioners._acm_certificate_update(arn, old, new, stack)
        return updated
    record["Options"] = _options(new)
    hooks.require(provisioners, "_reconcile_tag_list")(record.setdefault("Tags", []), old, new)
    return _certificate(arn)


def _options(properties: Properties) -> dict[str, Any]:
    logging = properties.get("CertificateTransparencyLoggingPreference") or "ENABLED"
    options = {"CertificateTransparencyLoggingPreference": logging}
    if properties.get("CertificateExport"):
        options["Export"] = properties["CertificateExport"]
    return options


_TYPES = (
    ResourceType(
        "AWS::ACMPCA::CertificateAuthority",
        create=_create_authority,
        update=_update_authority,
        delete=_delete_authority,
        replacing=(
            "Type",
            "KeyAlgorithm",
            "SigningAlgorithm",
            "Subject",
            "UsageMode",
            "CsrExtensions",
            "KeyStorageSecurityStandard",
        ),
        tagged=True,
        slow=True,
    ),
    ResourceType(
        "AWS::ACMPCA::Certificate",
        create=_issue,
        replacing=(
            "CertificateAuthorityArn",
            "CertificateSigningRequest",
            "SigningAlgorithm",
            "TemplateArn",
            "Validity",
            "ValidityNotBefore",
            "ApiPassthrough",
        ),
        slow=True,
    ),
    ResourceType(
        "AWS::ACMPCA::CertificateAuthorityActivation",
        create=_activate,
        update=_reactivate,
        delete=_deactivate,
        replacing=("CertificateAuthorityArn",),
    ),
    ResourceType(
        "AWS::ACMPCA::Permission",
        create=_permit,
        delete=_forbid,
        replacing=("CertificateAuthorityArn", "Principal", "Actions", "SourceAccount"),
    ),
)
