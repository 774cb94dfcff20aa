"""Resource shares and their permissions in templates."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from ministack.core import responses

from local.aws.resource_type import Created, Properties, ResourceType

if TYPE_CHECKING:
    from local.aws.sharing.shares import Shares


def install(shares: Shares) -> None:
    """Register ``AWS::RAM::ResourceShare`` and ``AWS::RAM::Permission``."""
    ResourceType(
        "AWS::RAM::ResourceShare",
        create=partial(_share, shares),
        update=partial(_change_share, shares),
        delete=partial(_delete_share, shares),
        tagged=True,
    ).register()
    ResourceType(
        "AWS::RAM::Permission",
        create=partial(_permit, shares),
        delete=partial(_forbid, shares),
        tagged=True,
    ).register()


def _share(shares: Shares, _logical_id: str, properties: Properties, _stack: str) -> Created:
    request = {
        "name": properties["Name"],
        "resourceArns": properties.get("ResourceArns"),
        "principals": properties.get("Principals"),
        "permissionArns": properties.get("PermissionArns"),
        "allowExternalPrincipals": _true(properties.get("AllowExternalPrincipals", True)),
        "tags": [{"key": tag["Key"], "value": tag["Value"]} for tag in properties.get("Tags") or ()],
    }
    made = shares.create(responses.get_account_id(), responses.get_region(), request)
    return made.arn, {"Arn": made.arn}


def _change_share(shares: Shares, arn: str, old: Properties, new: Properties, _stack: str) -> Created:
    account = responses.get_account_id()
    share = shares.owned_share(account, arn)
    share.name, share.outside = new["Name"], _true(new.get("AllowExternalPrincipals", True))
    shares.permit(account, arn, new.get("PermissionArns") or ())
    gone = {key: set(old.get(key) or ()) - set(new.get(key) or ()) for key in ("ResourceArns", "Principals")}
    added = {key: set(new.get(key) or ()) - set(old.get(key) or ()) for key in ("ResourceArns", "Principals")}
    shares.associate(account, arn, added["ResourceArns"], added["Principals"])
    shares.disassociate(account, arn, gone["ResourceArns"], gone["Principals"])
    return arn, {"Arn": arn}


def _delete_share(shares: Shares, arn: str, _properties: Properties) -> None:
    shares.delete(responses.get_account_id(), arn)


def _permit(shares: Shares, _logical_id: str, properties: Properties, _stack: str) -> Created:
    template = properties["PolicyTemplate"]
    request = {
        "name": properties["Name"],
        "resourceType": properties["ResourceType"],
        "policyTemplate": template if isinstance(template, str) else json.dumps(template),
    }
    made = shares.new_permission(responses.get_account_id(), responses.get_region(), request)
    return made.arn, {"Arn": made.arn, "Version": "1", "PermissionType": "CUSTOMER_MANAGED"}


def _forbid(shares: Shares, arn: str, _properties: Properties) -> None:
    shares.delete_permission(responses.get_account_id(), arn)


def _true(value: object) -> bool:
    """A template's boolean, which may be a text."""
    return str(value).lower() == "true"
