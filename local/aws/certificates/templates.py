"""The four types of Private CA and ACM's private certificate in templates, with the updates that AWS documents."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ministack.services.cloudformation import provisioners

from local.aws import hooks
from local.aws.certificates import authorities, revocation_lists
from local.aws.certificates.x509_signing import pem
from local.aws.json_service import ServiceError
from local.aws.resource_type import Created, Properties, ResourceType

if TYPE_CHECKING:
    from local.aws.account import Accounts
    from local.aws.certificates.authority import CertificateAuthority

_CERTIFICATE = "AWS::CertificateManager::Certificate"


def install(accounts: Accounts) -> None:
    """Register them; a certificate without a CA stays MiniStack's."""
    for resource_type in (*_authority_types(accounts), _certificate_type(accounts)):
        resource_type.register()


def _authority_types(accounts: Accounts) -> tuple[ResourceType, ...]:
    return (
        ResourceType(
            "AWS::ACMPCA::CertificateAuthority",
            create=partial(_create_authority, accounts),
            update=partial(_update_authority, accounts),
            delete=partial(_delete_authority, accounts),
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
            create=partial(_issue, accounts),
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
            create=partial(_activate, accounts),
            update=partial(_reactivate, accounts),
            delete=partial(_deactivate, accounts),
            replacing=("CertificateAuthorityArn",),
        ),
        ResourceType(
            "AWS::ACMPCA::Permission",
            create=partial(_permit, accounts),
            delete=partial(_forbid, accounts),
            replacing=("CertificateAuthorityArn", "Principal", "Actions", "SourceAccount"),
        ),
    )


def _certificate_type(accounts: Accounts) -> ResourceType:
    original = hooks.require(provisioners, "_RESOURCE_HANDLERS")[_CERTIFICATE]

    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        if properties.get("CertificateAuthorityArn"):
            return _request_certificate(accounts, properties)
        created: Created = original["create"](logical_id, properties, stack)
        return created

    def update(arn: str, old: Properties, new: Properties, stack: str) -> Created:
        certificate = accounts.current.certificates.find(arn)
        if certificate is None:
            updated: Created = original["update"](arn, old, new, stack)
            return updated
        certificate.options = _options(new)
        hooks.require(provisioners, "_reconcile_tag_list")(certificate.tags, old, new)
        return _arn(arn)

    def delete(arn: str, properties: Properties) -> None:
        if not accounts.current.certificates.delete(arn):
            original["delete"](arn, properties)

    return ResourceType(
        _CERTIFICATE,
        create=create,
        update=update,
        delete=delete,
        replacing=hooks.require(provisioners, "_ACM_REPLACEMENT_PROPERTIES"),
        tagged=True,
        slow=True,
    )


def _request_certificate(accounts: Accounts, properties: Properties) -> Created:
    certificates = accounts.current.certificates
    certificate = certificates.request({**properties, "Options": _options(properties)})
    if certificate.status != "ISSUED":
        certificates.delete(certificate.arn)
        raise ValueError(
            f"the certificate for {certificate.domain_name} could not be issued: {certificate.failure_reason}",
        )
    return _arn(certificate.arn)


def _arn(arn: str) -> Created:
    return arn, {"CertificateArn": arn, "Arn": arn}


def _create_authority(accounts: Accounts, _logical_id: str, properties: Properties, _stack: str) -> Created:
    configuration = {
        name: properties[name]
        for name in ("KeyAlgorithm", "SigningAlgorithm", "Subject", "CsrExtensions")
        if name in properties
    }
    ca = accounts.current.authorities.create(
        {
            "CertificateAuthorityConfiguration": {"Subject": {}, **configuration},
            "CertificateAuthorityType": properties["Type"],
            "UsageMode": properties.get("UsageMode"),
            "RevocationConfiguration": properties.get("RevocationConfiguration"),
            "KeyStorageSecurityStandard": properties.get("KeyStorageSecurityStandard"),
            "Tags": properties.get("Tags"),
        },
    )
    return _described(ca)


def _described(ca: CertificateAuthority) -> Created:
    return ca.arn, {"Arn": ca.arn, "CertificateSigningRequest": pem(ca.request)}


def _update_authority(accounts: Accounts, arn: str, old: Properties, new: Properties, _stack: str) -> Created:
    ca = accounts.authority(arn)
    authorities.revoke_by(ca, new.get("RevocationConfiguration") or {})
    for tag in old.get("Tags") or []:
        ca.tags.pop(tag["Key"], None)
    ca.tags.update({tag["Key"]: tag["Value"] for tag in new.get("Tags") or []})
    return _described(ca)


def _delete_authority(accounts: Accounts, arn: str, _properties: Properties) -> None:
    try:
        authorities.delete(accounts.authority(arn))
    except ServiceError as error:
        if error.code != "ResourceNotFoundException":
            raise


def _issue(accounts: Accounts, _logical_id: str, properties: Properties, _stack: str) -> Created:
    ca = accounts.authority(properties["CertificateAuthorityArn"])
    request = {**properties, "Csr": properties["CertificateSigningRequest"]}
    issued = authorities.issue(ca, request, accounts.times)
    return issued.arn, {"Arn": issued.arn, "Certificate": pem(issued.certificate)}


def _activate(accounts: Accounts, _logical_id: str, properties: Properties, _stack: str) -> Created:
    ca = accounts.authority(properties["CertificateAuthorityArn"])
    ca.install(properties["Certificate"], properties.get("CertificateChain") or "")
    ca.change_state(properties.get("Status") or "ACTIVE")
    revocation_lists.write(ca)
    return ca.arn, {"CompleteCertificateChain": ca.complete_chain}


def _reactivate(accounts: Accounts, _physical_id: str, _old: Properties, new: Properties, stack: str) -> Created:
    """A reissued certificate or another status, on the same CA and key."""
    return _activate(accounts, "", new, stack)


def _deactivate(accounts: Accounts, arn: str, _properties: Properties) -> None:
    try:
        ca = accounts.authority(arn)
    except ServiceError:
        return
    if ca.state == "ACTIVE":
        ca.change_state("DISABLED")


def _permit(accounts: Accounts, _logical_id: str, properties: Properties, _stack: str) -> Created:
    authorities.permit(accounts.authority(properties["CertificateAuthorityArn"]), properties)
    return f"{properties['CertificateAuthorityArn']}|{properties['Principal']}", {}


def _forbid(accounts: Accounts, _physical_id: str, properties: Properties) -> None:
    try:
        authorities.forbid(accounts.authority(properties["CertificateAuthorityArn"]), properties)
    except ServiceError as error:
        if error.code != "ResourceNotFoundException":
            raise


def _options(properties: Properties) -> dict[str, Any]:
    logging = properties.get("CertificateTransparencyLoggingPreference") or "ENABLED"
    options = {"CertificateTransparencyLoggingPreference": logging}
    if properties.get("CertificateExport"):
        options["Export"] = properties["CertificateExport"]
    return options
