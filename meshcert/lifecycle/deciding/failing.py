"""Steps that fail again and again: report them to a person, and repeat refused ones ever more rarely. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshcert.errors import Rejected
from meshcert.issuing.issuer import ValidityPeriod
from meshcert.lifecycle.deciding.findings import Finding, Kind
from meshcert.lifecycle.deciding.renewal_times import next_try
from meshcert.lifecycle.deciding.steps import Action, Concern, waiting
from meshcert.lifecycle.memory import Failure

if TYPE_CHECKING:
    import datetime as dt

    from meshcert.errors import MeshcertError
    from meshcert.lifecycle.deciding.steps import Step
    from meshcert.lifecycle.memory import Memory
    from meshcert.lifecycle.observation import Observation
    from meshcert.lifecycle.policy import Policy

TOLD_AFTER_REFUSALS = 2
"""Rights of a fresh role take up to a minute to arrive, so the first refusal is not reported."""
TOLD_AFTER_TRIES = 5
"""An error that may heal by itself has had five ticks to do so."""
_LONGEST_REASON = 300


def having_failed(memory: Memory, step: Step, error: MeshcertError, now: dt.datetime) -> Memory:
    """The memory after a step has failed."""
    why = f"{type(error).__name__}: {error}"[:_LONGEST_REASON]
    before = _failure(memory, step)
    since, count = (before.since, before.count + 1) if before else (now, 1)
    failure = Failure(step.version, why, since, now, count, refused=isinstance(error, Rejected))
    return replace(memory, failures=memory.failures | {step.name: failure})


def having_succeeded(memory: Memory, step: Step) -> Memory:
    """The memory after a step was taken."""
    return only(memory, frozenset(memory.failures) - {step.name})


def only(memory: Memory, wanted: frozenset[str]) -> Memory:
    """The memory with only the failures of these steps."""
    return replace(memory, failures={name: failure for name, failure in memory.failures.items() if name in wanted})


def held_back(concern: Concern, memory: Memory, seen: Observation, policy: Policy) -> Concern:
    """
    A concern whose step waits, and is reported to a person, if it has failed before.

    Returns:
        The same concern, unless its step has failed for this very version. The first repetition comes with the next
        tick, as after any failure. A roll back is repeated at every tick, whatever the error.
    """
    step = concern.step
    failure = _failure(memory, step) if step and step.acts and not concern.failing else None
    if step is None or failure is None:
        return concern
    findings = concern.findings
    if failure.count >= (TOLD_AFTER_REFUSALS if failure.refused else TOLD_AFTER_TRIES):
        detail = f"{step.name}: {failure.count} times since {failure.since:%Y-%m-%d %H:%M} UTC: {failure.why}"
        findings = (*findings, Finding(Kind.STEP_FAILING, detail))
    left_s = _left_s(step, failure, memory, seen, policy)
    if failure.refused and step.action is not Action.ROLL_BACK and left_s > 0:
        text = f"{step.name} was refused and is tried again later: {failure.why}"
        return Concern(waiting(text, service=step.service, again_s=left_s), findings, failing=(step.name,))
    return Concern(step, findings, failing=(step.name,))


def _left_s(step: Step, failure: Failure, memory: Memory, seen: Observation, policy: Policy) -> float:
    """How long a step that has failed waits yet, seconds; what short lives depend on does not wait for long."""
    published = memory.publication
    if (
        seen.issuer.renews_anew
        and step.action in {Action.RENEW, Action.EXPORT}
        and published
        and published.not_before
        and published.not_after
    ):
        at = next_try(
            seen.identity.secret_id.encode(),
            seen.identity.name,
            step.version,
            issued_at=policy.issued_at(ValidityPeriod(published.not_before, published.not_after)),
            ends_at=published.not_after,
            failed_at=failure.at,
            failures=failure.count,
        )
        return (at - seen.now).total_seconds()
    return policy.retry_after_s(failure.count - 1) - (seen.now - failure.at).total_seconds()


def _failure(memory: Memory, step: Step) -> Failure | None:
    """
    The failure of this step for the same version; None if it has not failed.

    Failures for another version do not count.
    """
    failure = memory.failures.get(step.name)
    return failure if failure and failure.version == step.version else None
