"""
What a lifetime must have been like, judged from samples: pure arithmetic.

Times are epoch seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_Value = TypeVar("_Value")

_EARLIEST_RENEWAL = 0.84
"""ACM renews at 0.848 of a lifetime; certificates know whole seconds only."""


@dataclass(frozen=True)
class Certificate:
    """
    A certificate.

    Args:
        serial: Its serial number, lower-case hex without leading zeros.
        not_after: Its end.
    """

    serial: str
    not_after: float


@dataclass(frozen=True)
class Sample:
    """
    What was seen of one identity at one time.

    Args:
        at: When.
        issued: What ACM holds.
        version: The secret version that holds what ACM holds, whether it is published or not.
        current: The version that is published; empty if only the template's placeholder is.
        last_good: The version that was proven.
        served: What the Envoys serve; None if one could not be asked, because it is starting or stopping.
        idle: Whether the renewal function has nothing to do, as its table says.
    """

    at: float
    issued: Certificate
    version: str
    current: str
    last_good: str
    served: tuple[Certificate, ...] | None
    idle: bool

    @property
    def settled(self) -> bool:
        """Issued, published, proven and served are one, and nobody has anything more to do."""
        if self.served is None or not self.idle:
            return False
        return self.version == self.current == self.last_good and {served.serial for served in self.served} <= {
            self.issued.serial
        }


@dataclass(frozen=True)
class Outage:
    """
    A time in which AWS failed an identity.

    Args:
        began: Its beginning.
        ended: Its end.
    """

    began: float
    ended: float


@dataclass(frozen=True)
class Demand:
    """
    What is asked of an identity.

    Args:
        lifetime_s: Lifetime of its certificates, seconds.
        epochs: How many versions must have been published at least.
        settled_within_s: Longest time that it may be unsettled while AWS answers.
        seen_every_s: Longest time between two samples: less than ACM needs between two certificates.
        has_services: Whether somebody serves its certificates.
    """

    lifetime_s: float
    epochs: int
    settled_within_s: float
    seen_every_s: float
    has_services: bool = True


@dataclass(frozen=True)
class Verdict:
    """
    How an identity has lived.

    Args:
        samples: How often it was looked at.
        serials: Certificates that ACM held, one after the other.
        versions: Versions that were published, ever.
        epochs: Versions that were current, one after the other; one that was current twice counts twice.
        outages: How often AWS failed it.
        longest_unsettled_s: Longest time unsettled while AWS answered.
        oldest_served: The largest part of its lifetime that a served certificate had behind it.
        faults: What was not as it must be, one sentence each.
    """

    samples: int
    serials: int
    versions: int
    epochs: int
    outages: int
    longest_unsettled_s: float
    oldest_served: float
    faults: tuple[str, ...]


def judge(samples: Sequence[Sample], published: Sequence[str], outages: Sequence[Outage], demand: Demand) -> Verdict:
    """
    Judge how an identity has lived.

    Args:
        samples: What was seen, in order of time; at least one.
        published: Every version that its secret has ever held, the placeholder left out.
        outages: When AWS failed it.
        demand: What is asked of it.
    """
    issued = list(_changes(sample.issued for sample in samples))
    current = [version for version in _changes(sample.current for sample in samples) if version]
    unsettled_s = max(_unsettled(samples, outages), default=0.0)
    served = [(sample.at, certificate) for sample in samples for certificate in sample.served or ()]
    oldest = max((1 - (one.not_after - at) / demand.lifetime_s for at, one in served), default=0.0)
    faults = [
        *_expired(served),
        *_counted(issued, current, published, demand),
        *_early(issued, demand),
        *_blind(samples, demand),
    ]
    if demand.has_services and not served:
        faults.append("no Envoy was ever seen to serve it")
    if unsettled_s > demand.settled_within_s:
        faults.append(f"unsettled for {unsettled_s:.1f} s while AWS answered, not {demand.settled_within_s:.1f}")
    # A sweep looks at what is settled too: the last sample alone may show a look under way.
    if not any(sample.settled and sample.issued == issued[-1] for sample in samples):
        faults.append("never settled on its last certificate")
    return Verdict(
        samples=len(samples),
        serials=len(issued),
        versions=len(published),
        epochs=len(current),
        outages=len(outages),
        longest_unsettled_s=round(unsettled_s, 2),
        oldest_served=round(oldest, 3),
        faults=tuple(faults),
    )


def _expired(served: Sequence[tuple[float, Certificate]]) -> Iterator[str]:
    late = [(at, certificate) for at, certificate in served if at >= certificate.not_after]
    for serial in dict.fromkeys(certificate.serial for _, certificate in late):
        for_s = max(at - certificate.not_after for at, certificate in late if certificate.serial == serial)
        yield f"certificate {serial} was served until {for_s:.1f} s after its end"


def _counted(
    issued: Sequence[Certificate], current: Sequence[str], published: Sequence[str], demand: Demand
) -> Iterator[str]:
    if len(issued) != len(set(issued)):
        yield "a certificate came back"
    if len(set(issued)) != len(set(published)):
        yield f"{len(set(issued))} certificates, but {len(set(published))} published versions"
    if len(current) != len(set(current)):
        yield "a version became current twice"
    if set(current) != set(published):
        yield f"{len(set(published))} versions are published, but {len(set(current))} were ever current"
    if len(current) < demand.epochs:
        yield f"{len(current)} epochs, not {demand.epochs}"


def _early(issued: Sequence[Certificate], demand: Demand) -> Iterator[str]:
    """Each lives equally long, so their ends are as far apart as their renewals."""
    for before, after in pairwise(issued):
        gone = (after.not_after - before.not_after) / demand.lifetime_s
        if gone < _EARLIEST_RENEWAL - 2 / demand.lifetime_s:
            yield f"certificate {before.serial} was renewed after {gone:.0%} of its lifetime"


def _blind(samples: Sequence[Sample], demand: Demand) -> Iterator[str]:
    gap_s = max((after.at - before.at for before, after in pairwise(samples)), default=0.0)
    if gap_s > demand.seen_every_s:
        yield f"nobody looked for {gap_s:.1f} s: a certificate may have come and gone"


def _changes(values: Iterable[_Value]) -> Iterator[_Value]:
    return (value for value, _ in groupby(values))


def _unsettled(samples: Sequence[Sample], outages: Sequence[Outage]) -> Iterator[float]:
    """How long each time lasted in which it was unsettled although AWS answered, seconds."""
    began: float | None = None
    for sample in samples:
        if sample.settled or any(outage.began <= sample.at <= outage.ended for outage in outages):
            if began is not None:
                yield _end(began, sample.at, outages) - began
            began = None
        elif began is None:
            began = sample.at
    if began is not None:
        yield samples[-1].at - began


def _end(began: float, at: float, outages: Sequence[Outage]) -> float:
    """Until it was settled, or until AWS failed again."""
    return min([at, *(outage.began for outage in outages if began <= outage.began <= at)])
