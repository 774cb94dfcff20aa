"""
Private zones of Route 53 for VPCs of other accounts: the zone's owner authorizes, the VPC's owner associates.

Source: Route 53 developer guide, "Associating an Amazon VPC and a private hosted zone that you created with different
AWS accounts".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import SubElement

from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import ec2, route53

from local.aws import hooks

if TYPE_CHECKING:
    from collections.abc import Callable

_AUTHORIZED = "authorized_vpcs"
_PATH = re.compile(r"^(?:/[\d-]+)?/hostedzone/([^/]+)/(authorizevpcassociation|deauthorizevpcassociation)$")


def install() -> None:
    """Answer CreateVPCAssociationAuthorization, DeleteVPCAssociationAuthorization, and associate over accounts."""
    for name in ("_zones", "_parse_vpc_request", "_xml_response", "_error_response", "_build_vpc_el"):
        hooks.require(route53, name)
    hooks.require(ec2, "_vpcs")
    hooks.wrap(route53, "_associate_vpc", _over_accounts)
    hooks.wrap(route53, "handle_request", _with_authorizations)


def is_owned(vpc: dict[str, str], account: str) -> bool:
    """Whether a VPC, as Route 53 names it, is the account's."""
    return bool(ec2._vpcs.get_scoped(account, vpc["VPCRegion"], vpc["VPCId"]))


def _with_authorizations(inner: Callable[..., Any]) -> Callable[..., Any]:
    async def handle(method: str, path: str, headers: Any, body: bytes, query: Any) -> Any:
        asked = _PATH.match(path)
        if asked is None or method != "POST":
            return await inner(method, path, headers, body, query)
        zone = route53._zones.get(asked[1])
        if zone is None:
            return route53._error_response("NoSuchHostedZone", f"No hosted zone found with ID: {asked[1]}", 404)
        vpc, _, error = route53._parse_vpc_request(body)
        if error:
            return error
        authorized = zone.setdefault(_AUTHORIZED, [])
        if asked[2] == "deauthorizevpcassociation":
            zone[_AUTHORIZED] = [each for each in authorized if each != vpc]
            return route53._xml_response("DeleteVPCAssociationAuthorizationResponse", lambda _: None)
        if vpc not in authorized:
            authorized.append(vpc)

        def answer(root: Any) -> None:
            SubElement(root, "HostedZoneId").text = asked[1]
            route53._build_vpc_el(root, vpc)

        return route53._xml_response("CreateVPCAssociationAuthorizationResponse", answer)

    return handle


def _over_accounts(inner: Callable[[str, bytes], Any]) -> Callable[[str, bytes], Any]:
    """AssociateVPCWithHostedZone by the owner of the VPC, whom the owner of the zone has authorized."""

    def associate(zone_id: str, body: bytes) -> Any:
        account = get_account_id()
        owner, zone = next(
            ((account_id, each) for (account_id, key), each in list(route53._zones._data.items()) if key == zone_id),
            (account, None),
        )
        vpc, _, error = route53._parse_vpc_request(body)
        if zone is None or owner == account or error:
            return inner(zone_id, body)
        if vpc not in zone.get(_AUTHORIZED, []) or not is_owned(vpc, account):
            return route53._error_response(
                "NotAuthorizedException",
                f"The VPC: {vpc['VPCId']} has not authorized to associate with your hosted zone.",
                401,
            )
        with request_scope(owner, get_region()):
            return inner(zone_id, body)

    return associate
