"""Checks of hosts outside the mesh: virtual nodes that DNS knows and no service of the file runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.mesh.applications.declared import HTTPS
from meshcert.mesh.naming import dns_name_problem
from meshcert.san import Dns

if TYPE_CHECKING:
    from meshcert.mesh.calls import Call
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.proxies import ClientTls, GatewayListener, NodeListener


def check_outside_hosts(mesh: Mesh, findings: Findings) -> None:
    """Report what no Envoy could do for such a host, names that it cannot prove, and ports that a task cannot reach."""
    outside = {name: node for name, node in mesh.virtual_nodes.items() if mesh.is_outside(name)}
    for name, node in outside.items():
        place, given = f"virtual_nodes.{name}", ("services", f"virtual_nodes.{name}.service_discovery")
        if node.backends:
            findings.add(
                f"{place}.backends",
                "no service runs this node: it is a host outside the mesh, from which no Envoy of the mesh calls",
                "Remove them, or add a service that runs it",
                given=given,
            )
        if node.listeners[0].permissive_from:
            findings.add(
                f"{place}.listeners[0].permissive_from",
                "no service runs this node: it is a host outside the mesh, without a security group to open",
                "Remove it, or add a service that runs it",
                given=given,
            )
    _check_public_roots(mesh, findings)
    for call in mesh.calls():
        if call.node in outside:
            _check_reachable(mesh, call, findings)
            if (tls := mesh.tls_of(call)) and mesh.says_nothing_of(call.node):
                _check_name(mesh, call, tls, findings)


def _check_public_roots(mesh: Mesh, findings: Findings) -> None:
    """Report public roots where they would believe anybody, or nobody."""
    for place, proxy in mesh.callers:
        listeners: tuple[GatewayListener | NodeListener, ...] = proxy.listeners
        for index, listener in enumerate(listeners):
            validation = listener.tls.validation if listener.tls else None
            if validation and validation.trust.public_roots:
                findings.add(
                    f"{place}.listeners[{index}].tls.validation.trust.public_roots",
                    "public CAs sign for anybody, so whoever has a name would be let in",
                    "Name the hierarchy of the clients: trust: {hierarchy: ...}",
                )
    for call in mesh.calls():
        tls = mesh.tls_of(call)
        if (
            tls
            and tls.validation.trust.public_roots
            and call.node in mesh.virtual_nodes
            and not mesh.says_nothing_of(call.node)
        ):
            findings.add(
                f"{call.policy_place}.validation.trust.public_roots",
                f"{call.node} presents a certificate of this mesh, which no public CA has signed",
                "Name the hierarchy of its identity: trust: {hierarchy: ...}",
                given=(f"virtual_nodes.{call.node}.listeners[0].tls", "services"),
            )


def _check_name(mesh: Mesh, call: Call, tls: ClientTls, findings: Findings) -> None:
    """Report that a host would have to prove a name that it cannot have been given."""
    place, trust, host = call.policy_place, tls.validation.trust, mesh.host(call.node)
    if trust.public_roots:
        for where, name in tls.validation.placed_names(f"{place}.validation"):
            if (
                isinstance(name, Dns)
                and "*" not in str(name)
                and (fault := dns_name_problem(str(name), mesh.namespace))
            ):
                findings.add(where, *fault)
    elif trust.hierarchy in mesh.hierarchies:
        trusted = mesh.trusted(trust.hierarchy)
        signed = {name for one in mesh.identities.values() if one.hierarchy in trusted for name in one.names}
        if not tls.validation.names and Dns(host) not in signed:
            findings.add(
                f"{place}.validation.trust.hierarchy",
                f"{call.node} must prove the name {host}, by which it is found, and no identity of hierarchy "
                f"{' or '.join(trusted)} has it",
                "Declare an identity with this name for the host, or trust public_roots: true",
                given=("identities", f"hierarchies.{trust.hierarchy}.also_trust"),
            )


def _check_reachable(mesh: Mesh, call: Call, findings: Findings) -> None:
    """Report a port that the caller's security group lets nothing out to."""
    port = mesh.virtual_nodes[call.node].listeners[0].port_mapping.port
    for name, service in mesh.services.items():
        rules = service.application.egress if service.application else None
        if rules is None or port == HTTPS or call.caller != f"virtual_nodes.{service.virtual_node}":
            continue
        if not any(port in rule.ports and rule.protocol == "tcp" for rule in rules):
            findings.add(
                f"services.{name}.application.egress",
                f"{call.node} is called at port {port} outside the mesh, where its tasks may connect to nobody",
                f"Add {{cidr: ..., ports: [{port}]}} with the addresses of {mesh.host(call.node)}",
                given=(f"virtual_nodes.{call.node}.listeners[0].port_mapping.port",),
            )
