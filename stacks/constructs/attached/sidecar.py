"""The sidecar for a service of the user's own CDK app."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from aws_cdk import Aws, Size, Stack, Tags
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from meshcert import naming
from meshcert.errors import Fault, MeshInvalid
from meshcert.mesh import load_mesh, sidecar
from meshcert.mesh.applications.attached import Architecture
from meshcert.mesh.rendering.containers import LOG_BUFFER_MIB, START
from stacks.constructs.containers.added import add_container, without_capabilities
from stacks.shards import parameter_value

if TYPE_CHECKING:
    from collections.abc import Mapping


class EnvoySidecar(Construct):
    """
    Envoy beside the application of a service or job of yours, which ``services.NAME.attached`` of the mesh file names.

    The mesh is deployed first: image, policy and Cloud Map service are found by their names when this is deployed, and
    nothing is looked up at synthesis. The application's container starts when Envoy is healthy, and the readiness
    container when the application has started; ECS stops them in the reverse order.

    Args:
        task: Your task definition, in network mode ``awsvpc``. Its task role gets the sidecar's policy.
        mesh: Path of the mesh file.
        service: Name of the service in the mesh file.
        application: The application's container in it; None for a virtual gateway.

    Raises:
        MeshInvalid: If the mesh file has faults, does not attach this service, or names another container; if the task
            is not in network mode ``awsvpc``; or if it is a job, and the task would not end with the application.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        task: ecs.TaskDefinition,
        mesh: str,
        service: str,
        application: ecs.ContainerDefinition | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        declared = load_mesh(Path(mesh))
        try:
            self._sidecar = sidecar(declared, service)
        except LookupError:
            fault = Fault(f"services.{service}.attached", "it is missing", "Write the cluster and service of yours")
            raise MeshInvalid(mesh, (fault,)) from None
        name = application.container_name if application else ""
        if name != self._sidecar.attached.container:
            problem = f"it is {self._sidecar.attached.container!r}, and the application given is {name!r}"
            fault = Fault(f"services.{service}.attached.container", problem, "Write the application's container there")
            raise MeshInvalid(mesh, (fault,))
        if application and self._sidecar.attached.job and not application.essential:
            problem = f"container {name} is not essential, so the task would go on when the job has ended"
            raise MeshInvalid(mesh, (Fault(f"services.{service}.attached.job", problem, "Write essential=True there"),))
        if task.network_mode is not ecs.NetworkMode.AWS_VPC:
            problem = f"the task definition has network mode {task.network_mode.value}, where tasks share an address"
            fault = Fault(f"services.{service}.attached", problem, "Give it network_mode=ecs.NetworkMode.AWS_VPC")
            raise MeshInvalid(mesh, (fault,))
        runs_on, built_for = _architecture(task), self._sidecar.attached.architecture
        if built_for and runs_on != built_for.of_ecs:
            problem = f"its Envoy is built for {built_for.of_ecs}, and the task definition runs on {runs_on}"
            remedy = "Write there what the task runs on, or give the task definition a runtime_platform with that"
            raise MeshInvalid(mesh, (Fault(f"services.{service}.attached.architecture", problem, remedy),))
        self._mesh, self._service = declared.name, service
        image = ecs.ContainerImage.from_registry(parameter_value(self, self._sidecar.image_parameter))
        group = logs.LogGroup.from_log_group_name(self, "Logs", self._sidecar.log_group)
        containers: dict[str, ecs.ContainerDefinition] = {}
        for container in self._sidecar.containers:
            logging = ecs.LogDrivers.aws_logs(
                stream_prefix=self._sidecar.stream_prefix or container.name,
                log_group=group,
                # Docker's default blocks whoever writes while CloudWatch takes nothing.
                mode=ecs.AwsLogDriverMode.NON_BLOCKING,
                max_buffer_size=Size.mebibytes(LOG_BUFFER_MIB),
            )
            linux = without_capabilities(self, f"Linux-{container.name}")
            added = add_container(task, container, image, logging, linux)
            _start_after(added, container.after, {**containers, name: application} if application else containers)
            containers[container.name] = added
        if application:
            _start_after(application, self._sidecar.application_after, containers)
        policy = naming.role(declared.name, Aws.REGION, service)
        task.task_role.add_managed_policy(iam.ManagedPolicy.from_managed_policy_name(self, "Policy", policy))
        _let_pull(self, task)

    def join(self, service: ecs.BaseService) -> None:
        """Have the tasks of your service found by callers in the mesh, and its events by the lifecycle."""
        if self._sidecar.is_registered:
            registry = parameter_value(self, naming.sidecar_registry(self._mesh, self._service))
            resource: Any = service.node.find_child("Service")
            resource.add_property_override("ServiceRegistries", [{"RegistryArn": registry}])
        for tag, value in self._sidecar.tags.items():
            Tags.of(service).add(tag, value, include_resource_types=["AWS::ECS::Service"])


def _architecture(task: ecs.TaskDefinition) -> str:
    """The CPU architecture that a task definition runs on, as ECS calls it; that of Fargate where it is left out."""
    resource: Any = task.node.default_child
    platform = Stack.of(task).resolve(resource.runtime_platform) or {}
    return str(platform.get("cpuArchitecture", Architecture.X86_64.of_ecs))


def _start_after(
    container: ecs.ContainerDefinition, after: Mapping[str, str], containers: Mapping[str, ecs.ContainerDefinition]
) -> None:
    for name, condition in after.items():
        as_it_is = ecs.ContainerDependencyCondition
        container.add_container_dependencies(
            ecs.ContainerDependency(
                container=containers[name], condition=as_it_is.START if condition == START else as_it_is.HEALTHY
            )
        )


def _let_pull(scope: Construct, task: ecs.TaskDefinition) -> None:
    """Let the execution role pull the image of Envoy, which is an asset of the mesh's own deploy."""
    qualifier = scope.node.try_get_context("@aws-cdk/core:bootstrapQualifier") or naming.BOOTSTRAP_QUALIFIER
    repository = f"cdk-{qualifier}-container-assets-{Aws.ACCOUNT_ID}-{Aws.REGION}"
    for actions, resource in (
        (
            ["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"],
            f"arn:{Aws.PARTITION}:ecr:{Aws.REGION}:{Aws.ACCOUNT_ID}:repository/{repository}",
        ),
        (["ecr:GetAuthorizationToken"], "*"),  # it has no resource
    ):
        task.add_to_execution_role_policy(iam.PolicyStatement(actions=actions, resources=[resource]))
