"""``meshcert plan --offline``: what a mesh file would deploy and cost, before there is anything in AWS."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from meshcert.cli.costs.issuing import HOURS, IssuingPlan, declared_issuing, issuing_plan, short_lived_authorities
from meshcert.cli.costs.month import (
    FEDERATION_ALARMS,
    FEDERATION_METRICS,
    INSIGHTS_METRICS,
    METRIC,
    OWN_BUNDLE_ALARMS,
    OWN_BUNDLE_METRICS,
    BilledParts,
    Estimate,
    Line,
    Poll,
    alarms,
    estimate,
    metrics,
)
from meshcert.cli.terminal import counted
from meshcert.mesh import proxy_settings
from meshcert.mesh.cells.placing import assumes_roles
from meshcert.mesh.cells.slices import in_cell
from meshcert.mesh.checks.limits import MOST_RESOURCES, ZONES, resources
from meshcert.mesh.federation.declared import declared_endpoints
from meshcert.mesh.network import Egress, NatGateways

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshcert.mesh import Mesh

INTERFACE_ENDPOINTS = 5
"""Interface endpoints of a network with ``egress: endpoints``, one in each zone; parameters of Systems Manager take one
more, and so do roles of other cells that tasks assume."""

CPU_HOUR = 0.03238
"""A vCPU of Fargate on arm64, an hour; x86_64 costs a quarter more (aws.amazon.com/fargate/pricing)."""
GIB_HOUR = 0.00356
"""A GiB of memory of Fargate on arm64, an hour."""
NAT_HOUR = 0.045 + 0.005
"""A NAT gateway and its public address, an hour (aws.amazon.com/vpc/pricing)."""
ENDPOINT_HOUR = 0.01
"""An interface endpoint in one zone, an hour (aws.amazon.com/privatelink/pricing)."""
BALANCER_HOUR = 0.0225
"""A network load balancer, an hour (aws.amazon.com/elasticloadbalancing/pricing)."""
ZONE = 0.50
"""The private hosted zone of a Cloud Map namespace, a month (aws.amazon.com/route53/pricing)."""
_CPU_UNITS, _MIB = 1024, 1024


@dataclass(frozen=True)
class OfflinePlan:
    """
    What a mesh file would cost.

    Args:
        month: What meshcert adds to the bill.
        workload: What the services cost whoever runs them: tasks, network, load balancers; without traffic.
        resources: The number of resources of each stack that grows with the mesh, at most.
        issuing: What its CAs and certificates would cost in other ways.
    """

    month: Estimate
    workload: tuple[Line, ...]
    resources: dict[str, int]
    issuing: IssuingPlan

    @property
    def workload_dollars(self) -> float:
        """The sum of the workload's lines, US dollars a month."""
        return sum(line.dollars for line in self.workload)

    def document(self) -> dict[str, Any]:
        """The plan for scripts."""
        return {
            "month": self.month.document(),
            "issuing": self.issuing.document(),
            "resources": {"limit": MOST_RESOURCES, "stacks": self.resources},
            "workload": {"dollars": self.workload_dollars, "lines": [asdict(line) for line in self.workload]},
        }


def offline_plan(mesh: Mesh) -> OfflinePlan:
    """What a mesh would cost; asks nobody."""
    return OfflinePlan(estimate(declared_usage(mesh)), _workload(mesh), resources(mesh), issuing_plan(mesh))


def declared_usage(mesh: Mesh) -> BilledParts:
    """The parts of a mesh that cost money, counted in its file."""
    short_lived, asks = short_lived_authorities(mesh), bool(declared_endpoints(mesh.trust_domains))
    publishes, deployed = mesh.about.published_bundle is not None, _deployed(mesh)
    issuers = [{identity.issuer for identity in part.identities.values()} for part in deployed]
    return BilledParts(
        keys=sum(2 - bool(part.about.secrets_key) for part in deployed),
        authorities=sum(hierarchy.made for hierarchy in mesh.hierarchies.values()) - short_lived,
        short_lived_authorities=short_lived,
        issued=declared_issuing(mesh),
        identities=len(mesh.identities),
        trust_bundles=sum(len(part.hierarchies) + len(part.trust_domains) for part in deployed),
        polls=tuple(declared_polls(mesh).values()),
        alarms=sum(alarms(each) + asks * FEDERATION_ALARMS + publishes * OWN_BUNDLE_ALARMS for each in issuers),
        metrics=sum(metrics(each) + asks * FEDERATION_METRICS + publishes * OWN_BUNDLE_METRICS for each in issuers),
        deployments=len(deployed),
    )


def declared_polls(mesh: Mesh) -> dict[str, Poll]:
    """What each service asks for again and again, by its name."""
    polls = {}
    for part in _deployed(mesh):
        for name, service in part.services.items():
            if service.is_job:
                continue
            settings = proxy_settings(part, name)
            secrets = len(settings.secret_references)
            polls[name] = Poll(service.desired_count, secrets, settings.poll_interval_s, len(settings.discovered))
    return polls


def _deployed(mesh: Mesh) -> tuple[Mesh, ...]:
    """What has a network, functions and alarms of its own: the mesh, or each cell that does more than make CAs."""
    parts = (in_cell(mesh, cell) for cell in mesh.cells)
    return tuple(part for part in parts if part.identities or part.services) or (mesh,)


def _workload(mesh: Mesh) -> tuple[Line, ...]:
    services = [service for service in mesh.services.values() if not service.is_job]
    tasks = sum(service.desired_count for service in services)
    cpus = sum(service.desired_count * service.cpu for service in services) / _CPU_UNITS
    gib = sum(service.desired_count * service.memory_mib for service in services) / _MIB
    made = [each.load_balancer for each in services if each.load_balancer and not each.load_balancer.target_groups]
    deployed = _deployed(mesh)
    return (
        Line(
            "Fargate tasks, arm64",
            f"{tasks}: {cpus:g} vCPU, {gib:g} GiB",
            (cpus * CPU_HOUR + gib * GIB_HOUR) * HOURS,
        ),
        *_ways_out(deployed),
        Line("load balancers", f"{len(made)}", len(made) * BALANCER_HOUR * HOURS),
        Line("Cloud Map's hosted zones", f"{len(deployed)}", len(deployed) * ZONE),
        *_insights(deployed),
    )


def _ways_out(deployed: Sequence[Mesh]) -> Iterator[Line]:
    """What leads to AWS's APIs; nothing of ours does in a VPC of yours."""
    gateways, endpoints = 0, list[tuple[int, int]]()
    for part in deployed:
        network = part.network
        zones = len(network.availability_zones) or ZONES
        if network.existing:
            continue
        if network.egress is Egress.NAT:
            gateways += zones if network.nat_gateways is NatGateways.ONE_PER_ZONE else 1
        else:
            endpoints.append((INTERFACE_ENDPOINTS + part.fetches_parameters + assumes_roles(part), zones))
    if gateways:
        what = "NAT gateway with its address" if gateways == 1 else "NAT gateways with their addresses"
        yield Line(what, f"{gateways}", gateways * NAT_HOUR * HOURS)
    if endpoints:
        quantity = ", ".join(f"{number} in {counted(zones, 'zone')}" for number, zones in endpoints)
        dollars = sum(number * zones for number, zones in endpoints) * ENDPOINT_HOUR * HOURS
        yield Line("interface endpoints", quantity, dollars)


def _insights(deployed: Sequence[Mesh]) -> tuple[Line, ...]:
    metrics = INSIGHTS_METRICS * sum(len(part.services) for part in deployed if part.cluster.container_insights)
    if not metrics:
        return ()
    return (Line("Container Insights, without its logs", f"{metrics} metrics", metrics * METRIC),)
