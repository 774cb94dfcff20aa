"""Checks of the load balancers before virtual gateways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.mesh.cells.placing import network_place
from meshcert.mesh.checks.network.networks import FEWEST_ZONES
from meshcert.mesh.checks.network.reach import check_outside_clients
from meshcert.mesh.load_balancers import BalancerScheme, BalancerType

if TYPE_CHECKING:
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.load_balancers import LoadBalancer
    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.network import Network
    from meshcert.mesh.proxies import VirtualGateway

_OF_MADE_ONES = ("certificate", "port", "scheme")


def check_load_balancers(mesh: Mesh, findings: Findings) -> None:
    """Report load balancers that mix ports, admit nobody or anybody unsaid, or end TLS that a gateway asks for."""
    leads: dict[str, str] = {}
    for name, service in mesh.services.items():
        balancer, gateway = service.load_balancer, mesh.virtual_gateways.get(service.virtual_gateway)
        if not balancer or not gateway:
            continue
        place = f"services.{name}.load_balancer"
        for listener in gateway.listeners:
            _check_alone(f"{place}.target_groups", listener.port_mapping.port, balancer, leads, findings)
        check_outside_clients(f"{place}.clients", balancer.clients, findings)
        if balancer.target_groups:
            _check_yours(network_place(mesh, service.cell), place, balancer, gateway, findings)
        else:
            _check_made(place, balancer, gateway, findings)
            _check_zones(network_place(mesh, service.cell), place, balancer, findings)
        if balancer.type is BalancerType.APPLICATION:
            _check_application(f"virtual_gateways.{service.virtual_gateway}", place, gateway, findings)


def _check_alone(place: str, port: int, balancer: LoadBalancer, leads: dict[str, str], findings: Findings) -> None:
    """Report a target group that leads to another port as well."""
    at = f"{place}.{port}"
    other = leads.setdefault(balancer.target_groups.get(port, at), at)
    if other != at:
        remedy = "Name one that is for this port alone"
        findings.add(at, f"it is that of {other}, and gets requests for either port", remedy, given=(other,))


def _check_made(place: str, balancer: LoadBalancer, gateway: VirtualGateway, findings: Findings) -> None:
    if balancer.scheme is BalancerScheme.INTERNET_FACING and not balancer.clients:
        findings.add(
            f"{place}.clients",
            "the load balancer is on the internet, and the file does not say whom it admits",
            "Add clients, for example [{cidr: 203.0.113.0/24}]; [{cidr: 0.0.0.0/0}] is everybody",
            given=(f"{place}.scheme",),
        )
    if balancer.port and len(gateway.listeners) > 1:
        findings.add(
            f"{place}.port",
            f"the gateway has {len(gateway.listeners)} listeners, and one port leads to one of them",
            "Remove it: each listener's port is the load balancer's too",
        )
    is_application = balancer.type is BalancerType.APPLICATION
    if is_application and not balancer.certificate:
        findings.add(
            f"{place}.certificate",
            "an application load balancer ends TLS, and has no certificate for its clients",
            "Add certificate, the ARN of one in ACM; or write type: network, which passes TLS through",
            given=(f"{place}.type",),
        )
    if balancer.certificate and not is_application:
        findings.add(
            f"{place}.certificate",
            "a network load balancer passes TLS through, and shows nobody a certificate",
            "Remove it, or write type: application",
            given=(f"{place}.type",),
        )


def _check_zones(network: tuple[str, Network], place: str, balancer: LoadBalancer, findings: Findings) -> None:
    """Report an application load balancer in one zone (elasticloadbalancing:CreateLoadBalancer: two at least)."""
    at, existing = network[0], network[1].existing
    if balancer.type is BalancerType.APPLICATION and existing:
        field = "load_balancer_subnets" if existing.load_balancer_subnets else "subnets"
        if len(getattr(existing, field)) < FEWEST_ZONES:
            findings.add(
                f"{at}.existing.{field}",
                "it names one zone, and an application load balancer stands in two or more",
                "Add a subnet of another zone; or write type: network",
                given=(f"{place}.type",),
            )


def _check_yours(
    network: tuple[str, Network], place: str, balancer: LoadBalancer, gateway: VirtualGateway, findings: Findings
) -> None:
    for field in _OF_MADE_ONES:
        if field in balancer.model_fields_set:
            findings.add(
                f"{place}.{field}",
                "the load balancer is yours, and this says how to make one",
                "Remove it, or remove target_groups",
                given=(f"{place}.target_groups",),
            )
    at, declared = network
    if not declared.existing:
        findings.add(
            f"{place}.target_groups",
            "a target group is in a VPC that is there before, and the mesh makes its own",
            f"Name the VPC below {at}.existing",
            given=(f"{at}.existing",),
        )
    ports = {listener.port_mapping.port for listener in gateway.listeners}
    for port in sorted(balancer.target_groups.keys() ^ ports):
        if port in ports:
            findings.add(f"{place}.target_groups", f"none is for the gateway's port {port}", f"Add {port}: ARN")
        else:
            remedy = f"Use {' or '.join(map(str, sorted(ports)))}"
            findings.add(f"{place}.target_groups.{port}", f"the gateway has no listener at {port}", remedy)


def _check_application(at: str, place: str, gateway: VirtualGateway, findings: Findings) -> None:
    for index, listener in enumerate(gateway.listeners):
        if listener.tls and listener.tls.validation:
            findings.add(
                f"{place}.type",
                f"an application load balancer ends TLS, so no certificate of a client reaches {at}.listeners[{index}],"
                " which asks for one and would refuse every connection",
                "Write type: network, which passes TLS through; or remove the listener's validation, and have the load "
                "balancer authenticate clients (mutual authentication of its listener, with a trust store of its own)",
                given=(f"{at}.listeners[{index}].tls.validation",),
            )
