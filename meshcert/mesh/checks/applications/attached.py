"""Checks of attached services: what the mesh file says of them, and what their own task definitions say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshcert import naming
from meshcert.errors import Fault
from meshcert.mesh.cells.placing import network_place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.mesh.applications.attached import Attachment
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.services import DeclaredService

_REGISTRATION_ID = re.compile("srv-[a-z0-9]{8,}")
OF_THE_TASK = (
    *("cpu", "desired_count", "load_balancer", "maximum_percent", "memory_mib", "minimum_healthy_percent"),
    *("scaler", "tags"),
)
"""Fields of a service that its own task definition and service say."""
NOT_SERVED = {
    "proxy": "certificates and roots of yours in files, or from an SDS server, are not served for attached services",
    "workload_api": "the Workload API is not served for attached services",
}
"""Fields of a service that an attached one cannot have yet."""
OF_THE_APPLICATION = frozenset({"port", "keep_alive_s", "health_check", "stop_timeout_s"})
"""Fields of an application that the proxy has to know, whoever runs it."""


def check_attached(mesh: Mesh, findings: Findings) -> None:
    """Report a service attached twice, and what the mesh file cannot say of a service of the user's."""
    places: dict[tuple[str, str], str] = {}
    _check_registrations(mesh, findings)
    for name, service in mesh.services.items():
        place = _run_as(mesh, name, service)
        other = places.setdefault((service.cell, place), name)
        if other != name:
            findings.add(
                f"services.{name}" + (".attached" if service.attached else ""),
                f"{place} is service {other} already",
                "A task runs one proxy: name another, or remove one of the two",
                given=(f"services.{other}",),
            )
        if service.attached:
            _check_task(f"services.{name}", service, findings)
            _check_served(f"services.{name}", service, findings)
            if not service.is_job:
                _check_place(f"services.{name}", service.attached, findings)
            _check_container(f"services.{name}", service, service.attached, findings)
        elif service.application and not service.application.image:
            findings.add(
                f"services.{name}.application.image",
                "it is missing",
                "Name a folder with a Dockerfile, or an image; or attach a service of yours, which has one",
                given=(f"services.{name}.attached",),
            )


def registered_by_id(mesh: Mesh) -> Iterator[Fault]:
    """A finding for each Cloud Map service that is named by what looks like its id."""
    for name, service in mesh.services.items():
        registered = service.attached.cloud_map_service if service.attached else ""
        if _REGISTRATION_ID.fullmatch(registered):
            yield Fault(
                f"services.{name}.attached.cloud_map_service",
                f"{registered} looks like an id, and callers ask for the service by its name",
                f"Write its name: aws servicediscovery get-service --id {registered}",
            )


def unnamed_architectures(mesh: Mesh) -> Iterator[Fault]:
    """A finding for each attached service whose tasks may run on another processor than the deploy's own."""
    for name, service in mesh.services.items():
        if service.attached and not service.attached.architecture:
            yield Fault(
                f"services.{name}.attached.architecture",
                "left out, so its Envoy is built for the deploy's architecture, arm64 unless its context says "
                "otherwise; Fargate takes x86_64 where a task definition says none",
                "Write the one that its task definition runs on",
            )


def attached_elsewhere(mesh: Mesh) -> Iterator[Fault]:
    """A finding for each attached service beside a VPC that a deploy makes: its tasks are in one of the user's."""
    for name, service in mesh.services.items():
        at, network = network_place(mesh, service.cell)
        if service.attached and not network.existing:
            yield Fault(
                f"services.{name}.attached",
                "its tasks run in a VPC of yours, and a deploy makes another for this mesh: its callers and backends "
                "there do not reach it, nor it them",
                f"Name your VPC below {at}.existing, for a first deploy; or run its tasks in the VPC that is made, or "
                "peer the two, and associate the namespace's zone with yours",
            )


def _run_as(mesh: Mesh, name: str, service: DeclaredService) -> str:
    """What Amazon ECS knows the tasks of a service by."""
    if service.is_job:
        return f"task definition {service.attached.task_definition if service.attached else ''}"
    return mesh.ecs_place(name)


def _check_place(place: str, attached: Attachment, findings: Findings) -> None:
    """Report a service without the names that it has in Amazon ECS."""
    for field in ("cluster", "service"):
        if not getattr(attached, field):
            findings.add(
                f"{place}.attached.{field}",
                "it is missing",
                f"Write the {field} of your service; tasks that no service runs are a job: true",
            )
    if attached.task_definition:
        findings.add(
            f"{place}.attached.task_definition",
            "a service names its task definition itself, and each deployment of yours another revision",
            "Remove it, or write job: true",
        )


def _check_task(place: str, service: DeclaredService, findings: Findings) -> None:
    said = [f"{place}.{field}" for field in OF_THE_TASK if field in service.model_fields_set]
    if service.application and not service.is_job:
        said += [f"{place}.application.{name}" for name in sorted(service.application.model_fields_set)]
        check = service.application.health_check.model_fields_set - {"path", "grace_period_s"}
        said += [f"{place}.application.health_check.{name}" for name in sorted(check)]
    for field in said:
        if field.removeprefix(f"{place}.application.") in OF_THE_APPLICATION:
            continue
        findings.add(
            field,
            "the service is yours, and so is its task definition, which says this",
            "Remove it, or remove attached",
            given=(f"{place}.attached",),
        )


def _check_served(place: str, service: DeclaredService, findings: Findings) -> None:
    """Report what needs a volume or a socket that the sidecar has not."""
    for field, problem in NOT_SERVED.items():
        if field in service.model_fields_set:
            findings.add(f"{place}.{field}", problem, "Remove it, or remove attached", given=(f"{place}.attached",))


def _check_registrations(mesh: Mesh, findings: Findings) -> None:
    """Report a Cloud Map service that two services register in: callers of one would meet tasks of the other."""
    known: dict[tuple[str, str], str] = {}
    # Those that a deploy makes come first: their names are the services' own.
    by_name = sorted(mesh.services, key=lambda name: mesh.cloud_map_name(name) != name)
    for name in by_name:
        service, registered = mesh.services[name], mesh.cloud_map_name(name)
        if service.is_job:
            continue
        other = known.setdefault((service.cell, registered), name)
        if other != name:
            findings.add(
                f"services.{name}.attached.cloud_map_service",
                f"{registered} has the tasks of service {other}, and callers would meet those of both",
                f"Name one that has the tasks of {name} alone; or remove it, and one is made",
                given=(f"services.{other}",),
            )


def _check_container(place: str, service: DeclaredService, attached: Attachment, findings: Findings) -> None:
    taken, name = (naming.ENVOY_CONTAINER, naming.READINESS_CONTAINER), attached.container
    if service.virtual_node and not name:
        findings.add(
            f"{place}.attached.container",
            "it is missing: the application starts after Envoy, and the readiness container after both",
            "Write the name of the application's container in your task definition",
            given=(f"{place}.virtual_node",),
        )
    elif service.virtual_gateway and name:
        findings.add(
            f"{place}.attached.container",
            "a virtual gateway has no application",
            "Remove it, or run a virtual_node",
            given=(f"{place}.virtual_gateway",),
        )
    elif name in taken:
        findings.add(
            f"{place}.attached.container",
            f"{name} is the name of a container of the sidecar's",
            "Give the application's container another name",
        )
