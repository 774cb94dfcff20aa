"""
VPC endpoints as EC2 describes them: filtered as asked, with their security groups and private DNS.

MiniStack answers every endpoint of the account whatever is filtered, and shows neither. AWS takes a handful of filters
and refuses others (EC2 API reference, "DescribeVpcEndpoints"); an interface endpoint without a group has the VPC's
default one ("CreateVpcEndpoint").
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from ministack.services import ec2

from local.aws import hooks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Endpoint = dict[str, Any]
Request = dict[str, Any]

_FILTERS: dict[str, Callable[[Endpoint], str]] = {
    "service-name": lambda endpoint: str(endpoint["ServiceName"]),
    "vpc-endpoint-id": lambda endpoint: str(endpoint["VpcEndpointId"]),
    "vpc-endpoint-state": lambda endpoint: str(endpoint["State"]),
    "vpc-endpoint-type": lambda endpoint: str(endpoint["VpcEndpointType"]),
    "vpc-id": lambda endpoint: str(endpoint["VpcId"]),
}


def install() -> None:
    """Filter, and describe what was created."""
    for name in ("_vpc_endpoints", "_security_groups", "_parse_filters", "_parse_member_list", "_tags", "_xml"):
        hooks.require(ec2, name)
    hooks.wrap(ec2, "_vpce_fields_xml", _with_its_groups)
    hooks.wrap(ec2, "_create_vpc_endpoint", _remembering)
    hooks.replace(ec2, "_describe_vpc_endpoints", _describe)
    actions = hooks.require(ec2, "_ACTION_MAP")
    actions["CreateVpcEndpoint"] = ec2._create_vpc_endpoint
    actions["DescribeVpcEndpoints"] = _describe


def _describe(request: Request) -> Any:
    asked, filters = ec2._parse_member_list(request, "VpcEndpointId"), ec2._parse_filters(request)
    if unknown := [name for name in filters if name not in _FILTERS and not name.startswith("tag")]:
        return ec2._error("InvalidParameterValue", f"The filter '{unknown[0]}' is invalid", 400)
    found = (each for each in ec2._vpc_endpoints.values() if not asked or each["VpcEndpointId"] in asked)
    items = "".join(ec2._vpce_fields_xml(each) for each in found if _passes(each, filters))
    return ec2._xml(200, "DescribeVpcEndpointsResponse", f"<vpcEndpointSet>{items}</vpcEndpointSet>")


def _passes(endpoint: Endpoint, filters: dict[str, list[str]]) -> bool:
    """Each filter, by any of its values."""
    tags = {each["Key"]: each["Value"] for each in ec2._tags.get(endpoint["VpcEndpointId"], [])}

    def of(name: str) -> Iterable[str]:
        if name == "tag-key":
            return tags
        if name.startswith("tag:"):
            return [tags[name[4:]]] if name[4:] in tags else []
        return [_FILTERS[name](endpoint)]

    return all(any(fnmatchcase(one, value) for one in of(name) for value in values) for name, values in filters.items())


def _remembering(inner: Callable[[Request], Any]) -> Callable[[Request], Any]:
    def create(request: Request) -> Any:
        before = set(ec2._vpc_endpoints)
        inner(request)
        (made,) = (each for name, each in ec2._vpc_endpoints.items() if name not in before)
        made["SecurityGroupIds"] = ec2._parse_member_list(request, "SecurityGroupId")
        # Private DNS is on unless it is said not to be ("CreateVpcEndpoint", PrivateDnsEnabled).
        made["PrivateDnsEnabled"] = str(ec2._p(request, "PrivateDnsEnabled", "true")).lower() == "true"
        item = ec2._vpce_fields_xml(made, tag="vpcEndpoint")
        return ec2._xml(200, "CreateVpcEndpointResponse", item)

    return create


def _with_its_groups(inner: Callable[..., str]) -> Callable[..., str]:
    def fields(endpoint: Endpoint, tag: str = "item") -> str:
        text = inner(endpoint, tag)
        if endpoint["VpcEndpointType"] != "Interface":
            return text
        groups = "".join(f"<item><groupId>{each}</groupId></item>" for each in _groups(endpoint))
        dns = str(bool(endpoint.get("PrivateDnsEnabled"))).lower()
        more = f"<groupSet>{groups}</groupSet><privateDnsEnabled>{dns}</privateDnsEnabled>"
        return text.removesuffix(f"</{tag}>") + f"{more}</{tag}>"

    return fields


def _groups(endpoint: Endpoint) -> list[str]:
    if endpoint.get("SecurityGroupIds"):
        return list(endpoint["SecurityGroupIds"])
    groups = ec2._security_groups.items()
    return [
        name for name, each in groups if each.get("VpcId") == endpoint["VpcId"] and each.get("GroupName") == "default"
    ]
