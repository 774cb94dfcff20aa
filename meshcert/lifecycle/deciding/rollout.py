"""Bring a version from the secret into running proxies, service by service. Pure."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from meshcert.lifecycle.deciding.attached import failing_starts, left_to_its_owner, take_over_settings
from meshcert.lifecycle.deciding.failing import held_back
from meshcert.lifecycle.deciding.findings import Finding, Kind
from meshcert.lifecycle.deciding.steps import Action, Concern, Step, waiting
from meshcert.lifecycle.deciding.versions import holds_out, lives
from meshcert.lifecycle.observation import Missing, RolloutState, Unknown
from meshcert.proxy import RotationMode
from meshcert.publishing.publication import is_published

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshcert.identity import ServiceUse
    from meshcert.lifecycle.memory import Memory
    from meshcert.lifecycle.observation import Acknowledgement, Instance, Observation, Workload
    from meshcert.lifecycle.policy import Policy


def take_over(seen: Observation, memory: Memory, policy: Policy) -> Concern:
    """The next step until every service serves the current version."""
    if isinstance(seen.labels, Missing | Unknown) or not seen.current or not is_published(seen.current):
        return Concern()
    for unknown, what in ((seen.services, "the services"), (seen.acknowledgements, "the acknowledgements")):
        if isinstance(unknown, Unknown):
            kind = Kind.AWS_DENIED if unknown.denied else Kind.AWS_UNAVAILABLE
            text = f"{what} cannot be looked at: {unknown.reason}"
            return Concern(waiting(text), (Finding(kind, unknown.reason),))
    findings: list[Finding] = []
    failing: list[str] = []
    step: Step | None = None
    held_up, urgent = False, _bad_is_served(seen, memory)
    for use, service in services_in_order(seen, memory):
        if service is None:
            findings.append(Finding(Kind.SERVICE_MISSING, f"service {use.name} does not exist"))
            continue
        concern = (
            _redeployed(seen, memory, service, policy)
            if by_deployment(use)
            else _reloaded(seen, memory, use, service, policy)
        )
        if concern.step is None:
            settings = take_over_settings(seen, memory, service, policy)
            concern = Concern(settings.step, (*concern.findings, *settings.findings), concern.failing)
        concern = left_to_its_owner(concern, service)
        # For each service, not for all together: a service whose step is refused does not hold up the others.
        concern = held_back(concern, memory, seen, policy)
        findings += failing_starts(service) if use.attached else ()
        findings += concern.findings
        failing += concern.failing
        if concern.step and (step is None or (concern.step.acts and not step.acts and not held_up)):
            step = concern.step
        # One after the other. But a service that never finishes must not let the others' certificates expire; and when
        # a bad version has to go, nothing waits for instances that take the new version over by themselves.
        waits_for_it = by_deployment(use) or not urgent
        waits_for_it &= concern.step is not None and not concern.failing
        held_up |= waits_for_it and not _is_late(seen, memory, service, policy.deployment_within_s)
    return Concern(step, tuple(findings), tuple(failing))


def prove(seen: Observation, memory: Memory) -> Concern:
    """The step that marks a version as the last good one, once every instance serves it."""
    if isinstance(seen.labels, Missing | Unknown) or not seen.current or seen.last_good == seen.current:
        return Concern()
    if isinstance(seen.services, Unknown) or isinstance(seen.acknowledgements, Unknown):
        return Concern()
    if seen.current == seen.quarantined or memory.is_compromised(seen.current) or not is_published(seen.current):
        return Concern()
    services = [service for _, service in services_in_order(seen, memory) if service is not None]
    running = [instance for service in services for instance in service.instances]
    served = running and not any(_behind(seen, service) for service in services)
    if any(service.rolling_out for service in services) or (services and not served):
        return Concern()
    if not services and seen.identity.services:
        return Concern()
    nobody = "jobs take it at their next start" if seen.identity.jobs else "nobody serves it"
    why = f"every {services[0].words.instance} serves it" if running else nobody
    return Concern(Step(Action.PROVE, why, version=seen.current))


def services_in_order(seen: Observation, memory: Memory) -> Iterator[tuple[ServiceUse, Workload | None]]:
    """
    The identity's services in the order of a rollout.

    Services whose deployment of a bad version must be superseded come first.
    """
    services: Mapping[str, Workload | None] = {} if isinstance(seen.services, Unknown) else seen.services
    declared = [(use, services.get(use.name)) for use in seen.identity.services]
    yield from sorted(declared, key=lambda entry: entry[1] is None or not _deploys_bad(seen, memory, entry[1]))


def by_deployment(use: ServiceUse) -> bool:
    """True if the service takes versions over by new rollouts."""
    return use.rotation is RotationMode.REDEPLOY


def deployed_version(memory: Memory, service: Workload) -> str:
    """The version that our deployment brings to a service; empty unless it is the service's newest deployment."""
    rollout = memory.rollouts.get(service.name)
    if rollout is None or service.rollout.id == rollout.replaces:
        return ""
    if rollout.deployment and rollout.deployment != service.rollout.id:
        return ""
    return rollout.version


def _deploys_bad(seen: Observation, memory: Memory, service: Workload) -> bool:
    """True if the newest rollout is ours, is of the version that was rolled back, and may start more instances."""
    bad = seen.quarantined
    return bool(bad) and seen.current != bad == deployed_version(memory, service) and not _succeeded(service)


def _bad_is_served(seen: Observation, memory: Memory) -> bool:
    """True if an instance still serves the version that was rolled back, or one with a compromised key."""
    if isinstance(seen.acknowledgements, Unknown):
        return False
    served = {acknowledgement.version for acknowledgement in seen.acknowledgements.values()} - {seen.current}
    return any(version == seen.quarantined or memory.is_compromised(version) for version in served if version)


def _succeeded(service: Workload) -> bool:
    return service.rollout.state is RolloutState.COMPLETED


def acknowledged(seen: Observation, service: Workload) -> Iterator[tuple[Instance, Acknowledgement | None]]:
    """Each instance that the platform lists, with its acknowledgement; None if it has sent none."""
    rows: Mapping[str, Acknowledgement] = {} if isinstance(seen.acknowledgements, Unknown) else seen.acknowledgements
    for instance in service.instances:
        yield instance, rows.get(instance.id)


def _stale(seen: Observation, service: Workload, policy: Policy) -> list[Instance]:
    """The instances that are behind and will not catch up; those that have only just started are left out."""
    youngest = seen.now - dt.timedelta(seconds=policy.acknowledge_within_s)
    return [
        instance
        for instance, acknowledgement in acknowledged(seen, service)
        if (acknowledgement and acknowledgement.version != seen.current)
        or (acknowledgement is None and instance.started_at is not None and instance.started_at < youngest)
    ]


def _behind(seen: Observation, service: Workload) -> list[Instance]:
    """The instances that have not acknowledged the current version."""
    return [
        instance
        for instance, acknowledgement in acknowledged(seen, service)
        if acknowledgement is None or acknowledgement.version != seen.current
    ]


def _serves_another(seen: Observation, service: Workload) -> bool:
    return any(said is not None and said.version != seen.current for _, said in acknowledged(seen, service))


def _redeployed(seen: Observation, memory: Memory, service: Workload, policy: Policy) -> Concern:
    if _deploys_bad(seen, memory, service):
        return _begin(service, "its deployment of the bad version is superseded", version=seen.current)
    ours = deployed_version(memory, service) == seen.current
    if service.rolling_out:
        return _watched(seen, memory, service, policy, ours=ours)
    behind = _behind(seen, service)
    if not behind:
        return Concern()
    late = _is_late(seen, memory, service, policy.acknowledge_within_s)
    arriving = not _stale(seen, service, policy)
    if ours:
        # A new instance with an older version has read it too early. Replacing one that is silent would not help.
        arriving = _succeeded(service) and not (late and _serves_another(seen, service))
    if arriving:
        return _overdue(seen, service, behind, late=late)
    return _deployed_anew(seen, memory, service, behind, policy)


def _deployed_anew(
    seen: Observation, memory: Memory, service: Workload, behind: list[Instance], policy: Policy
) -> Concern:
    rollout = memory.rollouts.get(service.name)
    if rollout is None or rollout.version != seen.current:
        text = f"{len(behind)} of its {service.words.instance}s serve another version"
        return _rest(seen, memory, service, policy) or _begin(service, text, version=seen.current)
    if rollout.replaces == service.rollout.id and not rollout.deployment:
        return _begin(service, "a deployment was decided but never begun", version=seen.current)
    return _repeat(seen, memory, service, policy)


def _begin(service: Workload, why: str, *, version: str) -> Concern:
    step = Step(Action.REDEPLOY, why, service=service.name, replaces=service.rollout.id, version=version)
    return Concern(step)


def _watched(seen: Observation, memory: Memory, service: Workload, policy: Policy, *, ours: bool) -> Concern:
    whose = f"the deployment of {service.name}" if ours else f"another deployment of {service.name}"
    findings: tuple[Finding, ...] = ()
    if _behind(seen, service) and _is_late(seen, memory, service, policy.deployment_within_s):
        findings = (Finding(Kind.DEPLOYMENT_SLOW, f"{whose}, {service.rollout.id}, does not come to an end"),)
    return Concern(waiting(f"watching {whose}", service=service.name), findings)


def _repeat(seen: Observation, memory: Memory, service: Workload, policy: Policy) -> Concern:
    """
    Try a failed deployment of ours again, after ever longer pauses.

    It is repeated if there is no version to go back to, or if the version has been proven.
    """
    rollout = memory.rollouts[service.name]
    left_s = policy.retry_after_s(rollout.tries) - (seen.now - rollout.at).total_seconds()
    text = f"{service.words.platform} does not show the deployment of {service.name} yet"
    findings: tuple[Finding, ...] = ()
    if service.rollout.id != rollout.replaces:
        text = f"the deployment of {service.name} failed: again later"
        reason = (
            f"its {service.words.instance}s serve another version"
            if _succeeded(service)
            else service.rollout.reason or "it failed"
        )
        findings = (Finding(Kind.DEPLOYMENT_FAILING, f"{service.name}: {reason}"),)
    if left_s > 0:
        return Concern(waiting(text, service=service.name, again_s=left_s), findings)
    step = _begin(service, "its last deployment failed", version=seen.current).step
    return Concern(step, findings)


def _rest(seen: Observation, memory: Memory, service: Workload, policy: Policy) -> Concern | None:
    """A pause after the deployment of another service."""
    others = [
        rollout.at
        for name, rollout in memory.rollouts.items()
        if name != service.name and rollout.version == seen.current
    ]
    if not others:
        return None
    left_s = policy.pause_between_services_s - (seen.now - max(others)).total_seconds()
    return (
        Concern(waiting("a pause between two services", service=service.name, again_s=left_s)) if left_s > 0 else None
    )


def _reloaded(seen: Observation, memory: Memory, use: ServiceUse, service: Workload, policy: Policy) -> Concern:
    if _deploys_bad(seen, memory, service):
        return _begin(service, "its deployment of the bad version is superseded", version=seen.current)
    behind = _behind(seen, service)
    if not behind:
        return Concern()
    late = _is_late(seen, memory, service, use.poll_interval_s + policy.acknowledge_within_s)
    concern = _overdue(seen, service, behind, late=late)
    # An instance that started after the version was current has read it: replacing it would change nothing.
    laggards = [
        instance
        for instance in behind
        if instance.running and instance.started_at and instance.started_at < _since(seen, memory)
    ]
    holding_out = holds_out(seen, memory, policy, service.name)
    laggards = [instance for instance in laggards if instance.id not in holding_out]
    if not late or not laggards or not service.steady:
        return concern
    if holding_out and not _lapses(seen, memory, service, laggards, policy):
        # A rollout would replace those that hold out as well.
        return concern
    # Never an instance by itself. A rollout starts new ones before old ones stop, and its platform has load balancers
    # forget an instance before it is told to end: one that is stopped still gets connections when it has ended.
    anew = _deployed_anew(seen, memory, service, behind, policy)
    return Concern(anew.step, (*concern.findings, *anew.findings))


def _lapses(seen: Observation, memory: Memory, service: Workload, laggards: list[Instance], policy: Policy) -> bool:
    """True if one of them serves a version that is near its end."""
    return any(
        said is not None and not lives(seen, memory, policy, said.version)
        for instance, said in acknowledged(seen, service)
        if instance in laggards
    )


def _since(seen: Observation, memory: Memory) -> dt.datetime:
    """When the current version was first seen to be current."""
    return memory.publication.since if memory.publication else seen.now


def _is_late(seen: Observation, memory: Memory, service: Workload, allowed_s: float) -> bool:
    """True if the time is over in which a service's instances should have taken over the current version."""
    rollout = memory.rollouts.get(service.name)
    since = _since(seen, memory)
    if rollout and rollout.version == seen.current:
        since = max(since, rollout.at)
    return (seen.now - since).total_seconds() > allowed_s


def _overdue(seen: Observation, service: Workload, behind: list[Instance], *, late: bool) -> Concern:
    of_all = f"{len(behind)} of {len(service.instances)} {service.words.instance}s"
    text = f"{of_all} of {service.name} do not serve the current version yet"
    findings = (Finding(Kind.SERVED_BEHIND, f"{text}: {seen.current}"),) if late else ()
    return Concern(waiting(text, service=service.name), findings)
