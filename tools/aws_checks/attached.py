"""Checks of services of yours: their sidecar, and what still reaches their applications past it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshcert.aws.ecs.strategies import refusal
from meshcert.mesh import sidecar
from meshcert.mesh.rendering.sidecar import container_definition, dependencies
from meshcert.proxy import RotationMode, TlsMode
from tools.aws_checks.services import described, judge_deployments, task_definition
from tools.aws_checks.verdicts import Check, Judgement, confirmed, contradicted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tools.aws_checks.deployment import Deployment

AWSVPC = "awsvpc"
ANY_PROTOCOL = "-1"
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
    """

    name: str
    containers: Sequence[Mapping[str, Any]]
    application: str
    wanted: Mapping[str, Any]
    definition: Mapping[str, Any]


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


@dataclass(frozen=True)
class WaysPast:
    """
    What reaches an application of an attached service whose listeners are all STRICT.

    Args:
        port: The application's own.
        registered_as: The Cloud Map service in which callers in the mesh find it.
        service: As ECS describes it.
        definition: Its task definition.
        groups: The security groups of its tasks, as Amazon EC2 describes them.
        registries: Cloud Map services in which its tasks are: ARN → name.
    """

    port: int
    registered_as: str
    service: Mapping[str, Any]
    definition: Mapping[str, Any]
    groups: Sequence[Mapping[str, Any]]
    registries: Mapping[str, str]

    def named(self) -> Iterator[str]:
        """Each of them, by its id or name."""
        for group in self.groups:
            for rule in group.get("IpPermissions", ()):
                if self._is_open(rule):
                    yield f"{group['GroupId']} admits {', '.join(_sources(rule)) or 'nobody by name'}"
        for balancer in self.service.get("loadBalancers", ()):
            if balancer.get("containerPort") == self.port:
                yield f"target group {balancer.get('targetGroupArn') or balancer.get('loadBalancerName')}"
        for registry in self.service.get("serviceRegistries", ()):
            name, ports = (
                self.registries[registry["registryArn"]],
                (registry.get("port"), registry.get("containerPort")),
            )
            if self.port in ports or name != self.registered_as:
                yield f"Cloud Map service {name}"
        yield from self._service_connect()

    def _is_open(self, rule: Mapping[str, Any]) -> bool:
        if rule["IpProtocol"] == ANY_PROTOCOL:
            return True
        return bool(rule["IpProtocol"] == "tcp" and rule["FromPort"] <= self.port <= rule["ToPort"])

    def _service_connect(self) -> Iterator[str]:
        ports = {
            mapping["name"]: mapping["containerPort"]
            for container in self.definition["containerDefinitions"]
            for mapping in container.get("portMappings", ())
            if mapping.get("name")
        }
        primary: Mapping[str, Any] = next(
            (each for each in self.service["deployments"] if each["status"] == "PRIMARY"), {}
        )
        for offered in primary.get("serviceConnectConfiguration", {}).get("services", ()):
            if ports.get(offered["portName"]) == self.port:
                yield f"Service Connect's {offered.get('discoveryName') or offered['portName']}"


def _sources(rule: Mapping[str, Any]) -> Iterator[str]:
    kinds = (
        *(("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6")),
        *(("UserIdGroupPairs", "GroupId"), ("PrefixListIds", "PrefixListId")),
    )
    for kind, name in kinds:
        yield from (str(each[name]) for each in rule.get(kind, ()))


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
    )


def _lasting(deployment: Deployment) -> Iterable[str]:
    """Those that an ECS service runs: no jobs."""
    return [name for name in _attached(deployment) if not deployment.mesh.services[name].is_job]


def _rollout(deployment: Deployment, name: str) -> RolloutSeen:
    redeploys = deployment.mesh.services[name].rotation is RotationMode.REDEPLOY
    return RolloutSeen(redeploys, described(deployment, name))


def _strict(deployment: Deployment) -> Iterable[str]:
    """Attached services with an application, all of whose listeners insist on TLS."""
    mesh = deployment.mesh
    return [
        name
        for name in _lasting(deployment)
        if (node := mesh.virtual_nodes.get(mesh.services[name].virtual_node))
        and all(listener.tls and listener.tls.mode is TlsMode.STRICT for listener in node.listeners)
    ]


def _ways_past(deployment: Deployment, name: str) -> WaysPast:
    read, service = deployment.account.read, described(deployment, name)
    application = deployment.mesh.services[name].application
    if application is None:
        raise LookupError(f"services.{name}.application")
    groups = service["networkConfiguration"]["awsvpcConfiguration"]["securityGroups"]
    registries = [each["registryArn"] for each in service.get("serviceRegistries", ())]
    return WaysPast(
        application.port,
        deployment.mesh.cloud_map_name(name),
        service,
        task_definition(deployment, name),
        read("ec2:DescribeSecurityGroups", GroupIds=groups)["SecurityGroups"],
        {arn: read("servicediscovery:GetService", Id=arn.rpartition("/")[2])["Service"]["Name"] for arn in registries},
    )


def judge_sidecar(seen: SidecarSeen) -> Judgement:
    """Judge whether a task definition has what ``meshcert sidecar`` prints today."""
    mode = seen.definition.get("networkMode", "bridge")
    if mode != AWSVPC:
        return contradicted(
            f"network mode {mode}",
            f"Set network mode {AWSVPC}: with {mode}, tasks share an address, and Cloud Map could not tell them apart",
        )
    if not seen.definition.get("taskRoleArn"):
        return contradicted("no task role", "Give the task definition a role, with the policy that is printed")
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
    return confirmed(f"{', '.join(each['name'] for each in wanted)} as printed, network mode {mode}")


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
        return contradicted(
            f"STRICT is not effective: {'; '.join(ways)} to port {seen.port}",
            f"Take these away: port {seen.port} is the application's own, and takes plain text from whoever reaches it",
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
