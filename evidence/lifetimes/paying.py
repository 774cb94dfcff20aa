"""
Rotations of a certificate that AWS Private CA issues, and how many certificates were paid for: the local AWS counts.

Private CA keeps an idempotency token for five minutes. Time passes here by making tokens and stored requests older, so
that no run has to wait for it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from evidence.lifetimes.crashes import FUNCTIONS, fault_of, role_of
from local.running_mesh import NotSettled, wait_until
from local.ticking import dispatch
from meshcert import naming
from meshcert.aws.queues.orders import OrdersQueue
from meshcert.contract.issuances import IDENTITY, REPLACES
from meshcert.lifecycle.orders import RENEW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from evidence.lifetimes.crashes import Boundary
    from evidence.lifetimes.experiment import Experiment

TOLD = "MayBePaidAgain"
"""The metric, and the alarm of the same name."""
_SETTLED_WITHIN_S, _THROTTLED_WITHIN_S, _TOLD_WITHIN_S = 90.0, 300.0, 10.0
_QUIET_S = 1.5
_POLL_S = 0.05
_HOUR = dt.timedelta(hours=1)


@dataclass(frozen=True)
class PaidRotation:
    """
    What a rotation came to.

    Args:
        settled: Whether it came to its end in time.
        certificates: Certificates that Private CA has issued, which is what AWS bills.
        versions: New versions that were published.
        told: How often the metric ``MayBePaidAgain`` was counted.
        kills: How often a process was killed.
    """

    settled: bool
    certificates: int
    versions: int
    told: int = 0
    kills: int = 0

    def faults(self, *, late: bool = False) -> Iterator[str]:
        """
        What was not as it must be.

        Args:
            late: Whether the look after a death came when Private CA had forgotten the token. Each death may then cost
                one certificate more, and it is told.
        """
        if not self.settled:
            yield "not settled in time"
        if not 1 <= self.certificates <= 1 + (self.kills if late else 0):
            yield f"{self.certificates} certificates after {self.kills} deaths"
        if self.versions != 1:
            yield f"{self.versions} versions"
        if self.told < self.certificates - 1:
            yield "not told"
        if self.told and not late:
            yield "told although a look came soon"


@dataclass(frozen=True)
class _Counted:
    certificates: int
    versions: int
    told: int


class PaidRotations:
    """
    Rotations of one identity, one after the other; a context manager that leaves no fault in force.

    Args:
        experiment: A mesh that is up and settled, and whose certificates are not due.
        identity: The identity; its CA issues for nobody else.
        looks_after_s: How much time has passed when the first look after a death comes, seconds; 0 lets no more pass
            than passes.
        tick_s: Pause between two ticks, seconds.
    """

    def __init__(self, experiment: Experiment, identity: str, looks_after_s: float = 0.0, tick_s: float = 1.0) -> None:
        self._experiment = experiment
        self._identity = identity
        self._looks_after_s = looks_after_s
        self._tick_s = tick_s
        self._orders = OrdersQueue(experiment.aws.client("sqs"), naming.queue(experiment.name, "orders"))
        self._authority = experiment.deployed.authorities[identity]

    def __enter__(self) -> Self:
        self._wait("", _SETTLED_WITHIN_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._experiment.aws.control("PUT", "/_local/faults", [])

    @property
    def certificate_arn(self) -> str:
        """ARN of the certificate in the identity's row."""
        return self._experiment.deployed.certificates[self._identity]

    def record(self, function: str) -> list[str]:
        """The calls of a function in one whole rotation, in their order, ``service:Action``."""
        aws = self._experiment.aws
        aws.control("PUT", "/_local/calls", {"role": role_of(self._experiment, function)})
        self.rotate()
        calls = aws.control("GET", "/_local/calls")
        aws.control("PUT", "/_local/calls", {"role": None})
        return [f"{service}:{action}" for service, action in calls]

    def killed_at(self, boundary: Boundary) -> PaidRotation:
        """A rotation in which a process dies at a boundary."""
        return self.rotate([fault_of(self._experiment, boundary)])

    def throttled(self, p: float) -> PaidRotation:
        """A rotation in which every call of the functions is throttled with a probability."""
        name, region = self._experiment.name, self._experiment.aws.region
        owners = (*FUNCTIONS.values(), naming.DISPATCH_ROLE)
        rules = [{"kind": "throttle", "role": naming.role(name, region, owner), "p": p} for owner in owners]
        return self.rotate(rules, within_s=_THROTTLED_WITHIN_S)

    def rotate(
        self,
        rules: Sequence[Mapping[str, Any]] = (),
        order: Callable[[], object] | None = None,
        within_s: float = _SETTLED_WITHIN_S,
    ) -> PaidRotation:
        """
        Have the certificate replaced, and wait until the identity is settled again.

        Args:
            rules: Fault rules in force meanwhile.
            order: Begins it; an operator's order if there is none.
            within_s: Longest wait, seconds.
        """
        self._days_pass()
        aws, current, before = self._experiment.aws, self._current(), self._counted()
        aws.control("PUT", "/_local/faults", list(rules))
        (order or self.order)()
        settled = True
        try:
            self._wait(current, within_s)
        except NotSettled:
            settled = False
        kills = self._kills()
        aws.control("PUT", "/_local/faults", [])
        return self._rotation(before, settled=settled, kills=kills)

    def order(self) -> str:
        """Order a renewal, as an operator does; returns the message's id."""
        return self._orders.send(RENEW, self._identity, "a rotation that is paid for")

    def pass_time(self, seconds: float) -> None:
        """Make Private CA's tokens, and the requests that are stored, older."""
        rows, table = self._experiment.mesh.client("dynamodb"), naming.issuances_table(self._experiment.name)
        for row in rows.scan(TableName=table, ConsistentRead=True)["Items"]:
            with contextlib.suppress(rows.exceptions.ConditionalCheckFailedException):
                rows.update_item(
                    TableName=table,
                    Key={key: row[key] for key in (IDENTITY, REPLACES)},
                    UpdateExpression="SET asked_at = asked_at - :passed",
                    ConditionExpression="attribute_exists(asked_at)",
                    ExpressionAttributeValues={":passed": {"N": str(seconds)}},
                )
        self._experiment.aws.control("PUT", "/_local/acm-pca/tokens", {"older_by_s": seconds})

    def _days_pass(self) -> None:
        """Since the rotation before: the budget of a day is a new one, as the rows of it have served their time."""
        rows, table = self._experiment.mesh.client("dynamodb"), naming.issuances_table(self._experiment.name)
        for row in rows.scan(TableName=table, ConsistentRead=True)["Items"]:
            rows.delete_item(TableName=table, Key={key: row[key] for key in (IDENTITY, REPLACES)})

    def _rotation(self, before: _Counted, *, settled: bool, kills: int) -> PaidRotation:
        def told() -> _Counted | None:
            # A metric arrives with the log line that holds it, a moment after the call.
            now = self._counted()
            return now if now.told - before.told >= now.certificates - before.certificates - 1 else None

        with contextlib.suppress(NotSettled):
            wait_until(told, "the metric of what may be paid again", within_s=_TOLD_WITHIN_S)
        after = self._counted()
        return PaidRotation(
            settled=settled,
            certificates=after.certificates - before.certificates,
            versions=after.versions - before.versions,
            told=after.told - before.told,
            kills=kills,
        )

    def _counted(self) -> _Counted:
        aws = self._experiment.aws
        counts = aws.control("GET", "/_local/acm-pca/issued")[self._authority]
        versions = len(set(self._experiment.mesh.published(self._identity)))
        return _Counted(counts["issued"], versions, self.told)

    @property
    def told(self) -> int:
        """How often the metric ``MayBePaidAgain`` was counted in the last hour."""
        now = dt.datetime.now(dt.UTC)
        points = self._experiment.mesh.client("cloudwatch").get_metric_statistics(
            Namespace="meshcert",
            MetricName=TOLD,
            Dimensions=[{"Name": "mesh", "Value": self._experiment.name}],
            StartTime=now - _HOUR,
            EndTime=now + _HOUR,
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        return sum(round(point["Sum"]) for point in points)

    def _kills(self) -> int:
        hits = self._experiment.aws.control("GET", "/_local/faults")["hits"]
        return sum(count for name, count in hits.items() if name.endswith(":kill"))

    def _current(self) -> str:
        return self._experiment.mesh.current_version(self._identity)

    def _wait(self, old: str, within_s: float) -> None:
        """Tick until the identity has been settled on another version than the old one for a moment."""
        ticked, since, aged = 0.0, 0.0, 0

        def there() -> bool:
            nonlocal ticked, since, aged
            now = time.monotonic()
            if self._looks_after_s and self._kills() > aged:
                self.pass_time(self._looks_after_s)
                aged += 1
            if now - ticked >= self._tick_s:
                dispatch(self._experiment.aws, self._experiment.name, "tick")
                ticked = now
            if not self._experiment.mesh.is_settled(self._identity) or self._current() == old:
                since = 0.0
                return False
            since = since or now
            return now - since >= _QUIET_S

        wait_until(there, f"{self._identity}: a rotation", within_s=within_s, every_s=_POLL_S)
