"""One AWS account as this project keeps it, all regions together; what MiniStack keeps is in MiniStack."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from ministack.core import responses

from local.aws.certificates.authorities import Authorities
from local.aws.certificates.authority_policies import AuthorityPolicies, owner
from local.aws.certificates.private_certificates import PrivateCertificates
from local.aws.fargate.network import cloud_map_api
from local.aws.faults.calls import CallLog
from local.aws.faults.event_modes import EventModes
from local.aws.faults.faults import Faults
from local.aws.faults.other_clusters import OtherClusters
from local.aws.faults.quotas import Quotas
from local.aws.json_service import ServiceError
from local.aws.per_account import PerAccount
from local.aws.sharing.shares import Shares

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.aws.certificates.authority import CertificateAuthority
    from local.aws.config import CertificateTimes

_Part = TypeVar("_Part")


@dataclass(frozen=True)
class Account:
    """
    One account.

    Args:
        id: Twelve digits.
        certificates: The private certificates of its ACM; MiniStack keeps the public ones.
        authorities: The CAs of its Private CA.
        faults: What goes wrong with requests that the account's principals sign.
        quotas: How many requests a second its principals may make.
        event_modes: How its events misbehave.
        other_clusters: Tasks of other clusters, whose events everybody hears.
        calls: The recorded calls of one role.
        decisions: What IAM has decided (role name, action, resource ARN, whether it was allowed), in the order first
            seen.
        stopped_loops: The chains of functions that Lambda has stopped, in order.
        killed_functions: Functions whose process was killed and whose invocation has not been answered yet.
        discovered: Ids of the Cloud Map services that ever had an instance.
    """

    id: str
    certificates: PrivateCertificates
    authorities: Authorities
    faults: Faults = field(default_factory=Faults)
    quotas: Quotas = field(default_factory=Quotas)
    event_modes: EventModes = field(default_factory=EventModes)
    other_clusters: OtherClusters = field(default_factory=OtherClusters)
    calls: CallLog = field(default_factory=CallLog)
    decisions: dict[tuple[str, str, str, bool], None] = field(default_factory=dict)
    stopped_loops: list[dict[str, Any]] = field(default_factory=list)
    killed_functions: set[str] = field(default_factory=set)
    discovered: set[str] = field(default_factory=set)


class Accounts:
    """
    Every account of one local AWS, each made when it is first asked for.

    Args:
        times: When certificates are dated, renewed and warned of, in every account.

    Attributes:
        shares: What they share with each other through RAM.
        policies: Who of other accounts may use their CAs.
    """

    def __init__(self, times: CertificateTimes) -> None:
        self._times = times
        self.shares = Shares(self._exists)
        self.policies = AuthorityPolicies(self.authority, self.shares.statements_on)
        self._accounts: dict[str, Account] = {}
        self._lock = threading.Lock()

    def __getitem__(self, account_id: str) -> Account:
        with self._lock:
            if account_id not in self._accounts:
                issuer = functools.partial(self.policies.issuer, account_id)
                certificates = PrivateCertificates(account_id, self._times, issuer)
                authorities = Authorities(self._times.life_scale)
                self._accounts[account_id] = Account(account_id, certificates, authorities)
            return self._accounts[account_id]

    def __iter__(self) -> Iterator[Account]:
        with self._lock:
            return iter(list(self._accounts.values()))

    @property
    def current(self) -> Account:
        """The account of the request that is being served."""
        return self[responses.get_account_id()]

    def part(self, of: Callable[[Account], _Part]) -> PerAccount[_Part]:
        """What ``of`` takes out of an account, for each account."""
        return PerAccount(lambda account_id: of(self[account_id]), lambda: [account.id for account in self])

    def authority(self, arn: str) -> CertificateAuthority:
        """
        The certificate authority ``arn`` names, in the account that it names, in whatever state.

        Raises:
            ServiceError: If the ARN is malformed or names none.
        """
        return (self._accounts.get(owner(arn)) or self.current).authorities.find(arn)

    def _exists(self, arn: str) -> bool:
        """Whether a resource that can be shared is there: a CA, or a namespace of Cloud Map."""
        if ":acm-pca:" not in arn:
            return cloud_map_api.namespace(arn) is not None
        try:
            self.authority(arn)
        except ServiceError:
            return False
        return True

    def reset(self) -> None:
        """Begin again with new accounts; what the old ones have under way comes to nothing."""
        self.shares.forget()
        with self._lock:
            ended, self._accounts = self._accounts, {}
        for account in ended.values():
            account.certificates.forget()
            account.authorities.progress.forget()
            account.event_modes.forget()
            account.other_clusters.end()
