"""Preparation of a task before any of its processes exists: images, role, secrets, log groups, environments."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ministack.core.responses import get_account_id
from ministack.services import ecs

from local.aws.fargate.containers import cpu_quota
from local.aws.fargate.containers.container import ContainerPlan
from local.aws.fargate.containers.definitions import ContainerDefinition
from local.aws.fargate.containers.images import Image, ImageNotFoundError, WrongPlatformError, user_number
from local.aws.fargate.containers.logs import ContainerLog, LogGroupMissingError
from local.aws.fargate.containers.sandbox import Program
from local.aws.fargate.containers.volumes import TaskVolumes
from local.aws.fargate.tasks.environment import container_environment, local_settings, platform_settings
from local.aws.fargate.tasks.fetched_secrets import fetched_secrets

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.config import Config
    from local.aws.fargate.containers.cpu_quota import CpuQuota
    from local.aws.fargate.network.addresses import Addresses
    from local.aws.fargate.network.registrations import Registrations
    from local.aws.fargate.tasks.credentials import CredentialsEndpoint, Grant


class TaskEndError(Exception):
    """
    A task has to stop.

    Args:
        reason: Its stoppedReason.
        code: Its stopCode.
    """

    def __init__(self, reason: str, code: str = "TaskFailedToStart") -> None:
        self.reason = reason
        self.code = code
        super().__init__(reason)


@dataclass(frozen=True)
class Host:
    """
    Shared by all tasks of one local AWS.

    Args:
        addresses: Its loopback addresses.
        resolver_of: Address and port of the DNS resolver of an account's VPCs.
        registrations: What Cloud Map knows of its tasks.
        changed: Called when a task's state changed in a way that a service may have to react to.
    """

    config: Config
    addresses: Addresses
    resolver_of: Callable[[str], str]
    credentials: CredentialsEndpoint
    registrations: Registrations
    changed: Callable[[], None]


@dataclass
class TaskPlan:
    """
    One task, ready to start.

    Args:
        record: MiniStack's task record.
        overrides: ``containerOverrides`` of RunTask.
        address: The task's own loopback address.
    """

    host: Host
    record: dict[str, Any]
    definition: dict[str, Any]
    overrides: list[dict[str, Any]]
    address: str
    containers: list[tuple[ContainerDefinition, ContainerPlan]] = field(default_factory=list)
    _volumes: TaskVolumes = field(default_factory=TaskVolumes)
    _grant: Grant | None = None
    _quota: CpuQuota | None = None
    _logs: list[ContainerLog] = field(default_factory=list)

    def prepare(self) -> None:
        """
        Fill ``containers``, in the order of the task definition.

        Raises:
            TaskEndError: With the stoppedReason ECS would give.
        """
        role = self.definition.get("taskRoleArn")
        try:
            if self.host.config.cpu_quota and not cpu_quota.refusal() and self.definition.get("cpu"):
                self._quota = cpu_quota.open_quota(
                    self.record["taskArn"].rsplit("/", 1)[-1], int(self.definition["cpu"])
                )
            if role:
                self._grant = self.host.credentials.grant(role, self.record["taskArn"])
            for value in self.definition["containerDefinitions"]:
                self.containers.append(self._container(value))
        except (ImageNotFoundError, WrongPlatformError) as error:
            raise TaskEndError(f"CannotPullContainerError: {error}") from error
        except LogGroupMissingError as error:
            raise TaskEndError(str(error)) from error
        except ValueError as error:
            raise TaskEndError(f"ResourceInitializationError: {error}") from error
        names = {definition.name for definition, _ in self.containers}
        for definition, _ in self.containers:
            if unknown := sorted(set(definition.depends_on) - names):
                raise TaskEndError(f"container {definition.name} depends on {unknown}, which the task does not have")

    def release(self) -> None:
        """Give back what :meth:`prepare` took."""
        if self._grant is not None:
            self.host.credentials.revoke(self._grant)
        if self._quota is not None:
            self._quota.remove()
        for log in self._logs:
            log.close()
        self._volumes.remove()

    def _container(self, value: dict[str, Any]) -> tuple[ContainerDefinition, ContainerPlan]:
        config, arn = self.host.config, self.record["taskArn"]
        override = next((item for item in self.overrides if item.get("name") == value["name"]), {})
        fetched = fetched_secrets(config, value, self.definition.get("executionRoleArn") or "", arn)
        definition = ContainerDefinition.read(value, override, fetched)
        image = Image.find(config.images, definition.image)
        if image.architecture not in {"", (architecture := self._architecture())}:
            raise WrongPlatformError(definition.image, architecture)
        if definition.user:
            image = replace(image, user_id=user_number(definition.user))
        if definition.health_check is not None:
            argv = tuple(image.locate(word) for word in definition.health_check.argv)
            definition = replace(definition, health_check=replace(definition.health_check, argv=argv))
        log = ContainerLog(config.directory / "logs" / self._log_name(definition.name), value, arn)
        self._logs.append(log)
        token = ecs._register_metadata(
            arn, self.record["clusterArn"], self.definition, value, self.record["launchType"], {}, True, None
        )
        self.record.setdefault("_metadata_tokens", []).append(token)
        return definition, ContainerPlan(
            definition.name,
            replace(_program(definition, image), binds=self._volumes.binds(definition, image, self.definition)),
            container_environment(
                image,
                definition,
                platform_settings(config, token, self._grant),
                local_settings(config, self.address, self.host.resolver_of(get_account_id())),
            ),
            log.write,
            self._quota,
        )

    def _architecture(self) -> str:
        """The processor that Fargate runs the task on, as images call it."""
        declared = (self.definition.get("runtimePlatform") or {}).get("cpuArchitecture") or "X86_64"
        return {"X86_64": "amd64", "ARM64": "arm64"}[declared]

    def _log_name(self, container: str) -> str:
        return f"{self.definition['family']}-{self.record['taskArn'][-12:]}-{container}.log"


def _program(definition: ContainerDefinition, image: Image) -> Program:
    # As with docker: an entry point of the definition drops the image's CMD along with its ENTRYPOINT.
    default_command = () if definition.entrypoint else image.command
    words = (*(definition.entrypoint or image.entrypoint), *(definition.command or default_command))
    if not words:
        raise TaskEndError(f"CannotStartContainerError: {definition.name}: no command specified")
    directory = definition.working_directory or image.working_directory
    return Program(
        argv=tuple(image.locate(word) for word in words),
        cwd=image.locate(directory),
        read_only=definition.read_only,
        tmpfs=definition.tmpfs,
        # A health check enters the container's namespaces, which one of a user's own would make another matter.
        user_id=0 if definition.health_check else image.user_id,
    )
