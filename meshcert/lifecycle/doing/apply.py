"""Take one step; each is safe to repeat: a run that ends in the middle of it is followed by a look that sees so."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from meshcert.contract.staging_labels import CURRENT, LAST_GOOD, QUARANTINED
from meshcert.errors import LeaseLost, MeshcertError
from meshcert.lifecycle.asking.looks import RENEW, ROLL_BACK
from meshcert.lifecycle.deciding.failing import having_failed, having_succeeded
from meshcert.lifecycle.deciding.steps import Action, Step
from meshcert.lifecycle.memory import Memory, Quarantine, RenewalRequest, Rollout
from meshcert.lifecycle.observing.observation import Certificate, DeploymentState, Missing, Unknown
from meshcert.publishing.publication import version_labelled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshcert.lifecycle.observing.observation import Observation
    from meshcert.lifecycle.ports import Exporter, Labels, Renewals, Services


@dataclass(frozen=True)
class Hands:
    """
    What a run can do.

    Args:
        renewals: ACM, for renewals.
        labels: Secrets Manager, for labels.
        services: Amazon ECS.
        exporter: The export function.
    """

    renewals: Renewals
    labels: Labels
    services: Services
    exporter: Exporter


@dataclass(frozen=True)
class Deed:
    """
    A step that was taken.

    Args:
        step: The step.
        memory: What to remember of it.
        done: Whether AWS did all of it.
        outcome: ``done``, or why not.
        before: The version, deployment or task before.
        after: That after it.
        certificate: What ACM holds now; None if ACM has to be asked.
    """

    step: Step
    memory: Memory
    done: bool = True
    outcome: str = "done"
    before: str = ""
    after: str = ""
    certificate: Certificate | None = None


def apply(step: Step, seen: Observation, hands: Hands, save: Callable[[Memory], None]) -> Deed:
    """
    Take one step.

    Args:
        step: From a plan.
        seen: What the plan was made of.
        hands: What to take it with.
        save: Remembers something at once, before AWS is called: a call that may not be made twice.

    Returns:
        What became of it. An error of AWS's is an outcome: the next look sees the rest.

    Raises:
        LeaseLost: If somebody else works on the identity by now.
    """
    taken = _STEPS[step.action]
    saved = seen.memory

    def keep(memory: Memory) -> None:
        nonlocal saved
        save(memory)
        saved = memory

    try:
        deed = taken(step, seen, hands, keep)
    except LeaseLost:
        raise
    except MeshcertError as error:
        # With what was saved: the call may have had its effect although no answer came.
        memory = having_failed(saved, step, error, seen.now)
        return Deed(step, memory, done=False, outcome=f"{type(error).__name__}: {error}", before=step.away_from)
    return replace(deed, memory=having_succeeded(deed.memory, step))


def _renew(step: Step, seen: Observation, hands: Hands, save: Callable[[Memory], None]) -> Deed:
    asked, order = seen.memory.renewal, seen.memory.order
    if order:
        # With the version that it is about: ending after the call, the order has been carried out and comes to an end.
        save(seen.memory)
    hands.renewals.renew(seen.identity.certificate_arn)
    tries = asked.tries + 1 if asked and asked.version == step.version else 1
    memory = replace(
        seen.memory,
        renewal=RenewalRequest(step.version, seen.now, tries),
        order=None if order and order.kind == RENEW else order,
    )
    return Deed(step, memory, before=step.version)


def _export(step: Step, seen: Observation, hands: Hands, save: Callable[[Memory], None]) -> Deed:
    del save
    version = hands.exporter.export(seen.identity.name, step.version)
    certificate = None
    if isinstance(seen.certificate, Certificate) and seen.certificate.version == version:
        certificate = replace(seen.certificate, renewable=True)
    return Deed(step, seen.memory, before=seen.current, after=version, certificate=certificate)


def _roll_back(step: Step, seen: Observation, hands: Hands, save: Callable[[Memory], None]) -> Deed:
    bad, before = step.away_from, seen.memory.quarantine
    if before is None or before.version != bad:
        quarantine = Quarantine(bad, step.why, seen.now, before.count + 1 if before else 1)
    else:
        quarantine = before
    memory = replace(seen.memory, quarantine=quarantine)
    save(memory)
    secret = seen.identity.secret_id
    # The quarantine first: ending between the two leaves a current version that says itself that it is bad.
    if seen.quarantined != bad:
        hands.labels.move_label(secret, QUARANTINED, to=bad, away_from=seen.quarantined or None)
    hands.labels.move_label(secret, CURRENT, to=step.version, away_from=bad)
    if memory.order and memory.order.kind == ROLL_BACK:
        memory = replace(memory, order=None)
    return Deed(step, memory, before=bad, after=step.version, certificate=_unchanged(seen))


def _redeploy(step: Step, seen: Observation, hands: Hands, save: Callable[[Memory], None]) -> Deed:
    before = seen.memory.rollouts.get(step.service)
    rollout = Rollout(step.version, step.replaces, seen.now, after_failure=_has_failed(seen, step.service))
    if before and before.version == step.version:
        never_begun = before.replaces == step.replaces and not before.deployment
        tries = before.tries if never_begun else before.tries + 1
        rollout = replace(rollout, tries=tries, after_failure=before.after_failure)
    # ECS begins a deployment for every call: what it replaces tells the next look whether this one was made.
    save(seen.memory.deploying(step.service, rollout))
    deployment = hands.services.redeploy(step.service)
    memory = seen.memory.deploying(step.service, replace(rollout, deployment=deployment))
    return Deed(step, memory, before=step.replaces, after=deployment, certificate=_unchanged(seen))


def _has_failed(seen: Observation, name: str) -> bool:
    service = None if isinstance(seen.services, Unknown) else seen.services.get(name)
    return service is not None and service.deployment.state is DeploymentState.FAILED


def _stop_task(step: Step, seen: Observation, hands: Hands, save: Callable[[Memory], None]) -> Deed:
    del save
    hands.services.stop_task(step.task, f"meshcert: {step.why}")
    return Deed(step, seen.memory, before=step.task, certificate=_unchanged(seen))


def _prove(step: Step, seen: Observation, hands: Hands, save: Callable[[Memory], None]) -> Deed:
    del save
    labels: Mapping[str, frozenset[str]] = {} if isinstance(seen.labels, Missing | Unknown) else seen.labels
    before = version_labelled(labels, LAST_GOOD)
    hands.labels.move_label(seen.identity.secret_id, LAST_GOOD, to=step.version, away_from=before)
    quarantine = seen.memory.quarantine
    memory = replace(seen.memory, quarantine=replace(quarantine, count=0) if quarantine else None)
    return Deed(step, memory, before=before or "", after=step.version, certificate=_unchanged(seen))


def _unchanged(seen: Observation) -> Certificate | None:
    return seen.certificate if isinstance(seen.certificate, Certificate) else None


_STEPS = {
    Action.RENEW: _renew,
    Action.EXPORT: _export,
    Action.ROLL_BACK: _roll_back,
    Action.REDEPLOY: _redeploy,
    Action.STOP_TASK: _stop_task,
    Action.PROVE: _prove,
}
