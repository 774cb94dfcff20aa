"""Two accounts and what one shares with the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from local.running_aws import LocalAws

OWNER, OTHER = "111122223333", "444455556666"
ISSUING = "arn:aws:ram::aws:permission/AWSRAMDefaultPermissionCertificateAuthority"
SERVICE_LINKED = "AWSServiceRoleForCertificateManager"


class InAccount:
    """A local AWS as another account's administrator sees it."""

    def __init__(self, aws: LocalAws, account: str = OTHER) -> None:
        self._aws = aws
        self.account = account

    def client(self, service: str, config: Any = None) -> Any:
        """A client of the account's administrator."""
        return self._aws.client(service, config, account=self.account)


def organize(aws: LocalAws, *accounts: str) -> None:
    """Put accounts into one organization, so that nobody is invited."""
    aws.control("POST", "/_local/organization", {"accounts": accounts or (OWNER, OTHER)})


def share(aws: LocalAws, resources: Iterable[str], *permissions: str, accounts: Iterable[str] = (OTHER,)) -> str:
    """Share resources of the local AWS's own account inside one organization; returns the share's ARN."""
    organize(aws, OWNER, *accounts)
    made = aws.client("ram").create_resource_share(
        name="mesh", resourceArns=list(resources), principals=list(accounts), permissionArns=list(permissions)
    )
    return str(made["resourceShare"]["resourceShareArn"])


def requested(aws: LocalAws, authority: str, acm: Any = None) -> dict[str, Any]:
    """A certificate that the other account has asked for: ACM's description of it."""
    acm = acm or aws.client("acm", account=OTHER)
    call = {"CertificateAuthorityArn": authority, "KeyAlgorithm": "EC_prime256v1"}
    arn = acm.request_certificate(DomainName="teller.color.local", **call)["CertificateArn"]
    detail: dict[str, Any] = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    return detail
