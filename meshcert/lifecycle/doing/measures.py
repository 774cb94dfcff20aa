"""The metrics of one run, from its observation and its steps. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from meshcert.issuing.issuer import Issuance, ValidityPeriod
from meshcert.lifecycle.deciding.steps import Action
from meshcert.lifecycle.observation import Unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshcert.lifecycle.doing.reconcile import Reconciled
    from meshcert.lifecycle.memory import Memory
    from meshcert.lifecycle.observation import Observation
    from meshcert.lifecycle.policy import Policy

COUNTED = {
    Action.RENEW: "Renewals",
    Action.EXPORT: "Exports",
    Action.ROLL_BACK: "RollBacks",
    Action.REDEPLOY: "Redeployments",
    Action.PROVE: "Proven",
    Action.REVOKE: "Revocations",
}
"""The metric that counts each action."""


class Measure(NamedTuple):
    """
    A metric's value.

    Args:
        unit: CloudWatch's word: ``Count``, ``Percent`` or ``Seconds``.
    """

    value: float
    unit: str


def measures(result: Reconciled, policy: Policy) -> Mapping[str, Measure]:
    """
    The metrics of a run.

    A metric that is not known is left out: missing values and bad values have separate alarms.

    Returns:
        Values by metric name. For lifetimes, they are the percentage of a certificate's lifetime that has elapsed,
        above 100 once it has expired: of the issued certificate, of the published one, and of the oldest one that an
        instance serves.
    """
    counts = Counter({"Looks": 1})
    counts.update(COUNTED[taken.step.action] if taken.done else "StepsFailed" for taken in result.steps)
    if result.plan:
        counts.update(str(finding.kind) for finding in result.plan.findings)
    values = {name: Measure(float(count), "Count") for name, count in counts.items()}
    seen = result.seen
    if seen is None:
        return values
    memory = result.memory
    published, issued = _published(seen, memory), seen.issuance
    # Lives of hours are judged by other fractions than lives of a year, so their figures have a name of their own.
    whose = "PrivateCa" if seen.issuer.renews_anew else ""
    if isinstance(issued, Issuance) and issued.validity:
        values[f"{whose}IssuedLifetimeGone"] = _gone(issued.validity, seen, policy)
    if published:
        values[f"{whose}PublishedLifetimeGone"] = _gone(published, seen, policy)
    served = list(_served(seen, published))
    if served:
        values[f"{whose}ServedLifetimeGone"] = max(_gone(validity, seen, policy) for validity in served)
    if memory.looked_at:
        age = (seen.now - memory.looked_at).total_seconds()
        values["SecondsSinceLook"] = Measure(max(age, 0.0), "Seconds")
    return values


def _gone(validity: ValidityPeriod, seen: Observation, policy: Policy) -> Measure:
    return Measure(round(100.0 * policy.fraction_gone(validity, seen.now), 2), "Percent")


def _published(seen: Observation, memory: Memory) -> ValidityPeriod | None:
    known = memory.publication
    if known is None or known.version != seen.current or not known.not_before or not known.not_after:
        return None
    return ValidityPeriod(known.not_before, known.not_after)


def _served(seen: Observation, published: ValidityPeriod | None) -> Iterator[ValidityPeriod]:
    """The validity of the certificate that each listed instance serves."""
    if isinstance(seen.services, Unknown) or isinstance(seen.acknowledgements, Unknown):
        return
    issued = seen.issuance.validity if isinstance(seen.issuance, Issuance) else None
    like = published or issued
    for service in seen.services.values():
        for instance in service.instances if service else ():
            said = seen.acknowledgements.get(instance.id)
            if said and said.version == seen.current and published:
                yield published
            elif said and said.not_after and like:
                # An instance reports only the end; the lifetime is taken from the certificates that we know.
                yield ValidityPeriod(said.not_after - (like.not_after - like.not_before), said.not_after)
