"""
Take one step.

Every step is safe to repeat: if a run ends in the middle of one, the next look sees how far it got.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from meshcert.contract.staging_labels import CURRENT, LAST_GOOD, QUARANTINED
from meshcert.errors import LeaseLost, MeshcertError
from meshcert.issuing.issuer import Issuance, IssuanceState
from meshcert.lifecycle.deciding.failing import having_failed, having_succeeded
from meshcert.lifecycle.deciding.rollout import deployed_version
from meshcert.lifecycle.deciding.steps import Action, Step
from meshcert.lifecycle.memory import BegunRollout, Memory
from meshcert.lifecycle.observation import Missing, RolloutState, Unknown
from meshcert.publishing.publication import version_labelled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshcert.lifecycle.memory import Change
    from meshcert.lifecycle.observation import Observation
    from meshcert.lifecycle.ports import Ports


def _as_it_is(memory: Memory) -> Memory:
    return memory


@dataclass(frozen=True)
class TakenStep:
    """
    A step that was taken, or that failed.

    Args:
        change: The change to the memory.
        done: Whether AWS did all of it.
        outcome: ``done``, or the error.
        before: The version, rollout or instance before.
        after: The one after it.
        issuance: The issuance now; None if the issuer has to be asked.
    """

    step: Step
    change: Change = _as_it_is
    done: bool = True
    outcome: str = "done"
    before: str = ""
    after: str = ""
    issuance: Issuance | None = None


def apply(step: Step, seen: Observation, ports: Ports, save: Callable[[Change], None]) -> TakenStep:
    """
    Take a step of a plan.

    Args:
        seen: The observation that the plan was made from.
        save: Writes a change of the memory at once, before a call to AWS that must not be made twice.

    Returns:
        The step with its outcome. An error of AWS is an outcome too: the next look sees the rest.

    Raises:
        LeaseLost: If another run has taken over the identity.
    """
    try:
        taken = _STEPS[step.action](step, seen, ports, save)
    except LeaseLost:
        raise
    except MeshcertError as error:
        # A saved change stays: the call may have had its effect although no answer came.
        failed = partial(having_failed, step=step, error=error, now=seen.now)
        return TakenStep(step, failed, done=False, outcome=f"{type(error).__name__}: {error}", before=step.away_from)
    return replace(taken, change=lambda memory: having_succeeded(taken.change(memory), step))


def _renew(step: Step, seen: Observation, ports: Ports, save: Callable[[Change], None]) -> TakenStep:
    del save
    issued = _unchanged(seen) or Issuance(seen.identity.certificate_arn, IssuanceState.UNUSABLE, "MISSING")
    ports.issuers[seen.identity.issuer].renew(seen.identity.name, issued)
    return TakenStep(step, lambda memory: memory.renewing(step.version, seen.now), before=step.version)


def _export(step: Step, seen: Observation, ports: Ports, save: Callable[[Change], None]) -> TakenStep:
    del save
    version = ports.exporter.export(seen.identity.name, step.version)
    issued = _unchanged(seen)
    known = issued.taken_out() if issued and issued.version == version else None
    return TakenStep(step, before=seen.current, after=version, issuance=known)


def _roll_back(step: Step, seen: Observation, ports: Ports, save: Callable[[Change], None]) -> TakenStep:
    bad, secret = step.away_from, seen.identity.secret_id
    save(lambda memory: memory.quarantining(bad, step.why, seen.now))
    # Quarantine first: if the run ends between the two calls, the current version is labelled as bad.
    if seen.quarantined != bad:
        ports.labels.move_label(secret, QUARANTINED, to=bad, away_from=seen.quarantined or None)
    ports.labels.move_label(secret, CURRENT, to=step.version, away_from=bad)
    return TakenStep(step, Memory.rolled_back, before=bad, after=step.version, issuance=_unchanged(seen))


def _redeploy(step: Step, seen: Observation, ports: Ports, save: Callable[[Change], None]) -> TakenStep:
    name = step.service
    rollout = BegunRollout(step.version, step.replaces, seen.now, settings=step.settings)
    # Every call begins another rollout. From the one that it replaces, the next look tells whether this call was made.
    save(lambda memory: memory.deploying(name, replace(rollout, after_failure=_is_doubtful(seen, memory, name))))
    begun = ports.platform.roll_out(name, next(use.place for use in seen.identity.services if use.name == name))
    change = partial(Memory.deployed, service=name, deployment=begun)
    return TakenStep(step, change, before=step.replaces, after=begun, issuance=_unchanged(seen))


def _is_doubtful(seen: Observation, memory: Memory, name: str) -> bool:
    """
    True if a rollout that begins now may fail whatever the version: the one before it has failed.

    Not if the platform is taking somebody else's back: then new instances are as those that came to their end.
    """
    service = None if isinstance(seen.services, Unknown) else seen.services.get(name)
    if service is None or service.rollout.state is not RolloutState.FAILED:
        return False
    return not service.rollout.taken_back or deployed_version(memory, service) != ""


def _prove(step: Step, seen: Observation, ports: Ports, save: Callable[[Change], None]) -> TakenStep:
    del save
    labels: Mapping[str, frozenset[str]] = {} if isinstance(seen.labels, Missing | Unknown) else seen.labels
    before = version_labelled(labels, LAST_GOOD)
    ports.labels.move_label(seen.identity.secret_id, LAST_GOOD, to=step.version, away_from=before)
    return TakenStep(step, Memory.proving, before=before or "", after=step.version, issuance=_unchanged(seen))


def _revoke(step: Step, seen: Observation, ports: Ports, save: Callable[[Change], None]) -> TakenStep:
    del save
    ports.authorities.revoke(step.certificate_authority_arn, step.serial_number)
    change = partial(Memory.revoking, serial_number=step.serial_number, at=seen.now)
    return TakenStep(step, change, before=step.version, issuance=_unchanged(seen))


def _unchanged(seen: Observation) -> Issuance | None:
    return seen.issuance if isinstance(seen.issuance, Issuance) else None


_STEPS = {
    Action.RENEW: _renew,
    Action.EXPORT: _export,
    Action.ROLL_BACK: _roll_back,
    Action.REDEPLOY: _redeploy,
    Action.PROVE: _prove,
    Action.REVOKE: _revoke,
}
