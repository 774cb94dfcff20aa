"""Steps that keep failing: a person is told, and what only a person can mend is tried again ever later. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshcert.errors import Rejected
from meshcert.lifecycle.deciding.findings import Finding, Kind
from meshcert.lifecycle.deciding.steps import Action, Concern, waiting
from meshcert.lifecycle.memory import Failure

if TYPE_CHECKING:
    import datetime as dt

    from meshcert.errors import MeshcertError
    from meshcert.lifecycle.deciding.steps import Step
    from meshcert.lifecycle.memory import Memory
    from meshcert.lifecycle.policy import Policy

TOLD_AFTER_REFUSALS = 2
"""The rights of a fresh role take up to a minute to arrive: the first refusal wakes nobody."""
TOLD_AFTER_TRIES = 5
"""What heals by itself has had five ticks to do so."""
_LONGEST_REASON = 300


def having_failed(memory: Memory, step: Step, error: MeshcertError, now: dt.datetime) -> Memory:
    """
    The memory once a step has failed.

    Args:
        memory: What was remembered before.
        step: The step.
        error: Why.
        now: The time.
    """
    why = f"{type(error).__name__}: {error}"[:_LONGEST_REASON]
    before = _failure(memory, step)
    since, count = (before.since, before.count + 1) if before else (now, 1)
    failure = Failure(step.version, why, since, now, count, refused=isinstance(error, Rejected))
    return replace(memory, failures=memory.failures | {step.name: failure})


def having_succeeded(memory: Memory, step: Step) -> Memory:
    """The memory once a step was taken."""
    return only(memory, frozenset(memory.failures) - {step.name})


def only(memory: Memory, wanted: frozenset[str]) -> Memory:
    """The memory when only these steps are still wanted."""
    return replace(memory, failures={name: failure for name, failure in memory.failures.items() if name in wanted})


def held_back(concern: Concern, memory: Memory, now: dt.datetime, policy: Policy) -> Concern:
    """
    A concern whose step may have failed before: then a person is told, and may have to act before it is tried again.

    Args:
        concern: What it wants.
        memory: What earlier looks remembered.
        now: The time.
        policy: How long to wait.

    Returns:
        The same, unless its step has failed for this very version. The first repetition comes with the next tick, as
        after any failure; a roll back is repeated with every tick, whatever the error.
    """
    step = concern.step
    failure = _failure(memory, step) if step and step.acts and not concern.failing else None
    if step is None or failure is None:
        return concern
    findings = concern.findings
    if failure.count >= (TOLD_AFTER_REFUSALS if failure.refused else TOLD_AFTER_TRIES):
        detail = f"{step.name}: {failure.count} times since {failure.since:%Y-%m-%d %H:%M} UTC: {failure.why}"
        findings = (*findings, Finding(Kind.STEP_FAILING, detail))
    left_s = policy.retry_after_s(failure.count - 1) - (now - failure.at).total_seconds()
    if failure.refused and step.action is not Action.ROLL_BACK and left_s > 0:
        text = f"{step.name} was refused and is tried again later: {failure.why}"
        return Concern(waiting(text, service=step.service, again_s=left_s), findings, failing=(step.name,))
    return Concern(step, findings, failing=(step.name,))


def _failure(memory: Memory, step: Step) -> Failure | None:
    """The failure of this step for the same version: another version begins anew."""
    failure = memory.failures.get(step.name)
    return failure if failure and failure.version == step.version else None
