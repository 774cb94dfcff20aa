"""Checks of the services: each runs one proxy, each proxy runs in one service, and everything fits into its task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.contract.container import ADMIN_PORT, READINESS_PORT, WAYS_IN_PORT
from meshcert.contract.discovery import CALLERS_LEARN_S
from meshcert.contract.stopping import LONGEST_DRAIN_S, LONGEST_STOP_S, envoy_stop_s, readiness_stop_s
from meshcert.mesh.routing.ports import NodeProtocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.proxies import VirtualNode
    from meshcert.mesh.services import DeclaredService

_GIB = 1024
_FARGATE_MEMORY_MIB: dict[int, Iterable[int]] = {
    256: (512, 1024, 2048),
    512: range(1 * _GIB, 4 * _GIB + 1, _GIB),
    1024: range(2 * _GIB, 8 * _GIB + 1, _GIB),
    2048: range(4 * _GIB, 16 * _GIB + 1, _GIB),
    4096: range(8 * _GIB, 30 * _GIB + 1, _GIB),
    8192: range(16 * _GIB, 60 * _GIB + 1, 4 * _GIB),
    16384: range(32 * _GIB, 120 * _GIB + 1, 8 * _GIB),
}
"""What Fargate offers for each cpu (ecs:RegisterTaskDefinition, `memory`)."""


def check_services(mesh: Mesh, findings: Findings) -> None:
    """Report services without exactly one proxy, virtual nodes without application, and impossible cpu and memory."""
    for name, service in mesh.services.items():
        place = f"services.{name}"
        ways = (f"{place}.virtual_gateway", f"{place}.virtual_node")
        if bool(service.virtual_gateway) == bool(service.virtual_node):
            findings.add(
                place,
                f"it names {'both' if service.virtual_gateway else 'neither'} of virtual_gateway and virtual_node",
                "Name exactly one: a service runs one proxy",
                given=ways,
            )
            for way in ways:
                findings.doubt(way)
        elif service.virtual_gateway:
            findings.require_known(mesh, ways[0], "virtual_gateways", service.virtual_gateway)
        else:
            findings.require_known(mesh, ways[1], "virtual_nodes", service.virtual_node)
        _check_task(place, service, findings, ways)


def check_each_proxy_runs_once(mesh: Mesh, findings: Findings) -> None:
    """Report virtual gateways and virtual nodes that do not belong to exactly one service."""
    for kind, section in (("virtual_gateway", "virtual_gateways"), ("virtual_node", "virtual_nodes")):
        runs: dict[str, str] = {}
        for name, service in mesh.services.items():
            proxy = getattr(service, kind)
            if proxy and runs.setdefault(proxy, name) != name:
                findings.add(
                    f"services.{name}.{kind}",
                    f"service {runs[proxy]} runs {proxy} already",
                    f"Raise its desired_count for more tasks, or declare another under {section}",
                    given=(f"services.{runs[proxy]}.{kind}",),
                )
        grounds = ["services", *(f"services.{name}.{kind}" for name in mesh.services)]
        for proxy, declared in getattr(mesh, section).items():
            if proxy not in runs and not getattr(declared, "service_discovery", None):
                findings.add(
                    f"{section}.{proxy}",
                    "no service runs it",
                    f"Add a service with {kind}: {proxy}, or remove it",
                    given=grounds,
                )


def check_health_checks(mesh: Mesh, findings: Findings) -> None:
    """Report a path to ask for where the application does not speak plain HTTP."""
    for name, service in mesh.services.items():
        node = mesh.virtual_nodes.get(service.virtual_node)
        if node is None or service.application is None or not service.application.health_check.path:
            continue
        protocol = next((listener.port_mapping.protocol for listener in node.listeners), None)
        if protocol in (NodeProtocol.TCP, NodeProtocol.GRPC):
            findings.add(
                f"services.{name}.application.health_check.path",
                f"virtual node {service.virtual_node} speaks {protocol.value}, which has no paths to ask for",
                "Leave path out: a TCP connection is then enough",
                given=(f"services.{name}.virtual_node",),
            )


def check_drains(mesh: Mesh, findings: Findings) -> None:
    """Report drains that end before callers have left, or that do not fit into the time that ECS gives a container."""
    for name, service in mesh.services.items():
        drain_s, place = service.drain_s, f"services.{name}.drain_s"
        longest_s = max(envoy_stop_s(drain_s), readiness_stop_s(drain_s))
        if drain_s <= CALLERS_LEARN_S:
            findings.add(
                place,
                f"callers go on sending for up to {CALLERS_LEARN_S:g} s to a task that was told to stop, and after "
                f"{drain_s:g} s it would refuse them",
                f"Write more than {CALLERS_LEARN_S:g}, or leave it out",
            )
        elif longest_s > LONGEST_STOP_S:
            findings.add(
                place,
                f"its containers would need {longest_s:g} s to stop ({drain_s:g} s and {longest_s - drain_s:g} s to "
                f"finish), and ECS gives a container {LONGEST_STOP_S:g} s",
                f"Write {LONGEST_DRAIN_S:g} or less",
            )


def check_workload_apis(mesh: Mesh, findings: Findings) -> None:
    """Report a Workload API that nobody could ask, or that had nothing to offer."""
    for name, service in mesh.services.items():
        place, node = f"services.{name}.workload_api", mesh.virtual_nodes.get(service.virtual_node)
        if not service.workload_api:
            continue
        if service.virtual_gateway and not service.virtual_node:
            findings.add(
                place,
                "a virtual gateway has no application that could ask",
                "Remove it, or run a virtual_node",
                given=(f"services.{name}.virtual_gateway", f"services.{name}.virtual_node"),
            )
        elif node and not any(
            mesh.identities[identity].spiffe_id for identity in _presented(node) if identity in mesh.identities
        ):
            findings.add(
                place,
                f"virtual node {service.virtual_node} presents no identity with a SPIFFE ID, and offers no other",
                "Add issuer: acm-pca and a spiffe_id to one of its identities, or remove it",
                given=(f"virtual_nodes.{service.virtual_node}", "identities"),
            )


def _presented(node: VirtualNode) -> set[str]:
    """The identities that a node presents to clients and to backends."""
    tls = [*(listener.tls for listener in node.listeners), *(node.client_tls(backend) for backend in node.backends)]
    return {side.certificate.identity for side in tls if side and side.certificate}


def check_ports(mesh: Mesh, findings: Findings) -> None:
    """Report listeners of one task that share a port, also with Envoy's admin interface or the application."""
    for section in ("virtual_gateways", "virtual_nodes"):
        for name, proxy in getattr(mesh, section).items():
            taken = {ADMIN_PORT: ("Envoy's admin interface", "")}
            if section == "virtual_nodes":
                taken |= {READINESS_PORT: ("the readiness check", ""), WAYS_IN_PORT: ("the readiness check", "")}
            for index, listener in enumerate(proxy.listeners):
                place = f"{section}.{name}.listeners[{index}].port_mapping.port"
                _check_port(place, listener.port_mapping.port, taken, findings)
                taken.setdefault(listener.port_mapping.port, (f"listeners[{index}]", place))
            for service_name, service in mesh.services.items():
                if section == "virtual_nodes" and service.virtual_node == name and service.application:
                    _check_port(f"services.{service_name}.application.port", service.application.port, taken, findings)


def _check_port(place: str, port: int, taken: dict[int, tuple[str, str]], findings: Findings) -> None:
    if port in taken:
        owner, ground = taken[port]
        findings.add(
            place,
            f"port {port} is taken in the same task by {owner}",
            "Choose another port",
            given=(ground,) if ground else (),
        )


def _check_task(place: str, service: DeclaredService, findings: Findings, ways: tuple[str, str]) -> None:
    if service.virtual_node and not service.application and not service.is_job:
        findings.add(
            f"{place}.application",
            f"the listener of virtual node {service.virtual_node} leads to an application, and there is none",
            f"Add application: {{{'' if service.attached else 'image: FOLDER, '}port: ...}}",
            given=ways,
        )
    if service.virtual_gateway and not service.virtual_node:
        if service.application:
            findings.add(
                f"{place}.application",
                "a virtual gateway has no application: it sends requests to its backends",
                "Remove it, or run a virtual_node",
                given=ways,
            )
    elif service.load_balancer and service.virtual_node:
        findings.add(
            f"{place}.load_balancer",
            "only a virtual gateway stands behind a load balancer",
            "Remove it: the mesh finds virtual nodes by itself",
            given=ways,
        )
    offered = list(_FARGATE_MEMORY_MIB[service.cpu])
    if not service.attached and service.memory_mib not in offered:
        findings.add(
            f"{place}.memory_mib",
            f"Fargate has no tasks of cpu {service.cpu} with {service.memory_mib} MiB",
            f"Use one of: {', '.join(map(str, offered))}",
            given=(f"{place}.cpu",),
        )
