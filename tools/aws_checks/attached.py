"""Checks of services of yours: their sidecar, and what still reaches their applications past it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshcert.aws.ecs.strategies import refusal
from meshcert.aws.ecs.ways_past import AWSVPC, TASK_DEFINITION, WaysPast, close, ways_past
from meshcert.mesh import sidecar
from meshcert.mesh.applications.attached import Architecture
from meshcert.mesh.rendering.sidecar import container_definition, dependencies
from meshcert.proxy import RotationMode
from tools.aws_checks.services import described, judge_deployments, task_definition
from tools.aws_checks.verdicts import Check, Judgement, confirmed, contradicted, undecided

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meshcert.mesh.applications.attached import Attachment
    from tools.aws_checks.deployment import Deployment

ANY_IMAGE = ""
"""Which image is the newest, the next deployment of yours learns from the parameter that names it."""


@dataclass(frozen=True)
class SidecarSeen:
    """
    A sidecar as it is printed, and as it is deployed.

    Args:
        name: Of the service in the mesh file.
        containers: The containers as ``meshcert sidecar --json`` prints them, of any image.
        application: Name of the application's container; empty for a gateway.
        wanted: What the application's container has to have beside its name.
        definition: The task definition that the service runs.
        task_role: Name of its task role in the mesh file, by which other cells admit it; empty if it has none there.
        architecture: The CPU architecture that its Envoy is built for, as ECS calls it; empty if that is not known.
    """

    name: str
    containers: Sequence[Mapping[str, Any]]
    application: str
    wanted: Mapping[str, Any]
    definition: Mapping[str, Any]
    task_role: str = ""
    architecture: str = ""


@dataclass(frozen=True)
class RolloutSeen:
    """
    Who may begin deployments of a service.

    Args:
        redeploys: Whether new certificates come by deployments.
        service: As ECS describes it.
    """

    redeploys: bool
    service: Mapping[str, Any]


def _attached(deployment: Deployment) -> Iterable[str]:
    return [name for name, service in deployment.mesh.services.items() if service.attached]


def _sidecar(deployment: Deployment, name: str) -> SidecarSeen:
    wanted = sidecar(deployment.mesh, name)
    application = {"essential": True} if wanted.attached.job else {}
    return SidecarSeen(
        name,
        [container_definition(wanted, each, ANY_IMAGE, deployment.region) for each in wanted.containers],
        wanted.attached.container,
        {**application, "dependsOn": dependencies(wanted.application_after)},
        task_definition(deployment, name),
        wanted.attached.task_role,
        _architecture(deployment, wanted.attached),
    )


def _architecture(deployment: Deployment, attached: Attachment) -> str:
    """What the file says; else that of the functions, which is the deploy's."""
    if attached.architecture:
        return attached.architecture.of_ecs
    functions = deployment.declared("renewal", "AWS::Lambda::Function")
    return next((str(each.get("Architectures", [Architecture.X86_64])[0]).upper() for each in functions.values()), "")


def _lasting(deployment: Deployment) -> Iterable[str]:
    """Those that an ECS service runs: no jobs."""
    return [name for name in _attached(deployment) if not deployment.mesh.services[name].is_job]


def _rollout(deployment: Deployment, name: str) -> RolloutSeen:
    redeploys = deployment.mesh.services[name].rotation is RotationMode.REDEPLOY
    return RolloutSeen(redeploys, described(deployment, name))


def _strict(deployment: Deployment) -> Iterable[str]:
    return deployment.mesh.strict_attached


def _ways_past(deployment: Deployment, name: str) -> WaysPast:
    mesh = deployment.mesh
    place = mesh.ecs_place(name)
    return ways_past(deployment.account.read, place, mesh.strict_attached[name], mesh.cloud_map_name(name))


def judge_sidecar(seen: SidecarSeen) -> Judgement:
    """Judge whether a task definition has what ``meshcert sidecar`` prints today."""
    if unfit := _unfit(seen):
        return unfit
    found = {each["name"]: each for each in seen.definition["containerDefinitions"]}
    wanted: list[Mapping[str, Any]] = [*seen.containers]
    if seen.application:
        wanted.append({"name": seen.application, **seen.wanted})
    remedy = f"Take over what meshcert sidecar {seen.name} prints, and deploy your service"
    if missing := [each["name"] for each in wanted if each["name"] not in found]:
        return contradicted(f"no container {', '.join(missing)}", remedy)
    others = [place for each in wanted for place in _differences(each, found[each["name"]], each["name"])]
    if others:
        return contradicted(f"other than printed: {', '.join(others)}", remedy)
    return confirmed(f"{', '.join(each['name'] for each in wanted)} as printed, network mode {AWSVPC}")


def _unfit(seen: SidecarSeen) -> Judgement | None:
    """What of a task definition keeps the containers from running, or from being known, whatever they are."""
    mode = seen.definition.get("networkMode", "bridge")
    if mode != AWSVPC:
        return contradicted(
            f"network mode {mode}",
            f"Set network mode {AWSVPC}: with {mode}, tasks share an address, and Cloud Map could not tell them apart",
        )
    runs_on = seen.definition.get("runtimePlatform", {}).get("cpuArchitecture", Architecture.X86_64.of_ecs)
    if seen.architecture not in {"", runs_on}:
        return contradicted(
            f"CPU architecture {runs_on}, where its Envoy is built for {seen.architecture}",
            f"Write architecture: {runs_on.lower()} below services.{seen.name}.attached, deploy the mesh, and take "
            f"over what meshcert sidecar {seen.name} prints; or have your tasks run on {seen.architecture}",
        )
    if not seen.definition.get("taskRoleArn"):
        return contradicted("no task role", "Give the task definition a role, with the policy that is printed")
    role = seen.definition["taskRoleArn"].partition("/")[2] or seen.definition["taskRoleArn"]
    if seen.task_role not in {"", role}:
        return contradicted(
            f"task role {role}, not {seen.task_role}",
            f"Other cells admit the role that services.{seen.name}.attached.task_role names: write {role} there",
        )
    return None


def _differences(wanted: Any, found: Any, place: str) -> Iterator[str]:
    """The places at which something lacks what is wanted; what it has besides is its owner's."""
    if isinstance(wanted, dict):
        for key, value in wanted.items():
            yield from _differences(value, found.get(key) if isinstance(found, dict) else None, f"{place}.{key}")
    elif isinstance(wanted, list):
        present = found if isinstance(found, list) else []
        if not all(any(not [*_differences(each, other, place)] for other in present) for each in wanted):
            yield place
    elif wanted not in (found, ANY_IMAGE) and not (wanted is False and found is None):
        yield place


def judge_rollout(seen: RolloutSeen) -> Judgement:
    """Judge whether the lifecycle can bring new certificates into a service of yours."""
    refused = refusal(seen.service)
    if refused and seen.redeploys:
        said, _, remedy = refused.partition(": ")
        return contradicted(said, f"New certificates would wait for deployments of yours: {remedy}")
    said = refused.partition(",")[0] or "ECS begins its deployments, one task after the other"
    return confirmed(f"{said}; rotation: {RotationMode.REDEPLOY if seen.redeploys else RotationMode.RELOAD}")


def judge_ways_past(seen: WaysPast) -> Judgement:
    """Judge whether STRICT is effective: nothing reaches the application but through Envoy."""
    if ways := list(seen.named()):
        return contradicted(f"STRICT is not effective: {'; '.join(ways)} to port {seen.port}", close(seen.port))
    if unread := list(seen.unread()):
        return undecided(
            f"whether {', '.join(unread)} leads to port {seen.port}, its task definition says",
            f"Run this with credentials that may {TASK_DEFINITION}; it only reads",
        )
    return confirmed(f"nothing reaches port {seen.port} of its tasks")


CHECKS: tuple[Check[Any], ...] = (
    Check(
        "sidecar-deployed",
        "A task definition of yours has the sidecar that meshcert sidecar prints, in network mode awsvpc",
        _attached,
        _sidecar,
        judge_sidecar,
    ),
    Check(
        "sidecar-rollouts",
        "The lifecycle may begin the deployments that a service of yours needs",
        _lasting,
        _rollout,
        judge_rollout,
    ),
    Check("sidecar-steady", "A service of yours is steady", _lasting, described, judge_deployments),
    Check(
        "strict-effective",
        "Where a service of yours is STRICT, nothing reaches its application past Envoy",
        _strict,
        _ways_past,
        judge_ways_past,
    ),
)
