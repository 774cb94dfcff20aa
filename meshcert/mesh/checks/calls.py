"""Checks of the connections that the file describes: each must be able to succeed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshcert.envoy import APPLICATION_CLUSTER
from meshcert.mesh.checks.names import check_names_exist, is_of_mesh, names_of_identities
from meshcert.mesh.naming import suggestion
from meshcert.mesh.proxies import DeclaredListenerTls
from meshcert.mesh.routing.ports import NodeProtocol
from meshcert.proxy import TlsMode
from meshcert.san import Dns, proves_any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshcert.mesh.calls import Call
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.proxies import ClientTls, DeclaredBackend, Validation
    from meshcert.san import AcceptedName, San

_NEVER = "so the call can never succeed"
_PLAIN = DeclaredListenerTls(mode=TlsMode.DISABLED)


def check_backends(mesh: Mesh, findings: Findings) -> None:
    """Report backends that name no virtual node and no virtual service of this file, or one twice."""
    for place, proxy in mesh.callers:
        seen: set[str] = set()
        for index, backend in enumerate(proxy.backends):
            where = f"{place}.backends[{index}]"
            name = backend.virtual_node or backend.virtual_service
            if name in seen:
                key = "virtual_node" if backend.virtual_node else "virtual_service"
                findings.add(f"{where}.{key}", f"{name} is among the backends already", "Remove one of them")
            seen.add(name)
            _check_backend(mesh, where, place, backend, findings)


def check_routes(mesh: Mesh, findings: Findings) -> None:
    """Report gateways that lead nowhere, and short routes that lead to no backend of their gateway."""
    for name, gateway in mesh.virtual_gateways.items():
        place = f"virtual_gateways.{name}"
        if not gateway.routes and not gateway.gateway_routes:
            findings.add(
                place,
                "it has no routes, so every request would be answered with 404",
                "Add routes: [{match: {prefix: /}, virtual_node: ...}]",
                given=(f"{place}.routes", f"{place}.gateway_routes"),
            )
        backends = [backend.virtual_node for backend in gateway.backends if backend.virtual_node]
        prefixes: list[str] = []
        for index, route in enumerate(gateway.routes):
            way = f"{place}.routes[{index}]"
            if not route.match.prefix.startswith("/"):
                findings.add(
                    f"{way}.match.prefix",
                    f"{route.match.prefix!r} is not a path",
                    f"Begin with /: /{route.match.prefix}",
                )
            if route.match.prefix in prefixes:
                findings.add(
                    f"{way}.match.prefix",
                    f"two routes take {route.match.prefix}",
                    "Remove one",
                    given=(f"{place}.routes",),
                )
            prefixes.append(route.match.prefix)
            if route.virtual_node not in backends:
                findings.add(
                    f"{way}.virtual_node",
                    f"{route.virtual_node!r} is not among this gateway's backends",
                    suggestion(
                        route.virtual_node, backends, "Add it to backends, with the client_policy to call it by"
                    ),
                    given=[
                        f"{place}.backends",
                        *(f"{place}.backends[{i}].virtual_node" for i in range(len(gateway.backends))),
                    ],
                )


def check_listeners(mesh: Mesh, findings: Findings) -> None:
    """Report nodes with several listeners, and listeners without a certificate to present, or of names of nobody."""
    listeners: list[tuple[str, DeclaredListenerTls | None]] = []
    for name, gateway in mesh.virtual_gateways.items():
        listeners += [(f"virtual_gateways.{name}.listeners[{i}].tls", it.tls) for i, it in enumerate(gateway.listeners)]
    for name, node in mesh.virtual_nodes.items():
        if len(node.listeners) > 1:
            findings.add(
                f"virtual_nodes.{name}.listeners",
                f"there are {len(node.listeners)} of them, and a task's Envoy leads to one port of its application",
                "Keep one, and for each other port declare a virtual node and a service of the same image, with it as "
                "its application.port; a router's routes choose between the nodes",
            )
        listeners += [(f"virtual_nodes.{name}.listeners[{i}].tls", it.tls) for i, it in enumerate(node.listeners)]
    for place, tls in listeners:
        if tls:
            _check_listener_tls(mesh, place, tls, findings)


def check_calls(mesh: Mesh, findings: Findings) -> None:
    """Report callers and virtual nodes that disagree on TLS or refuse each other's certificates."""
    for call in mesh.calls():
        _check_cluster_name(call, findings)
        own = f"{call.place}.client_policy.tls"
        default = f"{call.caller}.backend_defaults.client_policy.tls"
        declared, policy = call.declared_tls, call.policy_place
        if declared:
            _check_references(mesh, policy, declared, findings)
        if call.node in mesh.virtual_nodes and not mesh.says_nothing_of(call.node):
            node = f"virtual_nodes.{call.node}.listeners[0].tls"
            listener = mesh.virtual_nodes[call.node].listeners[0].tls or _PLAIN
            decided = mesh.tls_of(call)
            by_policy = decided is not None and decided is declared
            _CallCheck(mesh, findings, call.node, policy, node, by_policy, grounds=(own, default, node)).check(
                decided, listener
            )


def _check_cluster_name(call: Call, findings: Findings) -> None:
    if call.node == APPLICATION_CLUSTER and call.caller.startswith("virtual_nodes."):
        findings.add(
            call.place,
            f"{call.node} is what an Envoy calls the application in its own task, so it cannot call a virtual node of "
            f"this name",
            "Give that virtual node another name",
        )


def _check_backend(mesh: Mesh, where: str, caller: str, backend: DeclaredBackend, findings: Findings) -> None:
    names = (f"{where}.virtual_node", f"{where}.virtual_service")
    if bool(backend.virtual_node) == bool(backend.virtual_service):
        findings.add(
            where,
            f"it names {'both' if backend.virtual_node else 'neither'} of virtual_node and virtual_service",
            "Name exactly one",
            given=names,
        )
        return
    name = backend.virtual_node or backend.virtual_service
    place, section = (names[0], "virtual_nodes") if backend.virtual_node else (names[1], "virtual_services")
    if not findings.require_known(mesh, place, section, name):
        return
    if caller == f"virtual_nodes.{backend.virtual_node}":
        findings.add(place, "a virtual node cannot be a backend of its own", "Remove it")
    for node in mesh.nodes_behind(backend) if caller.startswith("virtual_gateways.") else ():
        declared = mesh.virtual_nodes.get(node)
        if declared and declared.listeners[0].port_mapping.protocol is NodeProtocol.TCP:
            findings.add(
                place,
                f"{node} speaks tcp, and a gateway routes requests",
                "Give the node's listener the protocol http, http2 or grpc",
                given=(f"virtual_nodes.{node}.listeners[0].port_mapping.protocol",),
            )


def _check_listener_tls(mesh: Mesh, place: str, tls: DeclaredListenerTls, findings: Findings) -> None:
    if tls.mode is TlsMode.DISABLED:
        if tls.certificate or tls.validation:
            findings.add(
                f"{place}.mode",
                "the mode is DISABLED, and a certificate or validation beside it would do nothing",
                "Remove them, or use STRICT",
            )
    elif tls.certificate is None:
        findings.add(
            f"{place}.certificate",
            f"a listener of mode {tls.mode} needs a certificate to present",
            "Add certificate: {identity: ...}, or use mode DISABLED",
            given=(f"{place}.mode",),
        )
    if tls.certificate and tls.certificate.identity:
        findings.require_known(mesh, f"{place}.certificate.identity", "identities", tls.certificate.identity)
    if tls.validation and tls.validation.trust.hierarchy:
        trust = f"{place}.validation.trust.hierarchy"
        if findings.require_known(mesh, trust, "hierarchies", tls.validation.trust.hierarchy):
            _check_names_exist(mesh, f"{place}.validation", tls.validation, findings)


def _check_references(mesh: Mesh, place: str, client: ClientTls, findings: Findings) -> None:
    if client.certificate and client.certificate.identity:
        findings.require_known(mesh, f"{place}.certificate.identity", "identities", client.certificate.identity)
    trust = f"{place}.validation.trust.hierarchy"
    if client.validation.trust.hierarchy:
        findings.require_known(mesh, trust, "hierarchies", client.validation.trust.hierarchy)


def _check_names_exist(mesh: Mesh, place: str, validation: Validation, findings: Findings) -> None:
    placed = validation.placed_names(place)
    if validation.trust.trust_domains:
        placed = ((where, name) for where, name in placed if is_of_mesh(mesh, name))
    check_names_exist(mesh, placed, f"{place}.trust.hierarchy", validation.trust.hierarchy, findings)


def _list_of(validation: Validation) -> str:
    """The list of accepted names at which a fault of all of them is told."""
    rule = validation.subject_alternative_names
    return "exact" if rule is None or rule.match.exact else "prefix"


def _listed(names: Iterable[AcceptedName]) -> str:
    return ", ".join(str(name) for name in names)


@dataclass(frozen=True)
class _CallCheck:
    """
    One call to a virtual node.

    Args:
        node: Name of the virtual node.
        policy: Place of the client policy's TLS that applies to the backend.
        listener: Place of the node's listener TLS.
        by_policy: Whether that policy decides how the node is called; else its listener does.
        grounds: Places that every fault of the call depends on.
    """

    mesh: Mesh
    findings: Findings
    node: str
    policy: str
    listener: str
    by_policy: bool
    grounds: tuple[str, ...]

    def check(self, client: ClientTls | None, listener: DeclaredListenerTls) -> None:
        """Report every reason why the call can never succeed."""
        if client is None:
            return
        if listener.mode is TlsMode.DISABLED:
            self._add(
                self.policy,
                f"{self.node} is called over TLS, and its listener speaks plain text, {_NEVER}",
                "Give the listener a certificate and mode STRICT, or remove tls here",
                f"{self.listener}.mode",
            )
            return
        if listener.certificate:
            self._check_server(client.validation, listener.certificate.identity)
        if listener.validation:
            self._check_client(client, listener.validation)

    def _check_server(self, validation: Validation, presented: str) -> None:
        """Report why the caller would refuse the node's certificate."""
        identity = self.mesh.identities.get(presented)
        trust = f"{self.policy}.validation.trust.hierarchy"
        if identity and validation.trust.trust_domains and not validation.trust.hierarchy:
            self._add(
                f"{self.policy}.validation.trust.trust_domains",
                f"{self.node} presents identity {presented} of this mesh, and foreign trust domains alone are trusted, "
                f"{_NEVER}",
                f"Add hierarchy: {identity.hierarchy}",
                trust,
                f"{self.listener}.certificate.identity",
            )
            return
        if identity is None or validation.trust.hierarchy not in self.mesh.hierarchies:
            return
        given = (
            trust,
            f"hierarchies.{validation.trust.hierarchy}.also_trust",
            f"{self.listener}.certificate",
            f"{self.listener}.certificate.identity",
            *names_of_identities([presented]),
        )
        trusted = self.mesh.trusted(validation.trust.hierarchy)
        if identity.hierarchy not in trusted:
            self._add(
                trust,
                f"{self.node} presents identity {presented}, signed by hierarchy {identity.hierarchy} and not by "
                f"{' or '.join(trusted)}, {_NEVER}",
                f"Trust hierarchy {identity.hierarchy}",
                *given,
            )
        elif validation.names and not proves_any(identity.names, validation.names):
            self._add(
                f"{self.policy}.validation.subject_alternative_names.match.{_list_of(validation)}",
                f"{self.node} presents identity {presented}, which has none of these names, {_NEVER}",
                f"Accept one of its names: {_listed(identity.names)}",
                *given,
            )
        elif not validation.names:
            self._check_host(presented, identity.names, given)
        else:
            _check_names_exist(self.mesh, f"{self.policy}.validation", validation, self.findings)

    def _check_host(self, presented: str, names: Sequence[San], given: Sequence[str]) -> None:
        """Report that a caller which lists no names would miss the node's host in its certificate."""
        node = f"virtual_nodes.{self.node}"
        if not self.mesh.is_run(self.node):
            return  # nobody runs it, which is reported, and without a service it has no host
        host = self.mesh.host(self.node)
        if not any(name.proves(Dns(host)) for name in names):
            self.findings.add(
                f"{self.listener}.certificate.identity",
                f"{self.node} is found as {host}, and {presented} has no such name, so callers that list none would "
                "refuse it",
                f"Add {host} to the dns_names of {presented}, or list one of {_listed(names)} under the callers' "
                "subject_alternative_names",
                given=(*self.grounds, *given, f"{node}.service_discovery", "mesh.namespace"),
                within=("services",),
            )

    def _check_client(self, client: ClientTls, validation: Validation) -> None:
        """Report why the node would refuse the caller's certificate."""
        certificate = f"{self.policy}.certificate"
        hierarchy = validation.trust.hierarchy
        if hierarchy and hierarchy not in self.mesh.hierarchies:
            return
        trusted = " or ".join(self.mesh.trusted(hierarchy)) if hierarchy else ""
        given = (
            certificate,
            f"{self.listener}.validation",
            f"{self.listener}.validation.trust.hierarchy",
            f"hierarchies.{hierarchy}.also_trust",
        )
        if client.certificate is None:
            add = "certificate: {identity: ...}" if hierarchy else "certificate: {file: ...}"
            self._add(
                certificate if self.by_policy else self.policy,
                f"{self.node} demands a certificate of {f'hierarchy {trusted}' if hierarchy else 'roots of yours'}, "
                f"and none is presented, {_NEVER}",
                f"Add {add if self.by_policy else f'client_policy: {{tls: {{{add}, validation: ...}}}}'} "
                f"with {f'an identity of hierarchy {trusted}' if hierarchy else 'what these roots have signed'}",
                *given,
            )
            return
        presented = client.certificate.identity
        identity = self.mesh.identities.get(presented)
        if identity and validation.trust.trust_domains and not hierarchy:
            self._add(
                f"{certificate}.identity",
                f"{self.node} lets in foreign trust domains alone, and {presented} is of this mesh, {_NEVER}",
                f"Add hierarchy: {identity.hierarchy} to the listener's trust",
                *given,
                f"{self.listener}.validation.trust.trust_domains",
            )
            return
        if not hierarchy or identity is None:
            return
        accepted = validation.names
        if identity.hierarchy not in self.mesh.trusted(hierarchy):
            self._add(
                f"{certificate}.identity",
                f"{self.node} demands a certificate of hierarchy {trusted}, and identity {presented} is signed by "
                f"{identity.hierarchy}, {_NEVER}",
                f"Present an identity of hierarchy {trusted}, or let the listener trust {identity.hierarchy}",
                *given,
                *names_of_identities([presented]),
            )
        elif self._names_known(validation) and not proves_any(identity.names, accepted):
            # Names that no identity has are reported once at the listener, not for each caller.
            self._add(
                f"{certificate}.identity",
                f"{self.node} accepts {_listed(validation.names)}, and {presented} has none of these names, {_NEVER}",
                f"Add one of {_listed(identity.names)} to the listener's subject_alternative_names",
                *given,
                f"{self.listener}.validation.subject_alternative_names.match.exact",
                f"{self.listener}.validation.subject_alternative_names.match.prefix",
                *names_of_identities([presented]),
            )

    def _names_known(self, validation: Validation) -> bool:
        """Whether the listener's names are known ones: identities' of this mesh, or foreign ones."""
        if validation.trust.trust_domains and validation.names:
            return True
        return proves_any(self.mesh.accepted_names(validation.trust.hierarchy), validation.names)

    def _add(self, place: str, problem: str, remedy: str, *given: str) -> None:
        self.findings.add(place, problem, remedy, given=(*self.grounds, *given))
