"""Checks of who may connect where: outbound rules, clients outside the mesh, ports."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from meshcert.contract.container import ADMIN_PORT, READINESS_PORT, WAYS_IN_PORT
from meshcert.mesh.proxies import VirtualNode
from meshcert.mesh.ways_out import ways_out
from meshcert.proxy import TlsMode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshcert.mesh.applications.declared import EgressRule
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.part import OutsideClients

MOST_RULES = 60
"""Outbound rules of one security group (Amazon VPC quotas, by default)."""
_OWN_RULES = 1
_HOSTS = ("cidr", "prefix_list", "security_group")


def check_egress(mesh: Mesh, findings: Findings) -> None:
    """Report hosts that are named in no way or in several, twice, or not as EC2 writes them, and too many rules."""
    for name, service in mesh.services.items():
        rules, place = (service.application.egress if service.application else None) or (), _egress_of(name)
        for index, rule in enumerate(rules):
            _check_rule(f"{place}[{index}]", rule, findings)
            if rule in rules[:index]:
                findings.add(f"{place}[{index}]", "it is written twice", "Remove one of them")
        count = _OWN_RULES + sum(len(rule.ports) for rule in rules)
        if count > MOST_RULES:
            findings.add(
                place,
                f"its security group would have {count} rules, one for each port, and EC2 takes {MOST_RULES}",
                "Name a wider range, or a prefix list",
            )


def check_plain_text_sources(mesh: Mesh, findings: Findings) -> None:
    """Report clients in plain text that are named in no way or in two, twice, or where no plain text is spoken."""
    for name, node in mesh.virtual_nodes.items():
        for number, listener in enumerate(node.listeners):
            where, sources = f"virtual_nodes.{name}.listeners[{number}]", listener.permissive_from
            mode = listener.tls.mode if listener.tls else TlsMode.DISABLED
            if sources and mode is not TlsMode.PERMISSIVE:
                findings.add(
                    f"{where}.permissive_from",
                    f"the listener's mode is {mode}, so it would open a way in that nobody is meant to use",
                    "Write tls: {mode: PERMISSIVE, ...}, or remove it",
                    given=(f"{where}.tls", f"{where}.tls.mode"),
                )
            check_outside_clients(f"{where}.permissive_from", sources, findings)


def check_metrics(mesh: Mesh, findings: Findings) -> None:
    """Report scrapers that are named in no way or in two, and a port that a task already has."""
    if mesh.metrics is None:
        return
    check_outside_clients("metrics.scrapers", mesh.metrics.scrapers, findings)
    taken = _ports_of_tasks(mesh)
    if mesh.metrics.port in taken:
        owner, ground = taken[mesh.metrics.port]
        findings.add(
            "metrics.port",
            f"port {mesh.metrics.port} is taken in a task by {owner}",
            "Choose another port",
            given=(ground,) if ground else (),
        )


def _ports_of_tasks(mesh: Mesh) -> dict[int, tuple[str, str]]:
    """The ports that a task of the mesh has: whose each is, and its place in the file."""
    ours = {ADMIN_PORT: "Envoy's admin interface", READINESS_PORT: "the readiness check", WAYS_IN_PORT: "the same"}
    taken = {port: (owner, "") for port, owner in ours.items()}
    for place, proxy in mesh.callers:
        for index, port in enumerate([listener.port_mapping.port for listener in proxy.listeners]):
            at = f"{place}.listeners[{index}].port_mapping.port"
            taken.setdefault(port, (at, at))
        if isinstance(proxy, VirtualNode) and proxy.backends:
            taken.setdefault(proxy.egress_listener.port, (f"{place}.egress_listener", f"{place}.egress_listener.port"))
    for name in mesh.virtual_nodes:
        for at, _, way in ways_out(mesh, name):
            if way.local_port:
                taken.setdefault(way.local_port, (f"{at}.local_port", f"{at}.local_port"))
    for name, service in mesh.services.items():
        if service.application:
            at = f"services.{name}.application.port"
            taken.setdefault(service.application.port, (at, at))
    return taken


def check_outside_clients(where: str, sources: Sequence[OutsideClients], findings: Findings) -> None:
    """Report clients that are named in no way or in two, twice, or not as EC2 writes them."""
    for index, source in enumerate(sources):
        place = f"{where}[{index}]"
        if bool(source.cidr) == bool(source.security_group):
            findings.add(
                place,
                f"it names {'both' if source.cidr else 'neither'} of cidr and security_group",
                "Name exactly one",
                given=(f"{place}.cidr", f"{place}.security_group"),
            )
        check_range(f"{place}.cidr", source.cidr, findings)
        if source in sources[:index]:
            findings.add(place, "it is written twice", "Remove one of them")


def _egress_of(service: str) -> str:
    return f"services.{service}.application.egress"


def _check_rule(place: str, rule: EgressRule, findings: Findings) -> None:
    ways = [way for way in _HOSTS if getattr(rule, way)]
    if len(ways) != 1:
        findings.add(
            place,
            f"it names {' and '.join(ways) or 'no hosts'}",
            "Name exactly one of cidr, prefix_list and security_group",
            given=tuple(f"{place}.{way}" for way in _HOSTS),
        )
    check_range(f"{place}.cidr", rule.cidr, findings)
    for index, port in enumerate(rule.ports):
        if port in rule.ports[:index]:
            findings.add(f"{place}.ports[{index}]", f"{port} is written twice", "Remove one of them")


def check_range(place: str, cidr: str, findings: Findings) -> None:
    """Report text that is no range of IPv4 addresses; empty text is no range and no fault."""
    if cidr and not is_range(cidr):
        findings.add(
            place,
            f"{cidr!r} is no range of IPv4 addresses",
            "Write it as in 10.20.0.0/16, with no bit beyond the prefix; one host is 10.20.0.7/32",
        )


def is_range(text: str) -> bool:
    """True for a range of IPv4 addresses as AWS writes it: no bit beyond the prefix."""
    try:
        return str(IPv4Network(text)) == text
    except ValueError:
        return False
