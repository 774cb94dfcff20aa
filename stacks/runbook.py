"""The runbook: every alarm of a mesh, what it means and what to do. The alarms are made from this table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from meshcert import naming
from meshcert.issuing.acm import ACM
from meshcert.lifecycle.deciding.findings import Kind, remedies

MINUTE_S = 60
SWEEP_S = 3600
NAMESPACE = "meshcert"
_LOOK = "`meshcert plan` names the identity"
# A settled identity is looked at once an hour: what a look found holds until the next one is due.
_UNTIL_THE_NEXT_SWEEP = 75

_AT = ACM.fractions
_REMEDIES = remedies(ACM)


def _percent(fraction: float) -> int:
    return round(fraction * 100)


class MissingData(StrEnum):
    """The state of an alarm in periods without a figure, by CloudWatch's name."""

    GOOD = "notBreaching"
    BAD = "breaching"
    UNCHANGED = "ignore"


@dataclass(frozen=True)
class Alarm:
    """
    An alarm that goes off when the figure reaches the threshold in ``to_alarm`` of the last ``periods`` periods.

    Args:
        name: Its name, without the mesh's in front.
        means: What has happened.
        remedy: What to do.
        threshold: The figure that is too high; with ``below``, any lower figure is too low.
        namespace: Whose metric it is.
        statistic: ``Maximum`` or ``Sum``.
        below: Makes the alarm go off *below* the threshold.
        period_s: Length of a period, seconds.
        periods: How many periods are looked at.
        to_alarm: How many of them must be bad.
        missing: How a period without a figure is judged.
    """

    name: str
    means: str
    remedy: str
    metric: str
    threshold: float
    namespace: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str = "Sum"
    below: bool = False
    period_s: int = MINUTE_S
    periods: int = 1
    to_alarm: int = 1
    missing: MissingData = MissingData.GOOD

    @property
    def description(self) -> str:
        """The line an operator reads in the alarm itself."""
        return f"{self.means}. What to do: {self.remedy}."


FINDINGS: dict[Kind, str] = {
    Kind.CERTIFICATE_MISSING: "An identity's ACM certificate does not exist",
    Kind.CERTIFICATE_UNUSABLE: "ACM failed to issue an identity's certificate, or it is revoked or expired",
    Kind.SECRET_MISSING: "An identity's secret does not exist or is to be deleted",
    Kind.RENEWAL_FAILING: "ACM cannot renew a certificate, and says why",
    Kind.SERVED_BEHIND: "A task does not serve the published version although its time is over, is denied what it "
    "needs, or is silent",
    Kind.ROLLED_BACK: "A published version was rolled back and is quarantined",
    Kind.ROLLED_BACK_AGAIN: "Two versions in a row were rolled back, or more",
    Kind.DOUBTED: "Tasks or upstreams refuse the published version, and too few to prove it bad",
    Kind.NOTHING_TO_GO_BACK_TO: "A version failed, and there is no good one to go back to",
    Kind.DEPLOYMENT_FAILING: "A deployment of a service fails",
    Kind.DEPLOYMENT_SLOW: "A service's deployment takes too long",
    Kind.SERVICE_MISSING: "A service that the mesh file declares does not exist",
    Kind.CA_MISSING: "A CA that signed a certificate does not exist",
    Kind.CA_AGEING: "A CA certificate will end before the certificates that it is to sign next",
    Kind.CA_TOO_SHORT: "A CA certificate has less left than a certificate's lifetime: renewals fail",
    Kind.STEP_FAILING: "A step for an identity fails again and again",
    Kind.AWS_DENIED: "AWS refuses a call that the renewal function needs",
    Kind.AWS_UNAVAILABLE: "AWS has not answered for a quarter of an hour",
}
"""The meaning of each finding of a look; its remedy is in :func:`meshcert.lifecycle.deciding.findings.remedies`."""

# Those that may heal by themselves: how many of the last thirty minutes must have seen them.
_OFTEN = {Kind.AWS_DENIED: 3, Kind.AWS_UNAVAILABLE: 15}

LIFETIMES = {
    "Issued": (
        (_percent(_AT.own_renewal),),
        "ACM has not renewed by itself, so meshcert asks",
        f"{_LOOK} and why no renewal came; do what ACM's reason asks for",
    ),
    "Published": (
        (_percent(_AT.warning), _percent(_AT.page)),
        "No renewed certificate is published",
        f"{_LOOK}; read the export function's log, then `meshcert renew NAME`",
    ),
    "Served": (
        (_percent(_AT.warning), _percent(_AT.page)),
        "A task still serves a certificate near its end",
        "`meshcert status` names the task; read its log (event rotation-waits), stop it if nothing else helps",
    ),
}
"""The percentages of a lifetime at which alarms go off, by subject; ACM itself renews at 84.8 %."""

QUEUES = {
    # The last look of a dispatch is delayed by 15 minutes, and a failed one comes again after 12.
    "looks": 45,
    "orders": 10,
    "dispatch": 10,
}
"""Minutes after which a message has waited too long."""

FUNCTIONS = ("export", "deploy", "verify", "renewal", "dispatch")


def alarms(mesh: str, identities: int = 1) -> tuple[Alarm, ...]:
    """
    Every alarm of a mesh, the lifecycle's first.

    Args:
        identities: Number of identities that its mesh file declares. A mesh without any is never looked at, so it gets
            no alarm about that.
    """
    return (
        *(
            lifetime_alarm(mesh, what, percent, means, remedy)
            for what, (percents, means, remedy) in LIFETIMES.items()
            for percent in percents
        ),
        *(_finding(mesh, kind) for kind in Kind),
        *_work(mesh),
        *_clock(mesh),
        *(_silence(mesh, identities) if identities else ()),
        *(_waiting(mesh, name, minutes) for name, minutes in QUEUES.items()),
        *(_dead_letters(mesh, f"{name}-dead-letters") for name in (*QUEUES, "deploy")),
        _dead_letters(mesh, "undelivered"),
        *(errors_alarm(mesh, name) for name in FUNCTIONS),
    )


def _ours(mesh: str) -> tuple[tuple[str, str], ...]:
    return (("mesh", mesh),)


def lifetime_alarm(mesh: str, what: str, percent: int, means: str, remedy: str) -> Alarm:
    """
    An alarm about how much of a life is gone.

    Args:
        what: The subject: whose life it is, and the metric's name without ``LifetimeGone``.
    """
    return Alarm(
        name=f"{what}LifetimeGone{percent}",
        means=f"{percent} % of a lifetime is gone. {means}",
        remedy=remedy,
        metric=f"{what}LifetimeGone",
        threshold=percent,
        namespace=NAMESPACE,
        dimensions=_ours(mesh),
        statistic="Maximum",
        periods=_UNTIL_THE_NEXT_SWEEP,
    )


def _finding(mesh: str, kind: Kind) -> Alarm:
    often = _OFTEN.get(kind)
    return Alarm(
        name=kind.value,
        means=FINDINGS[kind],
        remedy=f"{_REMEDIES[kind]}. {_LOOK}",
        metric=kind.value,
        threshold=1,
        namespace=NAMESPACE,
        dimensions=_ours(mesh),
        periods=30 if often else _UNTIL_THE_NEXT_SWEEP,
        to_alarm=often or 1,
    )


def counted_alarm(mesh: str, metric: str, means: str, remedy: str) -> Alarm:
    """An alarm about anything that the export function has counted in the last quarter of an hour."""
    return Alarm(
        name=metric,
        means=means,
        remedy=remedy,
        metric=metric,
        threshold=1,
        namespace=NAMESPACE,
        dimensions=_ours(mesh),
        periods=15,
    )


def _work(mesh: str) -> tuple[Alarm, ...]:
    return (
        counted_alarm(
            mesh,
            "Rejected",
            "Material from ACM did not pass the pre-flight and was not published",
            "The export function's log lists every fault; proxies serve the last version meanwhile",
        ),
        counted_alarm(
            mesh,
            "Refused",
            "An export failed for another reason than its material: AWS denies a call, or something is missing",
            "The export function's log names the call and AWS's code; `make verify-aws` compares its rights",
        ),
        Alarm(
            name="LookOverdue",
            means="An identity has not been seen whole for more than two sweeps",
            remedy=f"{_LOOK} and what could not be looked at",
            metric="SecondsSinceLook",
            # A sweep's last look may come 15 minutes after its first.
            threshold=2 * SWEEP_S + 15 * MINUTE_S,
            namespace=NAMESPACE,
            dimensions=_ours(mesh),
            statistic="Maximum",
            periods=_UNTIL_THE_NEXT_SWEEP,
        ),
    )


def _clock(mesh: str) -> tuple[Alarm, ...]:
    remedy = (
        "See whether the schedule {0} is enabled, then the queues {1} and {1}-dead-letters, "
        "then the dispatch function's log"
    )
    return tuple(
        Alarm(
            name=name,
            means=means,
            remedy=remedy.format(naming.schedule(mesh, schedule), naming.queue(mesh, "dispatch")),
            metric=metric,
            threshold=1,
            namespace=NAMESPACE,
            dimensions=_ours(mesh),
            below=True,
            period_s=period_s,
            periods=2,
            to_alarm=2,
            missing=MissingData.BAD,
        )
        for name, schedule, metric, period_s, means in (
            ("TickMissed", "tick", "Ticks", 5 * MINUTE_S, "No tick for ten minutes: what is unsettled stays so"),
            (
                "SweepMissed",
                "sweep",
                "Sweeps",
                SWEEP_S,
                "No sweep for two hours, or none yet: a lost event stays unnoticed",
            ),
        )
    )


def _silence(mesh: str, identities: int) -> tuple[Alarm, ...]:
    """
    Alarms that go off when nothing is looked at: then there are no findings, and no other alarm would notice.

    Sweeps may come and find nothing, and their looks may get lost. Two hours are longer than a deploy, during which the
    table of identities and these alarms do not change at the same moment.
    """
    return (
        Alarm(
            name="IdentitiesMissing",
            means="Two sweeps have found fewer identities than the mesh file declares, or none came",
            remedy=f"Deploy the mesh file; a row that the table {naming.identities_table(mesh)} lacks even then comes "
            "back by point-in-time recovery, or with the next change of its identity in the mesh file",
            metric="Identities",
            threshold=identities,
            namespace=NAMESPACE,
            dimensions=_ours(mesh),
            statistic="Maximum",
            below=True,
            period_s=SWEEP_S,
            periods=2,
            to_alarm=2,
            missing=MissingData.BAD,
        ),
        Alarm(
            name="LooksMissed",
            means="No identity has been looked at for two hours, or none yet: nothing is renewed or rolled out",
            remedy=f"See whether the event source mapping of the queue {naming.queue(mesh, 'looks')} is enabled and "
            "the renewal function is throttled, then that function's log",
            metric="Looks",
            threshold=1,
            namespace=NAMESPACE,
            dimensions=_ours(mesh),
            below=True,
            period_s=SWEEP_S,
            periods=2,
            to_alarm=2,
            missing=MissingData.BAD,
        ),
    )


def _waiting(mesh: str, name: str, minutes: int) -> Alarm:
    return Alarm(
        name=f"{name.capitalize()}Waiting",
        means=f"A message has waited in the queue {name} for more than {minutes} minutes",
        remedy="See whether its event source mapping is enabled and the function is throttled, then the function's log",
        metric="ApproximateAgeOfOldestMessage",
        threshold=minutes * MINUTE_S,
        namespace="AWS/SQS",
        dimensions=(("QueueName", naming.queue(mesh, name)),),
        statistic="Maximum",
        period_s=5 * MINUTE_S,
    )


def _dead_letters(mesh: str, queue: str) -> Alarm:
    return Alarm(
        name="".join(word.capitalize() for word in queue.split("-")),
        means=f"Something lies in the queue {queue}",
        remedy="Read one without deleting it, mend the cause, then redrive or delete it; the next sweep looks anyhow",
        metric="ApproximateNumberOfMessagesVisible",
        threshold=1,
        namespace="AWS/SQS",
        dimensions=(("QueueName", naming.queue(mesh, queue)),),
        statistic="Maximum",
        period_s=5 * MINUTE_S,
        # SQS reports no figures for a queue that has been idle for six hours, although messages may still wait in it.
        missing=MissingData.UNCHANGED,
    )


def errors_alarm(mesh: str, function: str) -> Alarm:
    """An alarm about a function that fails three times within half an hour."""
    return Alarm(
        name=f"{function.capitalize()}Errors",
        means=f"The {function} function fails again and again",
        remedy=f"Read its log, {naming.log_group(mesh, function)}",
        metric="Errors",
        threshold=1,
        namespace="AWS/Lambda",
        dimensions=(("FunctionName", naming.function(mesh, function)),),
        period_s=5 * MINUTE_S,
        periods=6,
        to_alarm=3,
    )
