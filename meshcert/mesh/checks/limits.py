"""
How many resources the stacks of a mesh have: CloudFormation takes 500 a stack (CloudFormation quotas).

The numbers are those of ``stacks/``; ``tests/stacks/test_sizes.py`` holds them against synthesised templates.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from meshcert.mesh.cells.slices import in_cell
from meshcert.mesh.checks.stacks.caller_rules import caller_rules, check_caller_rules
from meshcert.mesh.edges.callers import sharing
from meshcert.mesh.federation.declared import declared_endpoints
from meshcert.mesh.issuance import Usage
from meshcert.mesh.network import Egress, NatGateways
from meshcert.mesh.stacks.shards import shards_of, stack_of
from meshcert.publishing.declared_bundles import LONGEST, length
from meshcert.publishing.declared_roots import LENGTH as ROOT_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh

ZONES = 2
"""Availability zones of a network whose file names none."""
MOST_RESOURCES = 500
"""Resources of one stack."""

NETWORK, ZONE = 11, 8
"""Network, gateway endpoints, cluster, namespace and execution role with a NAT gateway; subnets of a zone."""
ZONE_WITH_NAT = 2
"""A NAT gateway and its address, for each zone but the first."""
WITHOUT_NETWORK = 4
"""The same if the VPC is there already."""
NAMESPACE = 1
"""The Cloud Map namespace, if it is not yours."""
NETWORK_WITH_ENDPOINTS, ZONE_WITH_ENDPOINTS = 19, 7
"""The same with interface endpoints instead."""
ENDPOINT = 2
"""One interface endpoint more, with its security group."""
KEY = 1
"""The KMS key of the secrets, if it is not yours; its alias is made either way."""
SERVICE = 5
"""Role, task definition, security group, service, Cloud Map service."""
ATTACHED = 2
"""Of a service or job of yours: the policy for its task role, and the row of its settings."""
REGISTRY = 2
"""Its Cloud Map service, and the parameter that names it, unless that is yours too or it is a job."""
SIDECAR_IMAGE = 1
"""The parameter that names Envoy's image, if there is any such service; one more for each architecture named."""
GROUP = 1
"""The security group alone, which a service of a shard has in another stack than the rest."""
PARAMETER = 1
"""In a mesh with shards: what tells the other stacks a group's id."""
LOGS = 2
"""A log group with its filter: one for all services, or one for each."""
LOGS_OF_YOURS = 2
"""A filter, and the right of the role that starts tasks."""
ROUTES = 1
"""The publication of a route table."""
STORED_SETTINGS = 1
"""The right to read a proxy's settings that are too long for its task definition."""
SECRETS = 3
"""A role that fetches what ECS puts into an application's environment, its policy, and the right to that."""
RIGHTS_BESIDE = 1
"""A policy beside the role's own: the right to mount file systems of Amazon EFS, and statements of the user's."""
CALL = 1
"""A rule of a security group for each caller and callee."""
EGRESS = 1
"""A rule of a security group for each port of a prefix list that an application calls."""
BALANCER = 2
"""A load balancer with its security group."""
BALANCED_PORT = 4
"""Two rules of security groups, listener and target group."""

FUNCTIONS = 21
"""The key, four tables, three functions with their roles."""
ISSUANCES = 1
"""The table of requests to Private CA, if an identity's certificates come from there."""
IDENTITY = 4
"""Certificate, or the parameter that says what acm-pca issues; secret with its policy, publication."""
CLIENT = 2
"""The role of a client outside the mesh, with its policy."""
TRUST_BUNDLE = 3
"""Secret with its policy, publication."""
FOREIGN_BUNDLE = 3
"""The same of a foreign trust domain."""
FEDERATION = 9
"""The function that fetches their bundles: table, log group, role with its policies, schedule with its role."""

OWN_BUNDLE = 10
"""The bucket with the mesh's own bundle, its policy, and the function that writes it: as above, without a table."""

AUTHORITY = 3
"""CA, CA certificate, activation."""
PERMISSION = 1
"""ACM's permission on the CA that issues, unless that is a short-lived one."""
LISTS = 2
"""The bucket of revocation lists with its policy."""


def resources(mesh: Mesh) -> dict[str, int]:
    """
    The number of resources of each stack that grows with the mesh, at most, but the rights to stored settings.

    Returns:
        By the stack's name without the mesh's.
    """
    made = sum(hierarchy.made for hierarchy in mesh.hierarchies.values())
    permitted = sum(hierarchy.usage is Usage.GENERAL_PURPOSE for hierarchy in mesh.hierarchies.values())
    has_lists = any(hierarchy.writes_lists and hierarchy.made for hierarchy in mesh.hierarchies.values())
    counted = Counter(
        pki=AUTHORITY * made + PERMISSION * permitted + LISTS * has_lists,
        identities=FUNCTIONS
        - KEY * bool(mesh.about.secrets_key)
        + ISSUANCES * mesh.has_own_keys
        + CLIENT * sum(identity.client is not None for identity in mesh.identities.values())
        + TRUST_BUNDLE * len(mesh.hierarchies)
        + FOREIGN_BUNDLE * len(mesh.trust_domains)
        + FEDERATION * bool(declared_endpoints(mesh.trust_domains))
        + OWN_BUNDLE * (mesh.about.published_bundle is not None),
        services=_network(mesh),
    )
    for identity in mesh.identities:
        counted[stack_of("identities", mesh.shards, identity)] += IDENTITY
    counted["services"] += LOGS * (len(mesh.services) if mesh.logs.makes_each else mesh.logs.makes_shared)
    counted["services"] += LOGS_OF_YOURS * bool(mesh.logs.existing)
    counted["services"] += SIDECAR_IMAGE * len(mesh.sidecar_architectures)
    for name, service in mesh.services.items():
        counted[stack_of("services", mesh.shards, name)] += _of_service(mesh, name)
        if service.attached:
            continue
        # Its security group, and the parameter with that one's id.
        counted["services"] += (GROUP if shards_of(mesh.shards, name) else 0) + (PARAMETER if mesh.shards else 0)
    for rule in caller_rules(mesh):
        counted[rule.stack] += CALL
    for caller, node in {(call.caller, call.node) for call in mesh.calls()}:
        counted[stack_of("services", mesh.shards, mesh.runner_of(node))] += CALL * (
            (not mesh.is_run(node)) + _is_narrowed(mesh, caller)
        )
    if mesh.shards or sharing(mesh):
        counted["services"] += GROUP + (PARAMETER if mesh.shards else 0)
    return dict(counted)


def _of_service(mesh: Mesh, name: str) -> int:
    """Resources of a service in its own stack, but rules that let its callers in."""
    service, apart = mesh.services[name], bool(shards_of(mesh.shards, name))
    if service.attached:
        is_registered = not service.is_job and not service.attached.cloud_map_service
        return ATTACHED + REGISTRY * is_registered + ROUTES * _may_have_routes(mesh, name)
    gateway = mesh.virtual_gateways.get(service.virtual_gateway)
    count = SERVICE - (GROUP if apart else 0)
    count += ROUTES * _may_have_routes(mesh, name)
    has_role = service.application and service.application.secrets
    count += (SECRETS + bool(mesh.logs.existing)) * bool(has_role)
    statements = service.application.task_policies.statements if service.application else ()
    count += RIGHTS_BESIDE * (service.mounts_file_systems or bool(statements))
    count += _rules_of_their_own(mesh, name, apart=apart)
    if service.load_balancer and not service.load_balancer.target_groups and gateway:
        count += BALANCER + BALANCED_PORT * len(gateway.listeners)
    return count


def _may_have_routes(mesh: Mesh, service: str) -> bool:
    """Whether a service's proxy has a route table, at most: the mesh may have faults."""
    declared = mesh.services[service]
    gateway = mesh.virtual_gateways.get(declared.virtual_gateway)
    node = mesh.virtual_nodes.get(declared.virtual_node)
    return bool((gateway and gateway.gateway_routes) or (node and node.backends))


def _is_narrowed(mesh: Mesh, caller: str) -> bool:
    """Whether a calling proxy's tasks may reach only what a rule names, a backend too."""
    node = caller.removeprefix("virtual_nodes.")
    service = mesh.services[mesh.service_of(node)] if mesh.is_run(node) else None
    return bool(service and service.application and service.application.egress is not None)


def _rules_of_their_own(mesh: Mesh, name: str, *, apart: bool) -> int:
    """
    Rules of a service's group that the CDK writes as resources.

    Args:
        apart: The group is in another stack, so no rule can stand in it. Otherwise only a prefix list's cannot.
    """
    service = mesh.services[name]
    egress = service.application.egress if service.application else None
    ports = sum(len(rule.ports) for rule in egress or () if apart or rule.prefix_list)
    if not apart:
        return EGRESS * ports
    files = service.mounts_file_systems
    cidrs = len(mesh.network.cidrs)
    node = mesh.virtual_nodes.get(service.virtual_node)
    outside = sum(len(listener.permissive_from) for listener in node.listeners) if node else 0
    scrapers = len(mesh.metrics.scrapers) if mesh.metrics else 0
    return EGRESS * (ports + (egress is not None) * (1 + files * cidrs) + outside + scrapers)


def _network(mesh: Mesh) -> int:
    network = mesh.network
    zones = len(network.availability_zones) or ZONES
    if network.existing:
        return WITHOUT_NETWORK - (NAMESPACE if mesh.about.namespace_id else 0)
    if network.egress is not Egress.NAT:
        return NETWORK_WITH_ENDPOINTS + ZONE_WITH_ENDPOINTS * zones + ENDPOINT * mesh.fetches_parameters
    more = ZONE_WITH_NAT * (zones - 1) if network.nat_gateways is NatGateways.ONE_PER_ZONE else 0
    return NETWORK + ZONE * zones + more


_EACH = {
    "pki": ("hierarchies", f"each CA takes {AUTHORITY}"),
    "identities": (
        "identities",
        f"{FUNCTIONS} and {IDENTITY} for each identity and {TRUST_BUNDLE} for each hierarchy",
    ),
    "services": (
        "services",
        (
            f"{NETWORK + ZONE * ZONES + LOGS} for the network, {SERVICE} for each service, {CALL} for each call and "
            f"{BALANCER + BALANCED_PORT} for each load balancer"
        ),
    ),
}


def check_limits(mesh: Mesh, findings: Findings) -> None:
    """Report a mesh without cells that does not fit into CloudFormation's stacks: synthesis would end in a trace."""
    if not mesh.cells:
        _check_sizes(mesh, findings)


def check_limits_of_cells(mesh: Mesh, findings: Findings) -> None:
    """
    Report cells whose part of the mesh does not fit.

    Args:
        mesh: A mesh in which :func:`~meshcert.mesh.checks.check` has found nothing: only then has it parts.
    """
    for cell in mesh.cells:
        _check_sizes(in_cell(mesh, cell), findings, cell=cell)


def _check_sizes(mesh: Mesh, findings: Findings, *, cell: str = "") -> None:
    for stack, count in resources(mesh).items():
        _check_stack(mesh, stack, count, findings, cell=cell)
    check_caller_rules(mesh, findings)
    _check_trust_bundles(mesh, findings)


def check_stored_settings(mesh: Mesh, stored: Iterable[str], findings: Findings, *, cell: str = "") -> None:
    """
    Report a mesh that only the rights to its stored settings keep from fitting into CloudFormation's stacks.

    Args:
        mesh: A mesh in which :func:`check_limits` has found nothing, or a cell's part of one.
        stored: The services whose proxies have settings that are too long for their task definition.
        cell: The cell.
    """
    counted = resources(mesh)
    for stack, number in Counter(stack_of("services", mesh.shards, service) for service in stored).items():
        _check_stack(mesh, stack, counted[stack] + STORED_SETTINGS * number, findings, cell=cell)


def _check_stack(mesh: Mesh, stack: str, count: int, findings: Findings, *, cell: str) -> None:
    if count <= MOST_RESOURCES:
        return
    name = "-".join(filter(None, (mesh.name, cell, stack)))
    in_a_shard = "Name some that are not deployed yet in a shard, or in one more (docs/limits.md)"
    remedy = "Declare some that are not deployed yet in another cell" if cell else in_a_shard
    section, parts = _EACH[stack.partition("-")[0]]
    findings.add(
        section,
        f"the stack {name} would have {count} resources, and CloudFormation takes {MOST_RESOURCES}: "
        f"{parts}; there are {len(getattr(mesh, section))} {section}",
        remedy if section != "hierarchies" else "Divide it into two meshes",
        given=(section, "shards"),
    )


def _check_trust_bundles(mesh: Mesh, findings: Findings) -> None:
    """Report more hierarchies than the deploy function's environment has room for."""
    used = sum(
        length(name, len(mesh.trusted(name)) + sum(mesh.hierarchies[each].made or 1 for each in mesh.listed(name)))
        + (ROOT_LENGTH if hierarchy.existing else 0)
        for name, hierarchy in mesh.hierarchies.items()
        if set(hierarchy.also_trust) <= mesh.hierarchies.keys()
    )
    if used > LONGEST:
        findings.add(
            "hierarchies",
            f"their trust bundles take {used} characters of the deploy function's environment, and {LONGEST} is the "
            f"most: each of the {len(mesh.hierarchies)} hierarchies takes some 60, and 37 for each CA that it trusts "
            "besides, or whose revocation lists it reads",
            "Divide it into two meshes",
        )
