"""One resource share, and the invitation of an account to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass
class ResourceShare:
    """
    One resource share.

    Args:
        account: Its owner.
        outside: Whether accounts outside the owner's organization may be principals.
        permission_arns: By resource type: what it lets others do.
        waiting: Principals that have not accepted their invitation.
    """

    arn: str
    name: str
    account: str
    region: str
    outside: bool
    permission_arns: dict[str, str]
    tags: list[dict[str, str]]
    resources: set[str] = field(default_factory=set)
    principals: set[str] = field(default_factory=set)
    waiting: set[str] = field(default_factory=set)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def reaches(self, account: str) -> bool:
        """Whether an account may use what is shared."""
        return account in self.principals - self.waiting


@dataclass(frozen=True)
class Invitation:
    """An account that is asked whether it takes part in a share."""

    arn: str
    share: ResourceShare
    receiver: str
    status: str = "PENDING"
    sent_at: datetime = field(default_factory=lambda: datetime.now(UTC))
