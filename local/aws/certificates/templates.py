"""The four types of Private CA and ACM's private certificate in templates, with the updates that AWS documents."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ministack.services.cloudformation import provisioners

from local.aws import hooks
from local.aws.certificates import authorities, issuance, revocation_lists
from local.aws.certificates.x509_signing import DEFAULT_TEMPLATE, pem
from local.aws.json_service import ServiceError
from local.aws.resource_type import Created, Properties, ResourceType

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.certificates.authorities import Authorities
    from local.aws.certificates.authority import CertificateAuthority
    from local.aws.certificates.authority_policies import AuthorityPolicies
    from local.aws.certificates.private_certificates import PrivateCertificates
    from local.aws.config import CertificateTimes
    from local.aws.per_account import PerAccount

    Find = Callable[[str], CertificateAuthority]

_CERTIFICATE = "AWS::CertificateManager::Certificate"


def install(
    certificates: PerAccount[PrivateCertificates],
    of_accounts: PerAccount[Authorities],
    policies: AuthorityPolicies,
    times: CertificateTimes,
) -> None:
    """
    Register them; a certificate without a CA stays MiniStack's.

    Args:
        of_accounts: The CAs of each account.
        policies: Which CAs of other accounts may be used, and for what: no IAM stands before CloudFormation here.
    """
    for resource_type in (*_authority_types(of_accounts, policies, times), _certificate_type(certificates)):
        resource_type.register()


def _authority_types(
    of_accounts: PerAccount[Authorities], policies: AuthorityPolicies, times: CertificateTimes
) -> tuple[ResourceType, ...]:
    # No share lets another account change a CA.
    find = partial(policies.usable, action="acm-pca:UpdateCertificateAuthority")
    return (
        ResourceType(
            "AWS::ACMPCA::CertificateAuthority",
            create=partial(_create_authority, of_accounts),
            update=partial(_update_authority, find),
            delete=partial(_delete_authority, find),
            tagged=True,
            slow=True,
        ),
        ResourceType(
            "AWS::ACMPCA::Certificate",
            create=partial(_issue, policies, times),
            slow=True,
        ),
        ResourceType(
            "AWS::ACMPCA::CertificateAuthorityActivation",
            create=partial(_activate, find),
            update=partial(_reactivate, find),
            delete=partial(_deactivate, find),
        ),
        ResourceType(
            "AWS::ACMPCA::Permission",
            create=partial(_permit, find),
            delete=partial(_forbid, find),
        ),
    )


def _certificate_type(of_accounts: PerAccount[PrivateCertificates]) -> ResourceType:
    original = hooks.require(provisioners, "_RESOURCE_HANDLERS")[_CERTIFICATE]

    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        if properties.get("CertificateAuthorityArn"):
            return _request_certificate(of_accounts.current, properties)
        created: Created = original["create"](logical_id, properties, stack)
        return created

    def update(arn: str, old: Properties, new: Properties, stack: str) -> Created:
        certificate = of_accounts.current.find(arn)
        if certificate is None:
            updated: Created = original["update"](arn, old, new, stack)
            return updated
        certificate.options = _options(new)
        hooks.require(provisioners, "_reconcile_tag_list")(certificate.tags, old, new)
        return _arn(arn)

    def delete(arn: str, properties: Properties) -> None:
        if not of_accounts.current.delete(arn):
            original["delete"](arn, properties)

    return ResourceType(
        _CERTIFICATE,
        create=create,
        update=update,
        delete=delete,
        tagged=True,
        slow=True,
    )


def _request_certificate(certificates: PrivateCertificates, properties: Properties) -> Created:
    certificate = certificates.request({**properties, "Options": _options(properties)})
    if certificate.status != "ISSUED":
        certificates.delete(certificate.arn)
        raise ValueError(
            f"the certificate for {certificate.domain_name} could not be issued: {certificate.failure_reason}",
        )
    return _arn(certificate.arn)


def _arn(arn: str) -> Created:
    return arn, {"CertificateArn": arn, "Arn": arn}


def _create_authority(
    of_accounts: PerAccount[Authorities], _logical_id: str, properties: Properties, _stack: str
) -> Created:
    configuration = {
        name: properties[name]
        for name in ("KeyAlgorithm", "SigningAlgorithm", "Subject", "CsrExtensions")
        if name in properties
    }
    ca = of_accounts.current.create(
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


def _update_authority(find: Find, arn: str, old: Properties, new: Properties, _stack: str) -> Created:
    ca = find(arn)
    authorities.revoke_by(ca, new.get("RevocationConfiguration") or {})
    for tag in old.get("Tags") or []:
        ca.tags.pop(tag["Key"], None)
    ca.tags.update({tag["Key"]: tag["Value"] for tag in new.get("Tags") or []})
    return _described(ca)


def _delete_authority(find: Find, arn: str, _properties: Properties) -> None:
    try:
        authorities.delete(find(arn))
    except ServiceError as error:
        if error.code != "ResourceNotFoundException":
            raise


def _issue(
    policies: AuthorityPolicies, times: CertificateTimes, _logical_id: str, properties: Properties, _stack: str
) -> Created:
    template = properties.get("TemplateArn") or DEFAULT_TEMPLATE
    ca = policies.usable(
        properties["CertificateAuthorityArn"], "acm-pca:IssueCertificate", {"acm-pca:TemplateArn": template}
    )
    request = {**properties, "Csr": properties["CertificateSigningRequest"]}
    issued = issuance.issue(ca, request, times)
    return issued.arn, {"Arn": issued.arn, "Certificate": pem(issued.certificate)}


def _activate(find: Find, _logical_id: str, properties: Properties, _stack: str) -> Created:
    ca = find(properties["CertificateAuthorityArn"])
    ca.install(properties["Certificate"], properties.get("CertificateChain") or "")
    ca.change_state(properties.get("Status") or "ACTIVE")
    revocation_lists.write(ca)
    return ca.arn, {"CompleteCertificateChain": ca.complete_chain}


def _reactivate(find: Find, _physical_id: str, _old: Properties, new: Properties, stack: str) -> Created:
    """A reissued certificate or another status, on the same CA and key."""
    return _activate(find, "", new, stack)


def _deactivate(find: Find, arn: str, _properties: Properties) -> None:
    try:
        ca = find(arn)
    except ServiceError:
        return
    if ca.state == "ACTIVE":
        ca.change_state("DISABLED")


def _permit(find: Find, _logical_id: str, properties: Properties, _stack: str) -> Created:
    authorities.permit(find(properties["CertificateAuthorityArn"]), properties)
    return f"{properties['CertificateAuthorityArn']}|{properties['Principal']}", {}


def _forbid(find: Find, _physical_id: str, properties: Properties) -> None:
    try:
        authorities.forbid(find(properties["CertificateAuthorityArn"]), properties)
    except ServiceError as error:
        if error.code != "ResourceNotFoundException":
            raise


def _options(properties: Properties) -> dict[str, Any]:
    logging = properties.get("CertificateTransparencyLoggingPreference") or "ENABLED"
    options = {"CertificateTransparencyLoggingPreference": logging}
    if properties.get("CertificateExport"):
        options["Export"] = properties["CertificateExport"]
    return options
