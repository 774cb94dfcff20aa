"""
The permissions of AWS RAM: what a share lets other accounts do with a resource of one type.

Sources: Private CA guide, "Resource-based policies" and "Customer managed permissions in RAM"; RAM user guide, "Managed
permissions"; ECS developer guide, "Service Connect with shared AWS Cloud Map namespaces". What is not published there
is left out: the default permission of a namespace.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.aws.json_service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

Statement = dict[str, Any]

AUTHORITY = "acm-pca:CertificateAuthority"
NAMESPACE = "servicediscovery:Namespace"
_TEMPLATE = "arn:aws:acm-pca:::template/{}/V1"

AUTHORITY_READ = tuple(
    f"acm-pca:{action}"
    for action in (
        "DescribeCertificateAuthority",
        "GetCertificate",
        "GetCertificateAuthorityCertificate",
        "ListPermissions",
        "ListTags",
    )
)
ISSUE, REVOKE = "acm-pca:IssueCertificate", "acm-pca:RevokeCertificate"
SHAREABLE_TEMPLATES = (
    "EndEntityCertificate",
    "EndEntityClientAuthCertificate",
    "EndEntityServerAuthCertificate",
    "BlankEndEntityCertificate_APIPassthrough",
    "BlankEndEntityCertificate_APICSRPassthrough",
    "SubordinateCACertificate_PathLen0",
)
"""Short names of the templates from which another account may issue."""

# The types that can be shared here, by the beginning of their ARN's resource, with what others may do at most.
_TYPES = {
    ("acm-pca", "certificate-authority/"): AUTHORITY,
    ("servicediscovery", "namespace/"): NAMESPACE,
}
_ACTIONS = {
    AUTHORITY: {*AUTHORITY_READ, ISSUE, REVOKE},
    NAMESPACE: {
        f"servicediscovery:{action}"
        for action in (
            "CreateService",
            "DeleteService",
            "DeregisterInstance",
            "DiscoverInstances",
            "DiscoverInstancesRevision",
            "GetNamespace",
            "GetService",
            "ListInstances",
            "ListServices",
            "RegisterInstance",
            "UpdateInstanceCustomHealthStatus",
            "UpdateService",
        )
    },
}


@dataclass(frozen=True)
class SharePermission:
    """
    One permission.

    Args:
        resource_type: For example ``acm-pca:CertificateAuthority``.
        statements: What it allows, without principal and resource.
        account: Whose it is; ``aws`` for those that AWS manages.
        default: Whether a share without a permission for this type has this one.
    """

    arn: str
    name: str
    resource_type: str
    statements: tuple[Statement, ...]
    account: str = "aws"
    default: bool = False


def template_arn(name: str) -> str:
    """The ARN of one of Private CA's templates."""
    return _TEMPLATE.format(name)


def type_of(resource_arn: str) -> str:
    """
    The type of a resource that can be shared.

    Raises:
        ServiceError: If the ARN is malformed or its type cannot be shared here.
    """
    try:
        _, _, owning, _, _, resource = resource_arn.split(":", 5)
    except ValueError:
        raise ServiceError("MalformedArnException", f"{resource_arn} is no ARN") from None
    for (service, beginning), name in _TYPES.items():
        if owning == service and resource.startswith(beginning):
            return name
    raise ServiceError("InvalidResourceTypeException", f"the local RAM does not share {resource_arn}")


def customer_managed(arn: str, account: str, name: str, resource_type: str, template: str) -> SharePermission:
    """
    A permission of an account's own.

    Args:
        template: JSON of one statement with ``Effect``, ``Action`` and maybe ``Condition``.

    Raises:
        ServiceError: If the type cannot be shared, or the template is no such statement.
    """
    if resource_type not in _ACTIONS:
        raise ServiceError("InvalidParameterException", f"the local RAM does not share {resource_type}")
    try:
        statement = json.loads(template)
    except ValueError as error:
        raise ServiceError("MalformedPolicyTemplateException", f"the template of {name} is no JSON: {error}") from error
    if not isinstance(statement, dict) or not {"Effect", "Action"} <= set(statement) <= {
        "Effect",
        "Action",
        "Condition",
    }:
        raise ServiceError(
            "MalformedPolicyTemplateException",
            f"the template of {name} is one statement of Effect, Action and Condition, without Principal and Resource",
        )
    beyond = sorted(set(_listed(statement["Action"])) - _ACTIONS[resource_type])
    if statement["Effect"] != "Allow" or beyond:
        raise ServiceError(
            "InvalidPolicyException", f"the template of {name} may allow {sorted(_ACTIONS[resource_type])} alone"
        )
    return SharePermission(arn, name, resource_type, (statement,), account)


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _managed(name: str, resource_type: str, *statements: Statement, default: bool = False) -> SharePermission:
    return SharePermission(f"arn:aws:ram::aws:permission/{name}", name, resource_type, statements, default=default)


def _issuing(template: str) -> tuple[Statement, Statement]:
    return (
        {"Effect": "Allow", "Action": list(AUTHORITY_READ)},
        {
            "Effect": "Allow",
            "Action": [ISSUE],
            "Condition": {"StringEquals": {"acm-pca:TemplateArn": template_arn(template)}},
        },
    )


MANAGED: Mapping[str, SharePermission] = {
    permission.arn: permission
    for permission in (
        _managed(
            "AWSRAMDefaultPermissionCertificateAuthority", AUTHORITY, *_issuing("EndEntityCertificate"), default=True
        ),
        _managed(
            "AWSRAMSubordinateCACertificatePathLen0IssuanceCertificateAuthority",
            AUTHORITY,
            *_issuing("SubordinateCACertificate_PathLen0"),
        ),
        _managed(
            "AWSRAMBlankEndEntityCertificateAPIPassthroughIssuanceCertificateAuthority",
            AUTHORITY,
            *_issuing("BlankEndEntityCertificate_APIPassthrough"),
        ),
        _managed(
            "AWSRAMBlankEndEntityCertificateAPICSRPassthroughIssuanceCertificateAuthority",
            AUTHORITY,
            *_issuing("BlankEndEntityCertificate_APICSRPassthrough"),
        ),
        _managed("AWSRAMRevokeCertificateCertificateAuthority", AUTHORITY, {"Effect": "Allow", "Action": [REVOKE]}),
        _managed(
            "AWSRAMPermissionCloudMapECSFullPermission",
            NAMESPACE,
            {"Effect": "Allow", "Action": sorted(_ACTIONS[NAMESPACE])},
        ),
    )
}
"""What AWS manages, by ARN."""
