"""Decide whether the published version is bad, and which version to go back to. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.lifecycle.deciding.acknowledgements import proof, refusals
from meshcert.lifecycle.deciding.findings import Finding, Kind
from meshcert.lifecycle.deciding.rollout import deployed_version, services_in_order
from meshcert.lifecycle.deciding.steps import Action, Concern, Step
from meshcert.lifecycle.deciding.versions import doubts, ended, lives
from meshcert.lifecycle.observation import Missing, RolloutState, Unknown
from meshcert.lifecycle.orders import ROLL_BACK
from meshcert.publishing.publication import is_published

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.lifecycle.memory import Memory
    from meshcert.lifecycle.observation import Observation, Workload
    from meshcert.lifecycle.policy import Policy


def go_back(seen: Observation, memory: Memory, policy: Policy) -> Concern:
    """
    The step that leaves a bad version, if there is a good one that lives long enough.

    A version is bad if it is quarantined (a roll back was interrupted), if an instance of our own rollout failed with
    it, if running instances prove it bad, or if an operator says so. An instance that fails later does not make a
    proven version bad, nor does an image that could not be pulled. What one instance or one upstream host says makes a
    version doubtful: a person is told, and nothing goes back.
    """
    if isinstance(seen.labels, Missing | Unknown) or not seen.current:
        return Concern()
    reason = _why_bad(seen, memory)
    if not reason:
        return Concern(findings=(*_remind(memory), *doubts(seen)))
    good, obstacle = _good_one(seen, memory, policy)
    if not good:
        detail = f"{seen.current}: {reason}{f' ({obstacle})' if obstacle else ''}"
        return Concern(findings=(Finding(Kind.NOTHING_TO_GO_BACK_TO, detail),))
    step = Step(Action.ROLL_BACK, reason, version=good, away_from=seen.current)
    return Concern(step, (_rolled_back(seen.current, reason, _in_a_row(seen, memory)),))


def _good_one(seen: Observation, memory: Memory, policy: Policy) -> tuple[str, str]:
    """
    The version to go back to, and if there is none, what is in the way of the one that would be it.

    An order to roll back a proven version means the version before it. Until that one is proven again, the version that
    was left still has the label of the last good one; its quarantine outweighs that.
    """
    good = _labelled_good(seen, memory)
    if not good:
        return "", ""
    if memory.is_compromised(good):
        # Not even if a person orders it, or a roll back was begun before: this one cannot be taken back.
        return "", f"the key of {good} is compromised"
    if ended(seen, memory, good):
        return "", f"{good} has expired"
    # A person may know better; and a version that is quarantined can start nowhere.
    if _ordered(memory) or seen.current == seen.quarantined or lives(seen, memory, policy, good):
        return good, ""
    return "", f"{good} ends soon, so the fresh version stays"


def _labelled_good(seen: Observation, memory: Memory) -> str:
    if seen.last_good and seen.last_good not in {seen.current, seen.quarantined}:
        return seen.last_good
    if not _ordered(memory) and seen.current != seen.quarantined:
        return ""
    return seen.previous if is_published(seen.previous) and seen.previous != seen.quarantined else ""


def _in_a_row(seen: Observation, memory: Memory) -> int:
    """How many versions in a row are bad, the current one included."""
    before = memory.quarantine
    return 1 if before is None else before.count + (before.version != seen.current)


def _rolled_back(version: str, reason: str, in_a_row: int) -> Finding:
    if in_a_row > 1:
        return Finding(Kind.ROLLED_BACK_AGAIN, f"{version}, number {in_a_row} in a row: {reason}")
    return Finding(Kind.ROLLED_BACK, f"{version}: {reason}")


def _ordered(memory: Memory) -> bool:
    return memory.order is not None and memory.order.kind == ROLL_BACK


def _why_bad(seen: Observation, memory: Memory) -> str:
    order = memory.order
    if seen.current == seen.quarantined:
        quarantine = memory.quarantine
        known = quarantine is not None and quarantine.version == seen.current
        return quarantine.reason if quarantine and known else "it is quarantined"
    if order and _ordered(memory):
        return f"ordered: {order.reason}" if order.reason else "ordered"
    if seen.current == seen.last_good:
        return ""
    return next(_failures(seen, memory), "")


def _failures(seen: Observation, memory: Memory) -> Iterator[str]:
    """Reasons against a version that has not been proven yet."""
    for use, service in services_in_order(seen, memory):
        if service is None:
            continue
        if _tells(seen, memory, service):
            failed = service.rollout.failed or service.rollout.state is RolloutState.FAILED
            if service.failures:
                yield f"a {service.words.instance} of {use.name} failed with it: {service.failures[0]}"
            elif failed and not service.excused:
                reason = service.rollout.reason or f"a {service.words.instance} failed"
                yield f"the deployment of {use.name} failed with it: {reason}"
    if proven := proof(seen, refusals(seen, seen.current)):
        yield f"{len(proven)} refused it, the first: {proven[0]}"


def _tells(seen: Observation, memory: Memory, service: Workload) -> bool:
    """True if failures of the service's newest rollout are evidence against the published version."""
    rollout = memory.rollouts.get(service.name)
    return rollout is not None and not rollout.after_failure and deployed_version(memory, service) == seen.current


def _remind(memory: Memory) -> tuple[Finding, ...]:
    """Report again that a version was rolled back, until another one is proven."""
    quarantine = memory.quarantine
    if quarantine is None or not quarantine.count:
        return ()
    return (_rolled_back(quarantine.version, quarantine.reason, quarantine.count),)
