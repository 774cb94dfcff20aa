"""Checks of the network, the mesh's own or yours."""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from meshcert.errors import Fault
from meshcert.mesh.cells.placing import network_place, networks
from meshcert.mesh.checks.network.reach import check_range, is_range
from meshcert.mesh.network import Egress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.network import ExistingNetwork, Network

FEWEST_ZONES, MOST_ZONES = 2, 6
"""With one zone, its failure is the mesh's; the network's addresses are divided between at most six."""
LARGEST, SMALLEST = 16, 24
"""Prefix lengths of a network of the mesh's own: a VPC is no larger, its subnets no smaller than /28 (Amazon VPC)."""
_RESERVED = tuple(map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4")))
"""Addresses of which no VPC is made (Amazon VPC user guide, "VPC CIDR blocks")."""
SMALLEST_OF_A_VPC = 28
"""Prefix length of the smallest range of a VPC (Amazon VPC)."""
ZONE = re.compile(r"[a-z]{2}(-[a-z]+)+-\d[a-z]")
"""The name of a zone: its region's, and a letter."""


def check_network(mesh: Mesh, findings: Findings) -> None:
    """Report a network that no VPC could have, and one of yours of which the file says what only its owner decides."""
    for place, named, (at, network) in _namespaces(mesh):
        # A shared one's names resolve in no VPC here, unless its owner lets one in: Cloud Map's API is asked.
        if named and ":" not in named and not network.existing:
            findings.add(
                place,
                "the namespace is yours, and its names resolve in its own VPC, not in one that a deploy makes",
                f"Name its VPC below {at}.existing, or remove it",
                given=(f"{at}.existing",),
            )
    for place, network, _ in networks(mesh):
        if network.existing:
            _check_existing(place, network, network.existing, findings)
        else:
            _check_made(place, network, findings)


def _namespaces(mesh: Mesh) -> Iterator[tuple[str, str, tuple[str, Network]]]:
    """Places and values of what may name a namespace of yours, each with the network of the services in it."""
    running = next((service.cell for service in mesh.services.values()), "")
    # By its id, a mesh names that of the one cell with services.
    yield "mesh.namespace_id", mesh.about.namespace_id, network_place(mesh, running)
    for cell, declared in mesh.cells.items():
        yield f"cells.{cell}.namespace_id", declared.namespace_id, network_place(mesh, cell)


def _check_made(at: str, network: Network, findings: Findings) -> None:
    zones, place = network.availability_zones, f"{at}.availability_zones"
    if zones and not FEWEST_ZONES <= len(zones) <= MOST_ZONES:
        findings.add(
            place,
            f"there are {len(zones)} zones",
            f"Name {FEWEST_ZONES} to {MOST_ZONES}, or leave it out for the region's first two",
        )
    _check_zones([(f"{place}[{index}]", zone) for index, zone in enumerate(zones)], findings)
    check_range(f"{at}.cidr", network.cidr, findings)
    for reserved in _RESERVED if is_range(network.cidr) else ():
        if IPv4Network(network.cidr).overlaps(reserved):
            findings.add(
                f"{at}.cidr",
                f"{network.cidr} is in {reserved}, of which EC2 makes no VPC",
                "Write private addresses, as in 10.20.0.0/16",
            )
            return
    if is_range(network.cidr) and not LARGEST <= IPv4Network(network.cidr).prefixlen <= SMALLEST:
        findings.add(
            f"{at}.cidr",
            f"{network.cidr} is no size for a network of the mesh's own",
            f"Write a range of /{LARGEST} to /{SMALLEST}",
        )


def _check_existing(at: str, network: Network, existing: ExistingNetwork, findings: Findings) -> None:
    for field in sorted(network.model_fields_set - {"existing"}):
        findings.add(
            f"{at}.{field}",
            "the VPC is yours, and this says how to make one",
            f"Remove it, or remove {at}.existing",
            given=(f"{at}.existing",),
        )
    for index, cidr in enumerate(existing.cidrs):
        place = f"{at}.existing.cidrs[{index}]"
        if ":" in cidr:
            findings.add(
                place,
                f"{cidr} is IPv6, and proxies find and reach each other by IPv4",
                "Name the VPC's IPv4 ranges alone; a dual-stack VPC has some",
            )
            continue
        check_range(place, cidr, findings)
        if cidr in existing.cidrs[:index]:
            findings.add(place, f"{cidr} is written twice", "Remove one of them")
    for field in ("subnets", "load_balancer_subnets"):
        _check_subnets(f"{at}.existing.{field}", getattr(existing, field), findings)
    zones = {subnet: zone for zone, subnet in existing.subnets.items()}
    for zone, subnet in existing.load_balancer_subnets.items():
        if ZONE.fullmatch(zone) and zones.get(subnet, zone) != zone:
            findings.add(
                f"{at}.existing.load_balancer_subnets.{zone}",
                f"{subnet} is in {zones[subnet]}, as {at}.existing.subnets has it, and a subnet is in one zone",
                f"Name a subnet of {zone}, or write {zones[subnet]}",
                given=(f"{at}.existing.subnets.{zones[subnet]}",),
            )


def no_ranges_of_a_vpc(mesh: Mesh) -> Iterator[Fault]:
    """A finding for each range of a VPC of yours that no VPC has: load balancers admit others' addresses, too."""
    remedy = (
        f"Write the VPC's own ranges, each of /{LARGEST} to /{SMALLEST_OF_A_VPC}; whom else a load balancer admits "
        "stands in services.NAME.load_balancer.clients, and then the VPC's ranges stand there, too"
    )
    for at, network, _ in networks(mesh):
        cidrs = [cidr for cidr in network.cidrs if network.existing and is_range(cidr)]
        for index, cidr in enumerate(cidrs):
            own, place = IPv4Network(cidr), f"{at}.existing.cidrs[{index}]"
            if not LARGEST <= own.prefixlen <= SMALLEST_OF_A_VPC:
                yield Fault(place, f"{cidr} is no range of a VPC's, and load balancers admit all of it", remedy)
            for other in cidrs[:index]:
                if own.overlaps(IPv4Network(other)):
                    yield Fault(place, f"{cidr} overlaps {other}, and a VPC's ranges do not", remedy)


def gateways_without_nat(mesh: Mesh) -> Iterator[Fault]:
    """A finding for each network that says how many NAT gateways it has, and has none."""
    for at, network, _ in networks(mesh):
        if network.egress is Egress.ENDPOINTS and "nat_gateways" in network.model_fields_set and not network.existing:
            problem = "with egress: endpoints there is no NAT gateway, and this counts for nothing"
            yield Fault(f"{at}.nat_gateways", problem, "Remove it, or write egress: nat")


def _check_subnets(place: str, subnets: dict[str, str], findings: Findings) -> None:
    _check_zones([(f"{place}.{zone}", zone) for zone in subnets], findings)
    known: dict[str, str] = {}
    for zone, subnet in subnets.items():
        if other := known.get(subnet):
            findings.add(
                f"{place}.{zone}",
                f"{subnet} is the subnet of {other} too, and a subnet is in one zone",
                "Name the zone's own subnet",
                given=(f"{place}.{other}",),
            )
        known.setdefault(subnet, zone)


def _check_zones(zones: Iterable[tuple[str, str]], findings: Findings) -> None:
    """
    Report zones that are none, are written twice, or are of several regions.

    Args:
        zones: Place and name of each.
    """
    seen: list[str] = []
    for place, zone in zones:
        if not ZONE.fullmatch(zone):
            findings.add(place, f"{zone!r} is not the name of a zone", "Write it as in us-west-1a")
        elif zone in seen:
            findings.add(place, f"{zone} is written twice", "Remove one of them")
        elif seen and zone[:-1] != seen[0][:-1]:
            findings.add(place, f"{zone} and {seen[0]} are in different regions", "Name zones of one")
        seen.append(zone)
