"""
EC2 resources of a VPC with NAT in templates.

MiniStack 1.5.33 refuses templates with AWS::EC2::EIP, NatGateway, FlowLog, SecurityGroupIngress and
SecurityGroupEgress, all of which its EC2 API knows; it forgets the prefix list of a rule.

AWS has the types (CloudFormation template reference, "Amazon Elastic Compute Cloud").

It can go when MiniStack's CloudFormation knows them.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from ministack.services import ec2

from local.aws import hooks
from local.aws.resource_type import Created, Properties, ResourceType

if TYPE_CHECKING:
    from collections.abc import Callable

_REFUSED = 400
_STORES = ("_addresses", "_nat_gateways", "_flow_logs")
_OPERATIONS = (
    "_allocate_address",
    "_release_address",
    "_create_nat_gateway",
    "_delete_nat_gateway",
    "_create_flow_logs",
    "_delete_flow_logs",
    "_authorize_sg_ingress",
    "_revoke_sg_ingress",
    "_authorize_sg_egress",
    "_revoke_sg_egress",
)


def install() -> None:
    """Register the types."""
    for name in (*_STORES, *_OPERATIONS):
        hooks.require(ec2, name)
    hooks.wrap(ec2, "_parse_ip_permissions", _with_prefix_lists)
    for resource_type in _TYPES:
        resource_type.register()


def _with_prefix_lists(inner: Callable[[Any, str], list[dict[str, Any]]]) -> Callable[[Any, str], list[dict[str, Any]]]:
    def parse(query: Any, prefix: str) -> list[dict[str, Any]]:
        rules = inner(query, prefix)
        for number, rule in enumerate(rules, start=1):
            if listed := ec2._p(query, f"{prefix}.{number}.PrefixListIds.1.PrefixListId"):
                rule["PrefixListIds"] = [{"PrefixListId": listed}]
        return rules

    return parse


def _call(operation: str, **parameters: Any) -> None:
    """
    Call an operation of MiniStack's EC2 with the parameters of the query protocol.

    Raises:
        ValueError: With EC2's answer, if it refuses.
    """
    query = {name.replace("_", "."): [str(value)] for name, value in parameters.items() if value is not None}
    status, _, body = getattr(ec2, operation)(query)
    if status >= _REFUSED:
        raise ValueError(body.decode() if isinstance(body, bytes) else str(body))


def _added(store: str, operation: str, **parameters: Any) -> str:
    """Call an operation and return the key of what it added to ``store``."""
    before = set(getattr(ec2, store))
    _call(operation, **parameters)
    (new,) = set(getattr(ec2, store)) - before
    return str(new)


def _create_address(_logical_id: str, properties: Properties, _stack: str) -> Created:
    allocation = _added("_addresses", "_allocate_address", Domain=properties.get("Domain"))
    public = ec2._addresses[allocation]["PublicIp"]
    return public, {"AllocationId": allocation, "PublicIp": public}


def _delete_address(public: str, _properties: Properties) -> None:
    for allocation, address in list(ec2._addresses.items()):
        if address["PublicIp"] == public:
            _call("_release_address", AllocationId=allocation)


def _create_nat_gateway(_logical_id: str, properties: Properties, _stack: str) -> Created:
    gateway = _added(
        "_nat_gateways",
        "_create_nat_gateway",
        SubnetId=properties["SubnetId"],
        AllocationId=properties.get("AllocationId"),
        ConnectivityType=properties.get("ConnectivityType"),
    )
    return gateway, {"NatGatewayId": gateway}


def _delete_nat_gateway(gateway: str, _properties: Properties) -> None:
    if gateway in ec2._nat_gateways:
        _call("_delete_nat_gateway", NatGatewayId=gateway)


def _create_flow_log(_logical_id: str, properties: Properties, _stack: str) -> Created:
    flow_log = _added(
        "_flow_logs",
        "_create_flow_logs",
        ResourceId_1=properties["ResourceId"],
        ResourceType=properties.get("ResourceType"),
        TrafficType=properties.get("TrafficType"),
        LogDestinationType=properties.get("LogDestinationType"),
        LogGroupName=properties.get("LogGroupName"),
        LogDestination=properties.get("LogDestination"),
    )
    return flow_log, {"Id": flow_log}


def _delete_flow_log(flow_log: str, _properties: Properties) -> None:
    if flow_log in ec2._flow_logs:
        _call("_delete_flow_logs", FlowLogId_1=flow_log)


def _rule(properties: Properties) -> dict[str, Any]:
    peer = properties.get("SourceSecurityGroupId") or properties.get("DestinationSecurityGroupId")
    return {
        "GroupId": properties["GroupId"],
        "IpPermissions_1_IpProtocol": properties.get("IpProtocol", "-1"),
        "IpPermissions_1_FromPort": properties.get("FromPort"),
        "IpPermissions_1_ToPort": properties.get("ToPort"),
        "IpPermissions_1_IpRanges_1_CidrIp": properties.get("CidrIp"),
        "IpPermissions_1_Groups_1_GroupId": peer,
        "IpPermissions_1_PrefixListIds_1_PrefixListId": properties.get("DestinationPrefixListId"),
    }


def _rule_type(name: str, authorize: str, revoke: str) -> ResourceType:
    def create(_logical_id: str, properties: Properties, _stack: str) -> Created:
        try:
            _call(authorize, **_rule(properties))
        except ValueError as error:
            # CloudFormation takes the older twin for its own, and revokes it one day.
            if "InvalidPermission.Duplicate" not in str(error):
                raise
        rule = f"sgr-{uuid.uuid4().hex[:17]}"
        return rule, {"Id": rule}

    def delete(_rule_id: str, properties: Properties) -> None:
        if properties["GroupId"] in ec2._security_groups:
            _call(revoke, **_rule(properties))

    return ResourceType(name, create=create, update=_unchanged, delete=delete)


def _unchanged(physical_id: str, _old: Properties, _new: Properties, _stack: str) -> Created:
    """Tags and descriptions, which alone may change in place, are not kept for these."""
    if physical_id.startswith("nat-"):
        return physical_id, {"NatGatewayId": physical_id}
    for allocation, address in ec2._addresses.items():
        if address["PublicIp"] == physical_id:
            return physical_id, {"AllocationId": allocation, "PublicIp": physical_id}
    return physical_id, {"Id": physical_id}


_TYPES = (
    ResourceType(
        "AWS::EC2::EIP",
        create=_create_address,
        update=_unchanged,
        delete=_delete_address,
        tagged=True,
    ),
    ResourceType(
        "AWS::EC2::NatGateway",
        create=_create_nat_gateway,
        update=_unchanged,
        delete=_delete_nat_gateway,
        tagged=True,
    ),
    ResourceType(
        "AWS::EC2::FlowLog",
        create=_create_flow_log,
        update=_unchanged,
        delete=_delete_flow_log,
        tagged=True,
    ),
    _rule_type("AWS::EC2::SecurityGroupIngress", "_authorize_sg_ingress", "_revoke_sg_ingress"),
    _rule_type("AWS::EC2::SecurityGroupEgress", "_authorize_sg_egress", "_revoke_sg_egress"),
)
