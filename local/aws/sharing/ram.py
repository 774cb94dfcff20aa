"""AWS Resource Access Manager's API; there is no paging, and what is associated is associated at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ministack import app as gateway
from ministack.core import iam_actions, responses, router

from local.aws import control, hooks
from local.aws.json_service import ServiceError, fields_of
from local.aws.sharing.permissions import type_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.json_service import Response
    from local.aws.sharing.permissions import SharePermission
    from local.aws.sharing.share import Invitation, ResourceShare
    from local.aws.sharing.shares import Shares

Request = dict[str, Any]
Answer = dict[str, Any]


def install(shares: Shares) -> None:
    """Register the service with MiniStack's router; ``/_local/organization`` says which accounts are together."""
    hooks.require(router, "SERVICE_PATTERNS")["ram"] = {"host_patterns": [r"^ram\."], "credential_scope": "ram"}
    hooks.require(iam_actions, "SERVICE_TO_IAM_NAMESPACE")["ram"] = "ram"

    async def handle(_method: str, path: str, _headers: Any, body: bytes, query: dict[str, Any]) -> Response:
        operation = _OPERATIONS.get(path.strip("/"))
        if operation is None:
            return ServiceError("UnknownOperationException", f"the local RAM has no {path}").response()
        try:
            answer: Response = responses.json_response(operation(shares, {**fields_of(body), **_named(query)}))
        except ServiceError as error:
            return error.response()
        return answer

    hooks.require(gateway, "SERVICE_HANDLERS")["ram"] = handle
    control.route("/_local/organization", lambda request: {"accounts": shares.organize(request["accounts"])})


def _named(query: dict[str, Any]) -> dict[str, str]:
    return {name: value[0] if isinstance(value, list) else value for name, value in query.items()}


def _here() -> tuple[str, str]:
    return responses.get_account_id(), responses.get_region()


def _create(shares: Shares, request: Request) -> Answer:
    return {"resourceShare": _share(shares.create(*_here(), request))}


def _associate(shares: Shares, request: Request) -> Answer:
    resources, principals = request.get("resourceArns") or (), request.get("principals") or ()
    share = shares.associate(_here()[0], request["resourceShareArn"], resources, principals)
    return {"resourceShareAssociations": [*_associations(share, "RESOURCE"), *_associations(share, "PRINCIPAL")]}


def _disassociate(shares: Shares, request: Request) -> Answer:
    resources, principals = request.get("resourceArns") or (), request.get("principals") or ()
    share = shares.disassociate(_here()[0], request["resourceShareArn"], resources, principals)
    return {"resourceShareAssociations": [*_associations(share, "RESOURCE"), *_associations(share, "PRINCIPAL")]}


def _delete(shares: Shares, request: Request) -> Answer:
    shares.delete(_here()[0], request["resourceShareArn"])
    return {"returnValue": True}


def _get_shares(shares: Shares, request: Request) -> Answer:
    found = _of_owner(shares, request["resourceOwner"])
    arns, name = request.get("resourceShareArns"), request.get("name")
    return {
        "resourceShares": [
            _share(share) for share in found if (not arns or share.arn in arns) and name in {None, share.name}
        ]
    }


def _get_associations(shares: Shares, request: Request) -> Answer:
    arns = request.get("resourceShareArns")
    found = [
        association
        for share in shares.owned(*_here())
        if not arns or share.arn in arns
        for association in _associations(share, request["associationType"])
    ]
    return {"resourceShareAssociations": found}


def _list_resources(shares: Shares, request: Request) -> Answer:
    found = [
        {"arn": arn, "type": type_of(arn), "resourceShareArn": share.arn, "status": "AVAILABLE"}
        for share in _of_owner(shares, request["resourceOwner"])
        for arn in sorted(share.resources)
    ]
    wanted = request.get("resourceType")
    return {"resources": [each for each in found if wanted in {None, each["type"]}]}


def _of_owner(shares: Shares, owner: str) -> list[ResourceShare]:
    return shares.owned(*_here()) if owner == "SELF" else shares.shared_with(*_here())


def _get_invitations(shares: Shares, _request: Request) -> Answer:
    return {"resourceShareInvitations": [_invitation(each) for each in shares.invitations(*_here())]}


def _accept(shares: Shares, request: Request) -> Answer:
    arn = request["resourceShareInvitationArn"]
    return {"resourceShareInvitation": _invitation(shares.answer(_here()[0], arn, "ACCEPTED"))}


def _reject(shares: Shares, request: Request) -> Answer:
    arn = request["resourceShareInvitationArn"]
    return {"resourceShareInvitation": _invitation(shares.answer(_here()[0], arn, "REJECTED"))}


def _create_permission(shares: Shares, request: Request) -> Answer:
    return {"permission": _permission(shares.new_permission(*_here(), request))}


def _delete_permission(shares: Shares, request: Request) -> Answer:
    shares.delete_permission(_here()[0], request["permissionArn"])
    return {"returnValue": True, "permissionStatus": "DELETED"}


def _get_permission(shares: Shares, request: Request) -> Answer:
    found = shares.permission(_here()[0], request["permissionArn"])
    return {"permission": {**_permission(found), "permission": json.dumps(list(found.statements))}}


def _list_permissions(shares: Shares, request: Request) -> Answer:
    wanted = request.get("resourceType")
    found = shares.permissions(_here()[0])
    return {"permissions": [_permission(each) for each in found if wanted in {None, each.resource_type}]}


def _share(share: ResourceShare) -> Answer:
    return {
        "resourceShareArn": share.arn,
        "name": share.name,
        "owningAccountId": share.account,
        "allowExternalPrincipals": share.outside,
        "status": "ACTIVE",
        "tags": share.tags,
        "creationTime": share.created_at.timestamp(),
    }


def _associations(share: ResourceShare, kind: str) -> list[Answer]:
    return [
        {
            "resourceShareArn": share.arn,
            "resourceShareName": share.name,
            "associatedEntity": entity,
            "associationType": kind,
            "status": "ASSOCIATING" if entity in share.waiting else "ASSOCIATED",
        }
        for entity in sorted(share.resources if kind == "RESOURCE" else share.principals)
    ]


def _invitation(invitation: Invitation) -> Answer:
    return {
        "resourceShareInvitationArn": invitation.arn,
        "resourceShareArn": invitation.share.arn,
        "resourceShareName": invitation.share.name,
        "senderAccountId": invitation.share.account,
        "receiverAccountId": invitation.receiver,
        "status": invitation.status,
        "invitationTimestamp": invitation.sent_at.timestamp(),
    }


def _permission(permission: SharePermission) -> Answer:
    return {
        "arn": permission.arn,
        "name": permission.name,
        "version": "1",
        "defaultVersion": True,
        "resourceType": permission.resource_type,
        "isResourceTypeDefault": permission.default,
        "permissionType": "AWS_MANAGED" if permission.account == "aws" else "CUSTOMER_MANAGED",
    }


_OPERATIONS: dict[str, Callable[[Shares, Request], Answer]] = {
    "createresourceshare": _create,
    "associateresourceshare": _associate,
    "disassociateresourceshare": _disassociate,
    "deleteresourceshare": _delete,
    "getresourceshares": _get_shares,
    "getresourceshareassociations": _get_associations,
    "listresources": _list_resources,
    "getresourceshareinvitations": _get_invitations,
    "acceptresourceshareinvitation": _accept,
    "rejectresourceshareinvitation": _reject,
    "createpermission": _create_permission,
    "deletepermission": _delete_permission,
    "getpermission": _get_permission,
    "listpermissions": _list_permissions,
}
