"""Checks of what runs: tasks with their tmpfs, services, load balancers, and DNS names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from meshcert import naming
from meshcert.aws.ecs.ways_past import described_at
from meshcert.errors import IdentityMissing
from meshcert.mesh import sidecar
from meshcert.mesh.rendering.sidecar import container_definition
from tools.aws_checks.verdicts import Check, Judgement, confirmed, contradicted, undecided

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tools.aws_checks.deployment import Deployment

LONGEST_TTL_S = 10
_MOST_TASKS = 100
_REGISTER = "deploy the services stack again; register a service of yours as meshcert sidecar says"
_EVENTS = "Look at the service's events and its stopped tasks; docs/errors.md has the exit codes"


@dataclass(frozen=True)
class TmpfsSeen:
    """
    The memory file system that holds keys.

    Args:
        declared: ``Tmpfs`` of the deployed template.
        container: The running task definition's container ``envoy``.
        tasks: The service's tasks, at most a hundred.
    """

    declared: Sequence[Mapping[str, Any]]
    container: Mapping[str, Any]
    tasks: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class DiscoverySeen:
    """
    What callers find of a service by Cloud Map's API.

    Args:
        declared: HTTP name of the namespace, as the mesh file has it.
        http_name: HTTP name that Cloud Map has; empty if the service is not in Cloud Map.
        instances: Number of instances in the API's answer; None if it was not asked.
        running: Number of tasks that run.
    """

    declared: str
    http_name: str
    instances: int | None
    running: int


def _services(deployment: Deployment) -> Iterable[str]:
    return deployment.mesh.ecs_places


def _made(deployment: Deployment) -> Iterable[str]:
    return [name for name, service in deployment.mesh.services.items() if not service.attached]


def described(deployment: Deployment, name: str) -> Mapping[str, Any]:
    """
    A service of the mesh file as ECS describes it.

    Raises:
        IdentityMissing: If there is none.
    """
    return described_at(deployment.account.read, deployment.mesh.ecs_place(name))


def task_definition(deployment: Deployment, name: str) -> Mapping[str, Any]:
    """The task definition that a service of the mesh file runs; of a job, the newest of its family."""
    read, attached = deployment.account.read, deployment.mesh.services[name].attached
    arn = attached.task_definition if attached and attached.job else described(deployment, name)["taskDefinition"]
    found: Mapping[str, Any] = read("ecs:DescribeTaskDefinition", taskDefinition=arn)["taskDefinition"]
    return found


def _tmpfs(deployment: Deployment, name: str) -> TmpfsSeen:
    service, (cluster, _, ecs_name) = described(deployment, name), deployment.mesh.ecs_place(name).partition("/")
    definition = task_definition(deployment, name)
    envoy = next((each for each in definition["containerDefinitions"] if each["name"] == naming.ENVOY_CONTAINER), None)
    if envoy is None:
        raise IdentityMissing(f"Container {naming.ENVOY_CONTAINER} of service {ecs_name}", "Deploy the service with it")
    arns = deployment.account.read("ecs:ListTasks", cluster=cluster, serviceName=ecs_name)["taskArns"][:_MOST_TASKS]
    tasks = deployment.account.read("ecs:DescribeTasks", cluster=cluster, tasks=arns)["tasks"] if arns else []
    current = [task for task in tasks if task["taskDefinitionArn"] == service["taskDefinition"]]
    if deployment.mesh.services[name].attached:
        # Its task definition is in no stack of the mesh's.
        wanted = sidecar(deployment.mesh, name)
        printed = container_definition(wanted, wanted.containers[0], "", deployment.region)
        return TmpfsSeen(printed["linuxParameters"]["tmpfs"], envoy, current)
    family = f"meshcert-{deployment.name}-{name}"
    for declared in deployment.declared("services", "AWS::ECS::TaskDefinition").values():
        if declared["Family"] == family:
            container = next(each for each in declared["ContainerDefinitions"] if each["Name"] == "envoy")
            return TmpfsSeen(container["LinuxParameters"]["Tmpfs"], envoy, current)
    raise IdentityMissing(f"Task definition {family} in stack {deployment.stack('services')}", "Deploy it")


def _registrations(deployment: Deployment, name: str) -> list[Mapping[str, Any]]:
    registries = described(deployment, name).get("serviceRegistries", [])
    arns = [registry["registryArn"] for registry in registries]
    # Of a service in a namespace that another account shares, only the ARN is known here.
    ids = arns if deployment.mesh.namespace_owner else [arn.rsplit("/", 1)[-1] for arn in arns]
    return [deployment.account.read("servicediscovery:GetService", Id=each)["Service"] for each in ids]


def _discovered(deployment: Deployment) -> Iterable[str]:
    return [name for name, service in deployment.mesh.services.items() if service.virtual_node and not service.is_job]


def _discovery(deployment: Deployment, name: str) -> DiscoverySeen:
    read, mesh = deployment.account.read, deployment.mesh
    registrations, running = _registrations(deployment, name), int(described(deployment, name)["runningCount"])
    if not registrations:
        return DiscoverySeen(mesh.http_name, "", None, running)
    owner = {"OwnerAccount": mesh.namespace_owner} if mesh.namespace_owner else {}
    namespace_id = mesh.about.namespace_id if owner else registrations[0]["NamespaceId"]
    namespace = read("servicediscovery:GetNamespace", Id=namespace_id)["Namespace"]
    http_name = str(namespace["Properties"]["HttpProperties"]["HttpName"])
    question = {"NamespaceName": http_name, "ServiceName": registrations[0]["Name"], "MaxResults": 1_000}
    instances = read("servicediscovery:DiscoverInstances", **question, **owner, HealthStatus="ALL")["Instances"]
    return DiscoverySeen(mesh.http_name, http_name, len(instances), running)


def _balanced(deployment: Deployment) -> Iterable[str]:
    return [name for name, service in deployment.mesh.services.items() if service.load_balancer]


def _targets(deployment: Deployment, name: str) -> list[Mapping[str, Any]]:
    return [
        target
        for balancer in described(deployment, name)["loadBalancers"]
        for target in deployment.account.read(
            "elasticloadbalancing:DescribeTargetHealth", TargetGroupArn=balancer["targetGroupArn"]
        )["TargetHealthDescriptions"]
    ]


def judge_tmpfs(seen: TmpfsSeen) -> Judgement:
    """Judge whether ECS keeps the tmpfs as declared, and a task with it is healthy."""
    declared = [{name[0].lower() + name[1:]: value for name, value in each.items()} for each in seen.declared]
    kept = seen.container.get("linuxParameters", {}).get("tmpfs", [])
    options = "; ".join(f"{each['containerPath']} {','.join(each.get('mountOptions', []))}" for each in kept)
    if _normal(kept) != _normal(declared) or not seen.container.get("readonlyRootFilesystem"):
        root = "read-only" if seen.container.get("readonlyRootFilesystem") else "writable"
        return contradicted(
            f"{options or 'no tmpfs'}, root {root}",
            "Keys would lie on a disk: deploy again, and please report what ECS changed",
        )
    healthy = [task for task in seen.tasks if (task["lastStatus"], task.get("healthStatus")) == ("RUNNING", "HEALTHY")]
    states = ", ".join(f"{task['lastStatus']} {task.get('healthStatus', 'UNKNOWN')}" for task in seen.tasks)
    if healthy:
        platforms = {task.get("platformVersion", "unknown") for task in healthy}
        return confirmed(
            f"{options}; {len(healthy)} of {len(seen.tasks)} tasks healthy, platform {', '.join(platforms)}"
        )
    if not seen.tasks:
        return undecided(f"{options}; no task of this definition", _EVENTS)
    if any(task["lastStatus"] != "RUNNING" or task.get("healthStatus") == "UNKNOWN" for task in seen.tasks):
        return undecided(f"{options}; {states}", "Run this again when the tasks have started")
    return contradicted(f"{options}; {states}", _EVENTS)


def judge_steady(service: Mapping[str, Any]) -> Judgement:
    """Judge whether a service has one finished deployment with all its tasks, and no rollback by ECS."""
    text = _states(service)
    breaker = service.get("deploymentConfiguration", {}).get("deploymentCircuitBreaker", {})
    if not breaker.get("enable") or breaker.get("rollback"):
        return contradicted(
            f"{text}; circuit breaker {dict(breaker)}",
            "ECS's rollback reads the same secret again: deploy the stack again",
        )
    judged = judge_deployments(service)
    return replace(judged, seen=f"{judged.seen}; circuit breaker on, no rollback")


def judge_deployments(service: Mapping[str, Any]) -> Judgement:
    """Judge whether a service has one finished deployment with all its tasks."""
    text, deployments = _states(service), service["deployments"]
    if any(each.get("rolloutState") == "FAILED" for each in deployments):
        return contradicted(text, _EVENTS)
    if len(deployments) > 1 or any(each.get("rolloutState") == "IN_PROGRESS" for each in deployments):
        return undecided(text, "A deployment is under way: run this again")
    if service["runningCount"] != service["desiredCount"]:
        return contradicted(text, _EVENTS)
    return confirmed(text)


def _states(service: Mapping[str, Any]) -> str:
    states = ", ".join(str(each.get("rolloutState", each["status"])) for each in service["deployments"])
    return f"{service['runningCount']} of {service['desiredCount']} tasks, deployments: {states}"


def judge_registrations(registrations: Sequence[Mapping[str, Any]]) -> Judgement:
    """Judge the DNS records: addresses, with a TTL short enough for callers to follow a replaced task."""
    records = [record for each in registrations for record in each.get("DnsConfig", {}).get("DnsRecords", [])]
    text = ", ".join(f"{record['Type']} {record['TTL']} s" for record in records) or "not in Cloud Map"
    if records and all(record["Type"] == "A" and record["TTL"] <= LONGEST_TTL_S for record in records):
        return confirmed(text)
    return contradicted(text, f"Callers would go on connecting to stopped tasks: {_REGISTER}")


def judge_discovery(seen: DiscoverySeen) -> Judgement:
    """Judge whether callers ask for the right namespace, and find every running task."""
    if seen.instances is None:
        return contradicted("not in Cloud Map", f"Nobody finds its tasks: {_REGISTER}")
    text = f"HTTP name {seen.http_name}; {seen.instances} instances, {seen.running} tasks run"
    if seen.http_name != seen.declared:
        return contradicted(
            text, f"Callers ask for {seen.declared}: write http_name: {seen.http_name} below mesh, or its cell"
        )
    if seen.instances == seen.running:
        return confirmed(text)
    return undecided(text, "Tasks are coming or going: run this again; if it stays so, please report it")


def judge_targets(targets: Sequence[Mapping[str, Any]]) -> Judgement:
    """Judge whether the load balancer finds its targets healthy."""
    states = [target["TargetHealth"]["State"] for target in targets]
    reasons = sorted({target["TargetHealth"]["Reason"] for target in targets if "Reason" in target["TargetHealth"]})
    text = ", ".join([*states, *reasons]) or "no target"
    if "healthy" in states and "unhealthy" not in states:
        return confirmed(text)
    if "unhealthy" in states:
        return contradicted(text, "Look at the gateway's log, and at the security groups of gateway and load balancer")
    return undecided(text, "Run this again when its tasks have started")


def _normal(mounts: Iterable[Mapping[str, Any]]) -> list[tuple[str, int, list[str]]]:
    return sorted((each["containerPath"], int(each["size"]), sorted(each.get("mountOptions", []))) for each in mounts)


CHECKS: tuple[Check[Any], ...] = (
    Check(
        "service-tmpfs",
        "Fargate takes the tmpfs with its owner and mode, and tasks are healthy with it",
        _services,
        _tmpfs,
        judge_tmpfs,
    ),
    Check(
        "service-steady",
        "A service is steady; ECS stops a bad deployment but does not roll it back",
        _made,
        described,
        judge_steady,
    ),
    Check(
        "service-dns",
        f"Cloud Map answers for at most {LONGEST_TTL_S} s",
        _services,
        _registrations,
        judge_registrations,
    ),
    Check(
        "service-discovery",
        "Cloud Map's API knows the namespace by the name that callers use, and names every running task",
        _discovered,
        _discovery,
        judge_discovery,
    ),
    Check("service-balancer", "The load balancer reaches the gateway", _balanced, _targets, judge_targets),
)
