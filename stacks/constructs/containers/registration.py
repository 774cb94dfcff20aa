"""What Cloud Map services of ours have in common, whoever owns their namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from aws_cdk import aws_servicediscovery as servicediscovery


def name_namespace_once(service: servicediscovery.IService) -> None:
    """
    Name a service's namespace in one place if it is named by its ARN.

    The CDK writes it into ``DnsConfig`` as well, where CloudFormation takes an id, of 64 characters at most.
    """
    if service.namespace.namespace_id.startswith("arn:"):
        declared = cast("servicediscovery.CfnService", service.node.default_child)
        declared.add_property_deletion_override("DnsConfig.NamespaceId")
