"""
Checks of a mesh file: places that contradict each other, and values that AWS or Envoy would refuse.

Each check reports its faults to :class:`meshcert.mesh.findings.Findings`, with the places they depend on. They never
raise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.mesh.cells.checks import check_cells
from meshcert.mesh.checks.applications.attached import check_attached
from meshcert.mesh.checks.applications.containers import check_containers
from meshcert.mesh.checks.applications.jobs import check_jobs, check_silent_nodes
from meshcert.mesh.checks.applications.task_policies import check_task_policies
from meshcert.mesh.checks.applications.variables import check_applications
from meshcert.mesh.checks.calls import check_backends, check_calls, check_listeners, check_routes
from meshcert.mesh.checks.clients import check_clients
from meshcert.mesh.checks.federation.published import check_published_bundle
from meshcert.mesh.checks.federation.trust_domains import check_trust_domains
from meshcert.mesh.checks.federation.trusts import check_federated_trusts
from meshcert.mesh.checks.host_policies import check_host_policies
from meshcert.mesh.checks.issuance import (
    check_existing_authorities,
    check_identities,
    check_revocation,
    check_trust,
    check_validity,
)
from meshcert.mesh.checks.limits import check_limits
from meshcert.mesh.checks.names import check_dns_names, check_names, check_service_discovery, check_spiffe_ids
from meshcert.mesh.checks.network.cluster import check_cluster, check_logs
from meshcert.mesh.checks.network.load_balancers import check_load_balancers
from meshcert.mesh.checks.network.networks import check_network
from meshcert.mesh.checks.network.outside_hosts import check_outside_hosts
from meshcert.mesh.checks.network.reach import check_egress, check_metrics, check_plain_text_sources
from meshcert.mesh.checks.network.regions import check_regions
from meshcert.mesh.checks.routing.allow_rules import check_allow_rules
from meshcert.mesh.checks.routing.gateway_routes import check_gateway_routes
from meshcert.mesh.checks.routing.routers import check_local_ports, check_routers, check_virtual_services
from meshcert.mesh.checks.services import (
    check_drains,
    check_each_proxy_runs_once,
    check_health_checks,
    check_ports,
    check_services,
    check_workload_apis,
)
from meshcert.mesh.checks.sources import check_sources
from meshcert.mesh.checks.stacks.shards import check_shards
from meshcert.mesh.checks.timeouts import check_timeouts
from meshcert.mesh.checks.ways_out import check_ways_out

if TYPE_CHECKING:
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh


def check(mesh: Mesh, findings: Findings) -> None:
    """Report every fault that types cannot express."""
    if not check_silent_nodes(mesh, findings):
        return
    for one in (
        check_names,
        check_network,
        check_cluster,
        check_logs,
        check_cells,
        check_egress,
        check_plain_text_sources,
        check_metrics,
        check_load_balancers,
        check_existing_authorities,
        check_regions,
        check_validity,
        check_trust,
        check_revocation,
        check_dns_names,
        check_spiffe_ids,
        check_identities,
        check_clients,
        check_trust_domains,
        check_published_bundle,
        check_service_discovery,
        check_sources,
        check_federated_trusts,
        check_listeners,
        check_backends,
        check_routes,
        check_virtual_services,
        check_routers,
        check_gateway_routes,
        check_local_ports,
        check_calls,
        check_allow_rules,
        check_outside_hosts,
        check_ways_out,
        check_timeouts,
        check_host_policies,
        check_services,
        check_attached,
        check_jobs,
        check_each_proxy_runs_once,
        check_ports,
        check_health_checks,
        check_applications,
        check_containers,
        check_task_policies,
        check_workload_apis,
        check_drains,
        check_shards,
        check_limits,
    ):
        one(mesh, findings)
