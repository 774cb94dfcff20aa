"""
Resource shares of all accounts: who shares what with whom, and who has accepted.

Sources: RAM user guide, "Sharing your AWS resources" and "Accepting and rejecting resource share invitations".
"""

from __future__ import annotations

import re
import threading
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from local.aws.json_service import ServiceError
from local.aws.sharing import permissions
from local.aws.sharing.permissions import MANAGED, NAMESPACE, SharePermission, Statement
from local.aws.sharing.share import Invitation, ResourceShare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_ACCOUNT = re.compile(r"\d{12}")


class Shares:
    """
    The shares of every account of one local AWS.

    Args:
        exists: Whether there is such a resource.
    """

    def __init__(self, exists: Callable[[str], bool]) -> None:
        self._exists = exists
        self._lock = threading.RLock()
        self._shares: dict[str, ResourceShare] = {}
        self._permissions: dict[str, SharePermission] = {}
        self._invitations: dict[str, Invitation] = {}
        self._organization: frozenset[str] = frozenset()

    def forget(self) -> None:
        """Forget everything, as a reset does; no two accounts are of one organization then."""
        with self._lock:
            self._shares.clear()
            self._permissions.clear()
            self._invitations.clear()
            self._organization = frozenset()

    def organize(self, accounts: Iterable[str]) -> list[str]:
        """Let these accounts, and no others, be one organization that has switched sharing on; returns them."""
        with self._lock:
            self._organization = frozenset(accounts)
            return sorted(self._organization)

    def create(self, account: str, region: str, request: Mapping[str, Any]) -> ResourceShare:
        """
        CreateResourceShare.

        Args:
            request: The fields of the API's request.

        Raises:
            ServiceError: As :meth:`associate`; also for two permissions of one resource type.
        """
        share = ResourceShare(
            arn=f"arn:aws:ram:{region}:{account}:resource-share/{uuid.uuid4()}",
            name=request["name"],
            account=account,
            region=region,
            outside=bool(request.get("allowExternalPrincipals", True)),
            permission_arns=self._by_type(account, request.get("permissionArns") or ()),
            tags=list(request.get("tags") or ()),
        )
        self._put(share, request.get("resourceArns") or (), request.get("principals") or ())
        with self._lock:
            self._shares[share.arn] = share
        return share

    def associate(self, account: str, arn: str, resources: Iterable[str], principals: Iterable[str]) -> ResourceShare:
        """
        AssociateResourceShare.

        Raises:
            ServiceError: If the account has no such share, a resource is not its own or not of the share's region, or a
                principal is no account, or an outsider where the share or the resource's type keeps outsiders out.
        """
        share = self.owned_share(account, arn)
        self._put(share, resources, principals)
        return share

    def disassociate(
        self, account: str, arn: str, resources: Iterable[str], principals: Iterable[str]
    ) -> ResourceShare:
        """DisassociateResourceShare: what is taken out cannot be used any more, at once."""
        share = self.owned_share(account, arn)
        gone = set(principals)
        with self._lock:
            share.resources -= set(resources)
            share.principals -= gone
            share.waiting -= gone
        return share

    def permit(self, account: str, arn: str, permission_arns: Iterable[str]) -> None:
        """Put permissions in the place of a share's. Raises ServiceError for two of one resource type."""
        self.owned_share(account, arn).permission_arns = self._by_type(account, permission_arns)

    def delete(self, account: str, arn: str) -> None:
        """DeleteResourceShare. Raises ServiceError if the account has no such share."""
        share = self.owned_share(account, arn)
        with self._lock:
            del self._shares[share.arn]

    def owned_share(self, account: str, arn: str) -> ResourceShare:
        """A share of an account. Raises ServiceError if the account has no such share."""
        share = self._shares.get(arn)
        if share is None or share.account != account:
            raise ServiceError("UnknownResourceException", f"ResourceShare {arn} could not be found.")
        return share

    def owned(self, account: str, region: str) -> list[ResourceShare]:
        """The shares of an account in a region."""
        return [share for share in list(self._shares.values()) if (share.account, share.region) == (account, region)]

    def shared_with(self, account: str, region: str) -> list[ResourceShare]:
        """The shares of others that an account takes part in, in a region."""
        return [share for share in list(self._shares.values()) if share.region == region and share.reaches(account)]

    def invitations(self, account: str, region: str) -> list[Invitation]:
        """The invitations that an account has got, whatever it answered."""
        return [
            each
            for each in list(self._invitations.values())
            if each.receiver == account and each.share.region == region
        ]

    def answer(self, account: str, arn: str, status: str) -> Invitation:
        """
        Accept or reject an invitation.

        Args:
            status: ``ACCEPTED`` or ``REJECTED``.

        Raises:
            ServiceError: If the account has no such invitation, or has answered it.
        """
        with self._lock:
            found = self._invitations.get(arn)
            if found is None or found.receiver != account:
                raise ServiceError("ResourceShareInvitationArnNotFoundException", f"{arn} was not found")
            if found.status != "PENDING":
                code = f"ResourceShareInvitationAlready{found.status.title()}Exception"
                raise ServiceError(code, f"{arn} is {found.status}")
            self._invitations[arn] = replace(found, status=status)
            if status == "ACCEPTED":
                found.share.waiting.discard(account)
            return self._invitations[arn]

    def new_permission(self, account: str, region: str, request: Mapping[str, Any]) -> SharePermission:
        """CreatePermission. Raises ServiceError if its template is none."""
        name = request["name"]
        arn = f"arn:aws:ram:{region}:{account}:permission/{name}"
        made = permissions.customer_managed(arn, account, name, request["resourceType"], request["policyTemplate"])
        with self._lock:
            if arn in self._permissions:
                raise ServiceError("PermissionAlreadyExistsException", f"there is a permission {name}")
            self._permissions[arn] = made
        return made

    def delete_permission(self, account: str, arn: str) -> None:
        """DeletePermission. Raises ServiceError if the account has none of that ARN, or a share uses it."""
        if self.permission(account, arn).account != account:
            raise ServiceError("OperationNotPermittedException", f"{arn} is AWS's")
        with self._lock:
            if any(arn in share.permission_arns.values() for share in self._shares.values()):
                raise ServiceError("OperationNotPermittedException", f"{arn} is used by a resource share")
            del self._permissions[arn]

    def permission(self, account: str, arn: str) -> SharePermission:
        """A permission that AWS manages or the account has made. Raises ServiceError if there is none."""
        found = MANAGED.get(arn) or self._permissions.get(arn)
        if found is None or found.account not in {"aws", account}:
            raise ServiceError("UnknownResourceException", f"the permission {arn} does not exist here")
        return found

    def permissions(self, account: str) -> list[SharePermission]:
        """All permissions that an account can use."""
        return [*MANAGED.values(), *(each for each in self._permissions.values() if each.account == account)]

    def statements_on(self, resource_arn: str) -> list[Statement]:
        """What others may do with a resource, as statements of its resource policy."""
        found = []
        with self._lock:
            for share in self._shares.values():
                if resource_arn not in share.resources:
                    continue
                accounts = sorted(share.principals - share.waiting)
                permission = self._permission_for(share, permissions.type_of(resource_arn))
                for statement in permission.statements if accounts else ():
                    principals = [f"arn:aws:iam::{account}:root" for account in accounts]
                    found.append({**statement, "Principal": {"AWS": principals}, "Resource": resource_arn})
        return found

    def _by_type(self, account: str, permission_arns: Iterable[str]) -> dict[str, str]:
        chosen: dict[str, str] = {}
        for arn in permission_arns:
            kind = self.permission(account, arn).resource_type
            if kind in chosen:
                raise ServiceError(
                    "InvalidParameterException", f"a share has one permission for {kind}: {chosen[kind]} or {arn}"
                )
            chosen[kind] = arn
        return chosen

    def _permission_for(self, share: ResourceShare, kind: str) -> SharePermission:
        if kind in share.permission_arns:
            return self.permission(share.account, share.permission_arns[kind])
        usual = next((each for each in MANAGED.values() if each.resource_type == kind and each.default), None)
        if usual is None:
            raise ServiceError(
                "InvalidParameterException", f"the local RAM knows no default permission for {kind}: name one"
            )
        return usual

    def _put(self, share: ResourceShare, resources: Iterable[str], principals: Iterable[str]) -> None:
        """Put resources and principals into a share, after all of them have been looked at."""
        resources, principals = set(resources), set(principals)
        for arn in sorted(resources):
            self._require_own(share, arn)
        kinds = {permissions.type_of(arn) for arn in share.resources | resources}
        for principal in sorted(principals):
            self._require_account(share, principal)
        with self._lock:
            invited = {each for each in principals - share.principals if not self._are_together(share.account, each)}
            outsiders = {each for each in share.principals | principals if not self._are_together(share.account, each)}
            if outsiders and NAMESPACE in kinds:
                raise ServiceError(
                    "OperationNotPermittedException",
                    f"a Cloud Map namespace is shared inside an organization only, and {sorted(outsiders)} are outside",
                )
            share.resources |= resources
            share.principals |= principals
            share.waiting |= invited
            for receiver in sorted(invited):
                arn = f"arn:aws:ram:{share.region}:{share.account}:resource-share-invitation/{uuid.uuid4()}"
                self._invitations[arn] = Invitation(arn, share, receiver)

    def _are_together(self, one: str, other: str) -> bool:
        return one == other or {one, other} <= self._organization

    def _require_own(self, share: ResourceShare, arn: str) -> None:
        self._permission_for(share, permissions.type_of(arn))
        _, _, _, region, account, _ = arn.split(":", 5)
        if (account, region) != (share.account, share.region) or not self._exists(arn):
            raise ServiceError(
                "UnknownResourceException",
                f"{arn} is no resource of account {share.account} in {share.region}, which alone can share it",
            )

    def _require_account(self, share: ResourceShare, principal: str) -> None:
        if not _ACCOUNT.fullmatch(principal):
            raise ServiceError("InvalidParameterException", f"the local RAM shares with accounts, not with {principal}")
        if not share.outside and not self._are_together(share.account, principal):
            raise ServiceError(
                "OperationNotPermittedException",
                f"The resource share {share.name} does not allow principals outside the organization: {principal}",
            )
