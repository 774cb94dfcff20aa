"""
One task: Envoy and, for a virtual node, its application and the container that reports when that is ready.

In which order these start and stop, and why: :mod:`meshcert.mesh.rendering.containers`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import Duration, Size
from aws_cdk import aws_ecs as ecs

from meshcert import naming
from meshcert.contract.container import LOOPBACK
from meshcert.contract.environment import (
    NO_PROXY,
    NODE_USES_PROXY,
    PORT,
    PROXY,
    PROXY_ENVIRONMENT,
)
from meshcert.contract.stopping import APPLICATION_STOP_S
from meshcert.mesh.rendering.containers import (
    LOG_BUFFER_MIB,
    LONGEST_START_PERIOD_S,
    LONGEST_START_TIMEOUT_S,
    envoy_container,
    readiness_container,
)
from stacks.constructs.containers.added import add_container, override, override_newest, without_capabilities
from stacks.constructs.containers.task_policies import attach_task_policies
from stacks.constructs.containers.volumes import ProxyVolumes, mount_volumes
from stacks.constructs.containers.workload_api import share_workload_api
from stacks.constructs.images import application_image
from stacks.findings import accept

if TYPE_CHECKING:
    from aws_cdk import aws_logs as logs
    from constructs import Construct

    from meshcert.mesh.applications.declared import Application, ApplicationHealthCheck
    from meshcert.mesh.rendering.containers import SidecarContainer
    from meshcert.mesh.services import Agent, DeclaredService
    from stacks.constructs.containers.proxy_environment import ProxyEnvironment
    from stacks.runtime import Platform

AGENT_STOP_S = 5
"""How long the user's agent has to end, seconds."""
PAST_THE_PROXY = ("localhost", LOOPBACK, "::1", "169.254.170.2", "169.254.169.254", ".amazonaws.com", ".api.aws")
"""Hosts that an application reaches itself: loopback, the task metadata and its credentials, AWS's endpoints."""


@dataclass(frozen=True)
class TaskContainers:
    """
    Adds the containers of one task.

    Args:
        scope: The service.
        task: Has no containers yet.
        envoy: The Envoy image, which holds the readiness container's program too.
        platform: Decides the processor architecture of the application's image.
        logs: Where all of them write.
        stream_prefix: What the names of their streams begin with; empty for the container's own name.
        drain_s: How long the stopping task accepts connections, seconds.
    """

    scope: Construct
    task: ecs.FargateTaskDefinition
    envoy: ecs.ContainerImage
    platform: Platform
    logs: logs.ILogGroup
    stream_prefix: str
    drain_s: float

    def add(self, settings: ProxyEnvironment, service: DeclaredService) -> None:
        """Add Envoy with the user's volumes and, for a virtual node, what stands behind it."""
        stop_s = service.application.stop_timeout_s if service.application else APPLICATION_STOP_S
        envoy, declared = self._envoy(settings, stop_s), service.proxy
        if service.application is not None:
            application = self._behind(service.application, settings.proxy.egress_port, envoy)
            attach_task_policies(self.task, service.application.task_policies)
            if service.workload_api:
                share_workload_api(self.task, envoy, application, service.workload_api_users)
        # Last: the tmpfs mounts are set by the containers' numbers.
        agent = self._agent(declared.agent, envoy) if declared.agent else None
        ProxyVolumes(self.task, declared).mount(envoy, agent)
        if service.application is not None:
            tmpfs = mount_volumes(self.task, application, service.application.volumes)
            if tmpfs:
                override(self.task, 1, "LinuxParameters.Tmpfs", tmpfs)

    def _behind(
        self, application: Application, egress_port: int, envoy: ecs.ContainerDefinition
    ) -> ecs.ContainerDefinition:
        """Add the application's container, which it returns, and the one that reports readiness."""
        behind = self._application(application, egress_port)
        readiness = self._readiness(application)
        healthy, started = ecs.ContainerDependencyCondition.HEALTHY, ecs.ContainerDependencyCondition.START
        behind.add_container_dependencies(ecs.ContainerDependency(container=envoy, condition=healthy))
        # Both, because ECS does not follow dependencies through.
        readiness.add_container_dependencies(
            ecs.ContainerDependency(
                container=behind, condition=healthy if application.health_check.command else started
            ),
            ecs.ContainerDependency(container=envoy, condition=healthy),
        )
        return behind

    def _envoy(self, settings: ProxyEnvironment, application_stop_s: float) -> ecs.ContainerDefinition:
        listeners, drain_s = settings.proxy.listeners, self.drain_s
        envoy = self._sidecar(envoy_container(settings.variables, listeners, drain_s, application_stop_s), "Linux")
        accept(
            self.task,
            "AwsSolutions-ECS2",
            f"{PROXY} is the proxy's public configuration: names of secrets, never their values.",
        )
        return envoy

    def _agent(self, agent: Agent, envoy: ecs.ContainerDefinition) -> ecs.ContainerDefinition:
        """
        Add the user's agent, which starts before Envoy and stops after it.

        It may end when it has fetched something, and Envoy serves what it has if one fails; so it is not essential.
        """
        container = self.task.add_container(
            naming.AGENT_CONTAINER,
            image=application_image(agent.image, self.platform),
            essential=False,
            readonly_root_filesystem=True,
            stop_timeout=Duration.seconds(AGENT_STOP_S),
            logging=self._logging("agent"),
        )
        started = ecs.ContainerDependencyCondition.START
        envoy.add_container_dependencies(ecs.ContainerDependency(container=container, condition=started))
        return container

    def _application(self, application: Application, egress_port: int) -> ecs.ContainerDefinition:
        container = self.task.add_container(
            naming.APPLICATION_CONTAINER,
            image=application_image(application.image, self.platform),
            essential=True,
            readonly_root_filesystem=True,
            # Not always: an image that starts as root and steps down needs some.
            linux_parameters=without_capabilities(self.scope, "ApplicationLinux")
            if application.drop_capabilities
            else None,
            stop_timeout=Duration.seconds(application.stop_timeout_s),
            health_check=_health_check(application.health_check),
            start_timeout=_start_timeout(application.health_check),
            user=application.user or None,
            cpu=application.cpu or None,
            memory_limit_mib=application.memory_mib or None,
            entry_point=list(application.entry_point) or None,
            command=list(application.command) or None,
            working_directory=application.working_directory or None,
            environment={
                **application.environment,
                PORT: str(application.port),
                **(_proxy_environment(egress_port) if application.proxy_environment and egress_port else {}),
            },
            logging=self._logging("application"),
        )
        if application.secrets:
            # Not by the CDK, which would let the role describe them as well.
            fetched = [{"Name": name, "ValueFrom": arn} for name, arn in application.secrets.items()]
            override_newest(self.task, "Secrets", fetched)
        return container

    def _readiness(self, application: Application) -> ecs.ContainerDefinition:
        container = readiness_container(
            naming.APPLICATION_CONTAINER, application.port, application.health_check, self.drain_s
        )
        return self._sidecar(container, "ReadinessLinux")

    def _sidecar(self, container: SidecarContainer, linux: str) -> ecs.ContainerDefinition:
        logging = self._logging(container.name)
        return add_container(self.task, container, self.envoy, logging, without_capabilities(self.scope, linux))

    def _logging(self, container: str) -> ecs.LogDriver:
        # Docker's default blocks whoever writes while CloudWatch takes nothing.
        return ecs.LogDrivers.aws_logs(
            stream_prefix=self.stream_prefix or container,
            log_group=self.logs,
            mode=ecs.AwsLogDriverMode.NON_BLOCKING,
            max_buffer_size=Size.mebibytes(LOG_BUFFER_MIB),
        )


def _health_check(check: ApplicationHealthCheck) -> ecs.HealthCheck | None:
    if not check.command:
        return None
    return ecs.HealthCheck(
        command=list(check.command),
        interval=Duration.seconds(check.interval_s),
        timeout=Duration.seconds(check.timeout_s),
        retries=check.retries,
        start_period=Duration.seconds(min(check.grace_period_s, LONGEST_START_PERIOD_S)),
    )


def _start_timeout(check: ApplicationHealthCheck) -> Duration | None:
    """How long readiness waits for the command, if that covers the grace: without, ECS has it wait for three hours."""
    bounded = check.command and check.grace_period_s <= LONGEST_START_TIMEOUT_S
    return Duration.seconds(LONGEST_START_TIMEOUT_S) if bounded else None


def _proxy_environment(egress_port: int) -> dict[str, str]:
    """Variables by which client libraries send plain HTTP requests to the egress listener."""
    return {
        **dict.fromkeys(PROXY_ENVIRONMENT, f"http://{LOOPBACK}:{egress_port}"),
        **dict.fromkeys(NO_PROXY, ",".join(PAST_THE_PROXY)),
        NODE_USES_PROXY: "1",
    }
