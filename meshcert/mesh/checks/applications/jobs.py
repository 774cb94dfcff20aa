"""Checks of jobs, whose tasks end by themselves, and of virtual nodes without a listener, which are theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.services import DeclaredService

OF_A_SERVICE = ("application", "drain_s", "rotation")
"""Fields of a service that mean nothing for a job: it has no port, no ways in and no deployment."""


def check_jobs(mesh: Mesh, findings: Findings) -> None:
    """Report what a job cannot have, and what it lacks."""
    for name, service in mesh.services.items():
        if service.is_job:
            _check_job(mesh, f"services.{name}", service, findings)


def check_silent_nodes(mesh: Mesh, findings: Findings) -> bool:
    """
    Report virtual nodes without a listener that are no job's, or that somebody calls.

    Returns:
        False if there is one: other checks take for granted that what is called has a listener.
    """
    silent = {name for name, node in mesh.virtual_nodes.items() if not node.listeners}
    run_by = {service.virtual_node: service for service in mesh.services.values()}
    wrong = {name for name in silent if name not in run_by or not run_by[name].is_job}
    for name in sorted(wrong):
        findings.add(
            f"virtual_nodes.{name}.listeners",
            "there is none, and callers would have no port to call",
            "Write one; only a job's node has none: services.NAME.attached.job",
            given=("services",),
        )
    for call in mesh.calls():
        if call.node in silent - wrong:
            findings.add(
                call.place,
                f"{call.node} is a job's, which has no listener and takes no requests",
                "Remove it, or call a service",
                given=(f"virtual_nodes.{call.node}.listeners",),
            )
    return not wrong and not any(call.node in silent for call in mesh.calls())


def _check_job(mesh: Mesh, place: str, service: DeclaredService, findings: Findings) -> None:
    attached, node = service.attached, mesh.virtual_nodes.get(service.virtual_node)
    for field in OF_A_SERVICE:
        if field in service.model_fields_set:
            findings.add(
                f"{place}.{field}",
                "a job takes no requests, and nothing but its next task takes over what is new",
                "Remove it",
                given=(f"{place}.attached.job",),
            )
    for field in ("cluster", "service", "cloud_map_service"):
        if attached and getattr(attached, field):
            findings.add(
                f"{place}.attached.{field}",
                "a job is no ECS service, and nobody finds it: whoever runs it says in which cluster",
                "Remove it, or remove job",
                given=(f"{place}.attached.job",),
            )
    if attached and not attached.task_definition:
        findings.add(
            f"{place}.attached.task_definition",
            "it is missing: a job is known by its task definition",
            "Write its family",
            given=(f"{place}.attached.job",),
        )
    if service.virtual_gateway:
        findings.add(
            f"{place}.virtual_gateway",
            "a gateway takes requests, and a job takes none",
            "Run a virtual_node, or remove job",
            given=(f"{place}.attached.job",),
        )
    if node and node.listeners:
        findings.add(
            f"virtual_nodes.{service.virtual_node}.listeners",
            f"a job runs this node ({place}), and takes no requests",
            "Remove them, or remove job",
            given=(f"{place}.attached.job", f"{place}.virtual_node"),
        )
    elif node and not node.backends:
        findings.add(
            f"virtual_nodes.{service.virtual_node}.backends",
            "it has neither backends nor a listener, so there is nothing for its Envoy to do",
            "Name whom the job calls",
            given=(f"{place}.attached.job", f"{place}.virtual_node"),
        )
