"""
What is different with services of the user's. Pure.

New settings, rollouts that their owners alone begin, and starts that fail because of what their owners deploy.

Tasks of attached services read their settings at their start, and a rollout brings new ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.contract import exit_codes
from meshcert.lifecycle.deciding.findings import Finding, Kind
from meshcert.lifecycle.deciding.steps import Action, Concern, Step, waiting
from meshcert.lifecycle.observation import Unknown

if TYPE_CHECKING:
    from meshcert.lifecycle.memory import Memory
    from meshcert.lifecycle.observation import Observation, Workload
    from meshcert.lifecycle.policy import Policy

_NEEDED = {
    exit_codes.AWS_REFUSED: "its task role lacks the policy that meshcert sidecar NAME names, or has had it for less "
    "than a minute: attach it; if it has it, a secret is gone: deploy the mesh again",
    exit_codes.AWS_UNAVAILABLE: "it reaches no AWS API, or AWS fails: give its subnets a NAT gateway or endpoints, and "
    "its security group a way out; the log of NAME names the call",
    exit_codes.NOT_PUBLISHED: "what it reads is not published: deploy the mesh with NAME in its file",
    exit_codes.SETTINGS: "its image is of an older meshcert than its settings, or these are damaged: deploy NAME "
    "again, with the newer image; if it stays, deploy the mesh again",
}
"""What a task of an attached service lacks, and the next step, by the exit code of its Envoy."""


def take_over_settings(seen: Observation, memory: Memory, service: Workload, policy: Policy) -> Concern:
    """
    The next step until every instance of a service runs with the settings that are published for it.

    A rollout of anybody's is waited for: its instances read the new settings. Nothing is asked of instances that do not
    say what they run with, and nothing of a service whose settings stand in its task definition.
    """
    wanted = seen.settings.get(service.name, "")
    if not wanted or isinstance(seen.acknowledgements, Unknown):
        return Concern()
    said = (seen.acknowledgements.get(instance.id) for instance in service.instances)
    old = [each for each in said if each and each.settings and each.settings != wanted]
    if not old:
        return Concern()
    if not service.steady:
        return Concern(waiting(f"another deployment of {service.name} comes first", service=service.name))
    of_all = f"{len(old)} of {len(service.instances)} {service.words.instance}s"
    step = Step(
        Action.REDEPLOY,
        f"{of_all} run with the settings of before",
        service=service.name,
        replaces=service.rollout.id,
        version=seen.current,
        settings=wanted,
    )
    rollout = memory.rollouts.get(service.name)
    if rollout is None or rollout.settings != wanted:
        return Concern(step)
    # Ours has brought them, and ended without them: again, after ever longer pauses.
    left_s = policy.retry_after_s(rollout.tries) - (seen.now - rollout.at).total_seconds()
    reason = service.rollout.reason or "it ended, and the settings of before run on"
    findings = (Finding(Kind.DEPLOYMENT_FAILING, f"{service.name}: {reason}"),)
    if left_s > 0:
        text = f"the deployment of {service.name} failed: again later"
        return Concern(waiting(text, service=service.name, again_s=left_s), findings)
    return Concern(step, findings)


def failing_starts(service: Workload) -> tuple[Finding, ...]:
    """
    What a person is told of a rollout whose instances fail for another reason than the certificate.

    It is mostly not ours, and nobody else here would tell: its instances end before they could acknowledge anything.
    """
    if not service.excused:
        return ()
    needed = _NEEDED.get(service.excused_code, "meshcert sidecar NAME says what its task needs")
    detail = f"{service.name}: {service.excused[-1]}; {needed.replace('NAME', service.name)}"
    return (Finding(Kind.DEPLOYMENT_FAILING, detail),)


def left_to_its_owner(concern: Concern, service: Workload) -> Concern:
    """A concern whose rollout may not begin, because the service's owner alone begins some: a person is told."""
    if concern.step is None or concern.step.action is not Action.REDEPLOY or not service.refusal:
        return concern
    finding = Finding(Kind.DEPLOYMENT_FAILING, f"{service.name}: {concern.step.why}, and {service.refusal}")
    text = f"a deployment of {service.name}'s owner is needed"
    return Concern(waiting(text, service=service.name), (*concern.findings, finding), concern.failing)
