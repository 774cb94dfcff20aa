"""Checks of an application's container: its size, its folders, its user; and of how a service replaces its tasks."""

from __future__ import annotations

import math
import re
from posixpath import normpath
from typing import TYPE_CHECKING

from meshcert.contract.container import MATERIAL_DIR, WORKLOAD_API_DIR

if TYPE_CHECKING:
    from meshcert.mesh.applications.declared import Application
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.services import DeclaredService

ENVOY_LEAST_MIB = 128
"""Of a task's memory, for Envoy and the readiness check."""
_OURS = (MATERIAL_DIR, WORKLOAD_API_DIR, "/proc", "/sys", "/dev")
MOST_TAGS = 30
"""Of 50 that AWS allows: the others are the mesh's, CloudFormation's, and one for each identity of a proxy."""
_TAG_KEY, _TAG_VALUE = re.compile(r"[\w .:/=+@-]{1,128}"), re.compile(r"[\w .:/=+@-]{0,256}")
_RESERVED_TAGS = ("aws:", "meshcert:")


def check_containers(mesh: Mesh, findings: Findings) -> None:
    """Report sizes that do not fit into the task, folders that are ours or twice there, and deployments that stick."""
    for name, service in mesh.services.items():
        if service.application:
            _check_size(f"services.{name}", service, service.application, findings)
            _check_volumes(f"services.{name}.application.volumes", service.application, findings)
            _check_user(f"services.{name}", service, service.application, findings)
            _check_command(f"services.{name}.application.health_check", service.application, findings)
        _check_deployment(f"services.{name}", service, findings)
        _check_tags(f"services.{name}.tags", service.tags, findings)


def _check_size(place: str, service: DeclaredService, application: Application, findings: Findings) -> None:
    if application.cpu > service.cpu:
        findings.add(
            f"{place}.application.cpu",
            f"the task has {service.cpu} CPU units",
            f"Write {service.cpu} or less, or raise services.NAME.cpu",
            given=(f"{place}.cpu",),
        )
    if application.memory_mib > service.memory_mib - ENVOY_LEAST_MIB:
        findings.add(
            f"{place}.application.memory_mib",
            f"the task has {service.memory_mib} MiB, of which Envoy needs {ENVOY_LEAST_MIB}",
            f"Write {service.memory_mib - ENVOY_LEAST_MIB} or less, or raise services.NAME.memory_mib",
            given=(f"{place}.memory_mib",),
        )


def _check_volumes(place: str, application: Application, findings: Findings) -> None:
    taken: dict[str, int] = {}
    for index, volume in enumerate(application.volumes):
        # As the container sees it: nobody shadows /proc by //proc or /srv/../proc.
        where, path = f"{place}[{index}]", "/" + normpath(volume.container_path).lstrip("/")
        if path == "/" or any(path == ours or path.startswith(f"{ours}/") for ours in _OURS):
            findings.add(f"{where}.container_path", f"{path} is not the application's", "Choose another folder")
        elif taken.setdefault(path, index) != index:
            findings.add(f"{where}.container_path", f"volumes[{taken[path]}] is there already", "Remove one of them")
        if volume.tmpfs_mib and volume.efs:
            findings.add(where, "it is in memory and on a file system", "Write one of tmpfs_mib and efs")
        if volume.read_only and not volume.efs:
            findings.add(f"{where}.read_only", "nobody else writes there, so it stays empty", "Remove it")


def _check_user(place: str, service: DeclaredService, application: Application, findings: Findings) -> None:
    number = application.user.partition(":")[0]
    if service.workload_api and number.isdecimal() and int(number) not in service.workload_api_users:
        findings.add(
            f"{place}.workload_api_users",
            f"the application runs as user {number}, who may not ask",
            f"Add {number}",
            given=(f"{place}.application.user", f"{place}.workload_api"),
        )


def _check_command(place: str, application: Application, findings: Findings) -> None:
    check = application.health_check
    kind, *words = check.command or ("CMD",)
    if kind not in ("CMD", "CMD-SHELL") or (kind == "CMD-SHELL" and len(words) != 1):
        findings.add(
            f"{place}.command",
            "ECS runs CMD and a program with its arguments, or CMD-SHELL and one line",
            'Write [CMD, PROGRAM, ARGUMENT], or [CMD-SHELL, "LINE"]',
        )
    elif check.command and check.timeout_s > check.interval_s:
        findings.add(
            f"{place}.timeout_s",
            f"a run may take longer than the {check.interval_s} s until the next",
            f"Write {check.interval_s} or less",
            given=(f"{place}.interval_s", f"{place}.command"),
        )


def _check_deployment(place: str, service: DeclaredService, findings: Findings) -> None:
    count = 1 if service.scaler else service.desired_count
    kept = math.ceil(count * service.minimum_healthy_percent / 100)
    most = math.floor(count * service.maximum_percent / 100)
    if count and kept >= count and most <= count:
        findings.add(
            f"{place}.maximum_percent",
            f"of {count} tasks {kept} must serve on and {most} may be there, so no deployment could begin",
            "Raise it, or lower minimum_healthy_percent",
            given=(f"{place}.minimum_healthy_percent", f"{place}.desired_count", f"{place}.scaler"),
        )


def _check_tags(place: str, tags: dict[str, str], findings: Findings) -> None:
    if len(tags) > MOST_TAGS:
        findings.add(place, f"there are {len(tags)} tags", f"Keep at most {MOST_TAGS}")
    for key, value in tags.items():
        if key.lower().startswith(_RESERVED_TAGS):
            findings.add(f"{place}.{key}", "AWS and meshcert have tags of this name", "Choose another name")
        elif not (_TAG_KEY.fullmatch(key) and _TAG_VALUE.fullmatch(value)):
            findings.add(
                f"{place}.{key}",
                "AWS takes 1 to 128 characters for a key and 256 for a value: letters, digits, space and _.:/=+-@",
                "Write it with these",
            )
