"""AWS's own request quotas, off until a test switches them on: the excess gets the service's throttling error."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.aws import control, operations
from local.aws.faults.buckets import TokenBucket

if TYPE_CHECKING:
    from local.aws.operations import Exchange, Onward, Request
    from local.aws.per_account import PerAccount


@dataclass(frozen=True)
class Quota:
    """
    One bucket, in each account and region.

    Args:
        rate: Requests a second in the long run.
        burst: Requests at once from a full bucket.
        actions: The operations that share it.
    """

    rate: float
    burst: float
    actions: tuple[str, ...]


def _each(rate: float, *actions: str) -> list[Quota]:
    """A bucket for each action; AWS names one figure, so a second's worth is what may come at once."""
    return [Quota(rate, rate, (action,)) for action in actions]


# Sources: ACM user guide "Quotas" (API rate quotas); Secrets Manager user guide "AWS Secrets Manager quotas" (request
# quotas); ECS developer guide "Request throttling for the Amazon ECS API" (burst and sustained); General reference
# "AWS Private Certificate Authority endpoints and quotas" and "AWS Systems Manager endpoints and quotas" (throughput by
# default); Cloud Map developer guide, "DiscoverInstances API request throttling quota".
DEFAULTS: dict[str, list[Quota]] = {
    "acm": [
        *_each(5, "RequestCertificate", "RenewCertificate", "SearchCertificates", "AddTagsToCertificate"),
        *_each(10, "ExportCertificate", "DescribeCertificate", "GetCertificate", "DeleteCertificate"),
        *_each(8, "ListCertificates"),
        *_each(1, "ImportCertificate", "PutAccountConfiguration"),
    ],
    "secretsmanager": [
        *_each(10_000, "GetSecretValue"),
        *_each(40_000, "DescribeSecret"),
        *_each(100, "BatchGetSecretValue"),
        *_each(50, "CreateSecret", "GetRandomPassword", "ListSecretVersionIds"),
        Quota(50, 50, ("PutSecretValue", "UpdateSecret", "UpdateSecretVersionStage", "ReplicateSecretToRegions")),
    ],
    "ecs": [
        Quota(5, 50, ("UpdateService", "CreateService", "DeleteService", "UpdateServicePrimaryTaskSet")),
        Quota(20, 100, ("DescribeServices", "ListServices")),
        Quota(20, 50, ("DescribeServiceDeployments",)),
        Quota(1, 20, ("RegisterTaskDefinition",)),
        Quota(20, 100, ("DescribeTasks", "ListTasks")),
    ],
    "acm-pca": [
        *_each(25, "IssueCertificate"),
        *_each(75, "GetCertificate"),
        *_each(20, "RevokeCertificate", "GetCertificateAuthorityCertificate"),
        *_each(20, "DescribeCertificateAuthority", "ListCertificateAuthorities"),
        *_each(10, "GetCertificateAuthorityCsr", "ImportCertificateAuthorityCertificate"),
        *_each(5, "ListPermissions", "PutPolicy"),
        *_each(1, "CreatePermission", "DeletePermission", "CreateCertificateAuthority"),
        *_each(1, "CreateCertificateAuthorityAuditReport"),
    ],
    "ssm": [Quota(40, 40, ("GetParameter", "GetParameters", "GetParametersByPath"))],
    "servicediscovery": [
        Quota(1_000, 2_000, ("DiscoverInstances",)),
        Quota(3_000, 3_000, ("DiscoverInstancesRevision",)),
    ],
}


class Quotas:
    """The quotas in force in one account, their buckets, and what was counted since they were set."""

    def __init__(self) -> None:
        self.on = False
        self._limits: dict[tuple[str, str], Quota] = {}
        self._buckets: dict[tuple[str, Quota], TokenBucket] = {}
        self._calls: Counter[str] = Counter()
        self._throttled: Counter[str] = Counter()

    def set(self, *, on: bool, rates: dict[str, Any] | None = None) -> None:
        """
        Begin anew with full buckets.

        Args:
            on: Whether anything is counted and refused.
            rates: Other quotas, by ``service:Action``: requests a second, or an object of ``rate`` and ``burst``. A
                bucket that several actions share changes for all of them; an action without a quota gets its own.
        """
        self.__init__()  # type: ignore[misc] # begins anew
        self.on = on
        for service, quotas in DEFAULTS.items():
            self._limits.update({(service, action): quota for quota in quotas for action in quota.actions})
        for name, value in (rates or {}).items():
            service, _, action = name.partition(":")
            if not action:
                raise ValueError(f"rate for {name!r}: service:Action is expected")
            figures = value if isinstance(value, dict) else {"rate": value, "burst": value}
            known = self._limits.get((service, action))
            actions = known.actions if known else (action,)
            quota = Quota(float(figures["rate"]), float(figures["burst"]), actions)
            self._limits.update({(service, shared): quota for shared in actions})

    def admits(self, request: Request) -> bool:
        """Count a request, and take its token if it has a quota."""
        if not self.on:
            return True
        name = f"{request.service}:{request.action}"
        self._calls[name] += 1
        quota = self._limits.get((request.service, request.action))
        if quota is None:
            return True
        place = (request.region, quota)
        if place not in self._buckets:
            self._buckets[place] = TokenBucket(quota.rate, quota.burst)
        admitted = self._buckets[place].take()
        self._throttled[name] += not admitted
        return admitted

    def report(self) -> dict[str, Any]:
        """``on``, and under ``apis`` for each API the number of calls and of those throttled."""
        apis = {name: {"calls": n, "throttled": self._throttled[name]} for name, n in sorted(self._calls.items())}
        return {"on": self.on, "apis": apis}


def install(quotas: PerAccount[Quotas]) -> None:
    """Serve ``/_local/quotas`` and stand behind the faults: what a fault refuses takes no token."""

    def configure(value: Any) -> dict[str, Any]:
        """``{"on": true, "rates": {...}}`` begins anew; anything without ``on`` only asks."""
        current = quotas.current
        if isinstance(value, dict) and "on" in value:
            current.set(on=bool(value["on"]), rates=value.get("rates"))
        return current.report()

    async def limit(exchange: Exchange, onward: Onward) -> None:
        if quotas[exchange.request.account].admits(exchange.request):
            await onward()
        else:
            await exchange.throttle("Rate exceeded")

    control.route("/_local/quotas", configure)
    operations.guard(lambda: any(one.on for one in quotas.values()), limit)
