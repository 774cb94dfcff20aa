"""Whether one may call another, what stands in the way, and what to write into the mesh file so that it may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from meshcert.identity import IssuerName
from meshcert.mesh.calls import Call, target_of
from meshcert.mesh.edges.allowed_paths import allowed_paths
from meshcert.mesh.edges.edges import ANYBODY, edges_of
from meshcert.mesh.edges.pairs import (
    Callee,
    Caller,
    RefusalCause,
    outside_identities,
    pair_of,
    refusal_of,
    refusal_of_caller,
)
from meshcert.mesh.issuance import Usage
from meshcert.mesh.part import life_text
from meshcert.mesh.proxies import DeclaredBackend
from meshcert.mesh.rendering.settings import proxy_settings
from meshcert.mesh.routing.ports import NodeProtocol
from meshcert.proxy import TlsMode
from meshcert.san import Dns, proves_any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.mesh.edges.allowed_paths import AllowedPaths
    from meshcert.mesh.edges.edges import Edge
    from meshcert.mesh.edges.pairs import Pair
    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.proxies import ClientTls, VirtualGateway, VirtualNode

_FIRST_LOCAL_PORT = 15100
_LONGEST_NAME = 20


class Change(NamedTuple):
    """
    What to write into a mesh file.

    Args:
        place: The key.
        value: What to write there, or to add if it holds a list or a mapping.
    """

    place: str
    value: Any


class Permission(NamedTuple):
    """
    Whether a caller may call a listener.

    Args:
        allowed: Whether a call reaches the application.
        reason: Why, or why not, in a sentence.
        group: Whom the security group of the callee admits, in a sentence.
        edge: The call as the mesh file declares it; None if it does not.
        presented: The identity that the caller presents, or would present; empty: none.
        cause: Why the listener refuses it; None if it does not.
        changes: What to change so that it may call, in the order of the steps.
        remedy: What to do where no change of the mesh file helps, or none can be told; empty if not needed.
        paths: What the listener's allow rules let the caller ask for, or would; None if they say nothing.
    """

    caller: Caller
    callee: Callee
    allowed: bool
    reason: str
    group: str
    edge: Edge | None
    presented: str
    cause: RefusalCause | None
    changes: tuple[Change, ...] = ()
    remedy: str = ""
    paths: AllowedPaths | None = None


def callers_of(mesh: Mesh) -> tuple[str, ...]:
    """Everybody who may be asked about as a caller: services, and identities of clients outside the mesh."""
    return tuple(dict.fromkeys((*mesh.services, *outside_identities(mesh))))


def listeners_of(mesh: Mesh, name: str) -> tuple[Callee, ...]:
    """
    The listeners that a name stands for.

    Args:
        name: A service, virtual gateway, virtual node or virtual service, with or without ``:PORT``.

    Returns:
        Those of every virtual node that may answer, if it is a virtual service; none if nobody has the name.
    """
    text, _, port = name.partition(":")
    nodes = mesh.nodes_behind(DeclaredBackend(virtual_service=text)) if text in mesh.virtual_services else ()
    return tuple(
        Callee(service, declared.virtual_gateway or declared.virtual_node, listener)
        for service, declared in mesh.services.items()
        if text in (service, declared.virtual_gateway, declared.virtual_node) or declared.virtual_node in nodes
        for listener in proxy_settings(mesh, service).listeners
        if not port or port == str(listener.port)
    )


def permission(mesh: Mesh, caller: str, callee: Callee) -> Permission:
    """
    Whether a caller may call a listener of somebody else.

    Args:
        mesh: A mesh without faults.
        caller: One of :func:`callers_of`.
        callee: One of :func:`listeners_of`, of another service.

    Raises:
        KeyError: If there is no such caller.
    """
    if caller in mesh.services:
        asking = Caller(caller, tuple(proxy_settings(mesh, caller).identities))
    elif caller in outside_identities(mesh):
        asking = Caller(caller, (caller,), outside=True)
    else:
        raise KeyError(caller)
    return _Judgement(mesh, pair_of(mesh, asking, callee)).permission()


class _Judgement:
    """One pair, judged."""

    def __init__(self, mesh: Mesh, pair: Pair) -> None:
        self._mesh, self._pair = mesh, pair
        self._caller, self._callee = pair.caller, pair.callee
        self._gateway = mesh.services[pair.callee.service].virtual_gateway
        service, port = pair.callee.service, pair.callee.listener.port
        self._edges = [edge for edge in edges_of(mesh) if (edge.callee.name, edge.port) == (service, port)]
        asking = {pair.caller.name, ANYBODY.name}
        self._edge = next((edge for edge in self._edges if edge.caller.name in asking), None)

    def permission(self) -> Permission:
        """The whole answer."""
        if self._gateway:
            judged = self._at_gateway()
        elif self._caller.outside:
            judged = self._outside_at_node()
        else:
            judged = self._by_rules(self._at_node())
        idle = [name for name in (self._caller.name, self._callee.service) if self._has_no_tasks(name)]
        if judged.allowed and idle:
            reason = f"it is declared, but {' and '.join(idle)} {'has' if len(idle) == 1 else 'have'} no tasks"
            changes = tuple(Change(f"services.{name}.desired_count", 1) for name in idle)
            return judged._replace(allowed=False, reason=reason, changes=changes)
        return judged

    def _has_no_tasks(self, name: str) -> bool:
        return name in self._mesh.services and self._mesh.services[name].desired_count == 0

    def _answer(self, reason: str, **more: Any) -> Permission:
        answer = Permission(
            caller=self._caller,
            callee=self._callee,
            allowed=False,
            reason=reason,
            group=self._group(),
            edge=self._edge,
            presented=self._edge.presented if self._edge else "",
            cause=None,
        )
        return answer._replace(**more)

    def _group(self) -> str:
        service, port = self._callee.service, self._callee.listener.port
        if self._gateway:
            who = "clients inside the network, through its load balancer"
            if not self._mesh.services[service].load_balancer:
                who = "nobody: the gateway has no load balancer"
            return f"{service} admits {who}"
        callers = [*dict.fromkeys(edge.caller.name for edge in self._edges)]
        return f"{service} admits {', '.join(callers) or 'nobody'} at port {port}"

    def _at_gateway(self) -> Permission:
        """Gateways are called by clients, and no Envoy of the mesh has a way to one."""
        service = self._callee.service
        if not self._mesh.services[service].load_balancer:
            reason = f"{service} has no load balancer, so its security group admits nobody"
            return self._answer(reason, changes=(Change(f"services.{service}.load_balancer", True),))
        if not self._caller.outside:
            return self._application_at_gateway()
        name, asks = self._caller.name, self._callee.asks_for_certificates
        cause = refusal_of_caller(self._mesh, self._pair)
        if cause:
            changes = self._named(name)
            return self._answer(f"the listener refuses {name}: {cause}", presented=name, cause=cause, changes=changes)
        reason = f"the listener names {name}" if self._pair.declared and asks else "the listener lets in any client"
        if asks and not self._pair.declared:
            hierarchy = self._callee.listener.tls.hierarchy
            trusted = f"hierarchy {' and '.join(self._mesh.trusted(hierarchy))} has" if hierarchy else "your roots have"
            reason = f"the listener names nobody, so it lets in whatever {trusted} signed"
        return self._answer(reason, allowed=True, presented=name if asks else "")

    def _application_at_gateway(self) -> Permission:
        """An application may be a client of a gateway; its Envoy has no part in that, and lends it no certificate."""
        name, port = self._caller.name, self._callee.listener.port
        application = self._mesh.services[name].application
        cause = None
        if self._callee.listener.tls.mode is not TlsMode.PERMISSIVE:
            cause = refusal_of(self._mesh, self._callee.listener, None)
        if cause or application is None:
            return self._answer(
                "a service calls virtual nodes; to a gateway its application is a client without a certificate",
                cause=cause,
                remedy=f"Make what {self._callee.proxy} routes to a backend of {name}",
            )
        rules = application.egress
        if rules is not None and not any(port in rule.ports for rule in rules):
            return self._answer(
                f"the listener lets in any client, but {name} may connect to nobody at port {port}",
                remedy=f"Add the network's range with port {port} to services.{name}.application.egress",
            )
        return self._answer("the listener lets in any client; its Envoy takes no part", allowed=True)

    def _outside_at_node(self) -> Permission:
        if self._edge:
            return self._answer("the listener is PERMISSIVE, and permissive_from admits clients", allowed=True)
        cause = refusal_of_caller(self._mesh, self._pair)
        return self._answer(
            f"{self._caller.name} is outside the mesh, and a virtual node's security group admits its callers alone",
            presented=self._caller.name,
            cause=cause,
            remedy=f"Let it call a virtual gateway that routes to {self._callee.proxy}",
        )

    def _at_node(self) -> Permission:
        routes = self._routes()
        if self._edge and routes is None:
            return self._answer("it is declared", allowed=True)
        if self._edge and routes:
            return self._answer(f"it is declared, and routed by {', '.join(routes)}", allowed=True)
        if self._edge:
            reason = f"{self._callee.proxy} is a backend, but no route of {self._caller.name} leads to it"
            return self._answer(reason, changes=tuple(self._route()))
        if routes is not None and self._callee.listener.protocol == NodeProtocol.TCP:
            return self._answer(
                f"a gateway routes requests, and {self._callee.proxy} speaks tcp",
                remedy="Let a virtual node call it: a local port of its backend leads there",
            )
        place, tls = f"{self._mesh.services[self._caller.name].proxy_place}.backends", self._callee.listener.tls
        if tls.mode is not TlsMode.DISABLED and not (tls.identity and bool(tls.hierarchy) == bool(tls.trust)):
            return self._answer(
                f"{self._callee.proxy} is not among {place}",
                remedy=f"Add it, with a client_policy: its certificate or its roots are yours ({tls.certificate})",
            )
        presented, cause, changes = self._to_declare()
        return self._answer(
            f"{self._callee.proxy} is not among {place}", presented=presented, cause=cause, changes=tuple(changes)
        )

    def _by_rules(self, judged: Permission) -> Permission:
        """The same, with what the listener's allow rules say of whoever presents that."""
        rules = self._callee.listener.allow
        paths = allowed_paths(self._mesh, self._callee.listener, [judged.presented] if judged.presented else [])
        names_are_unknown = judged.allowed and paths is None
        if not rules or names_are_unknown or (paths and paths.allowed) or all(rule.admits(()) for rule in rules):
            return judged._replace(paths=paths)
        allow = f"virtual_nodes.{self._callee.proxy}.listeners[0].allow"
        remedy = f"List one of its names under callers of a rule of {allow}, for the paths that it asks for"
        cause = judged.cause or (RefusalCause.NOT_ALLOWED if paths else None)
        return judged._replace(paths=paths, cause=cause, remedy=judged.remedy or remedy)

    def _routes(self) -> list[str] | None:
        """The places of a gateway's routes to the node; None if the caller is none."""
        name = self._mesh.services[self._caller.name].virtual_gateway
        if not name:
            return None
        gateway, place = self._mesh.virtual_gateways[name], f"virtual_gateways.{name}"
        found = [
            f"{place}.routes[{index}] ({route.match.prefix})"
            for index, route in enumerate(gateway.routes)
            if route.virtual_node == self._callee.proxy
        ]
        through = [each for each in (self._edge.places if self._edge else ()) if self._is_routed(each)]
        return [*found, *through]

    def _is_routed(self, place: str) -> bool:
        """Whether a gateway's backend is the target of one of its gateway routes."""
        name = self._mesh.services[self._caller.name].virtual_gateway
        targets = {target_of(route) for route in self._mesh.virtual_gateways[name].gateway_routes}
        called = {call.place: call.backend.virtual_service for call in self._mesh.calls()}
        return any(target and target.virtual_service == called[place] for target in targets)

    def _route(self) -> Iterator[Change]:
        name = self._mesh.services[self._caller.name].virtual_gateway
        if name:
            node = self._callee.proxy
            yield Change(f"virtual_gateways.{name}.routes", {"match": {"prefix": f"/{node}"}, "virtual_node": node})

    def _to_declare(self) -> tuple[str, RefusalCause | None, list[Change]]:
        """What the caller would present, why that would be refused, and the changes that declare the call."""
        mesh, node = self._mesh, self._callee.proxy
        place, proxy = mesh.services[self._caller.name].proxy_place, _proxy(mesh, self._caller.name)
        backend = DeclaredBackend(virtual_node=node)
        policy = mesh.tls_of(Call(place, proxy, f"{place}.backends", backend, node))
        entry: dict[str, Any] = {"virtual_node": node}
        changes: list[Change] = []
        tls = self._callee.listener.tls
        if tls.mode is TlsMode.DISABLED:
            if policy is not None:
                entry["client_policy"] = {}
            return "", None, [Change(f"{place}.backends", self._with_port(entry)), *self._route()]
        presented = self._would_present(policy)
        cause = refusal_of(mesh, self._callee.listener, presented or None)
        identity = presented
        if cause is not None and cause is not RefusalCause.WRONG_NAME:
            identity, declared = self._new_identity()
            changes.append(declared)
            if tls.subject_alternative_names:
                changes.append(self._accept(_first_name(declared.value[identity])))
        elif cause is RefusalCause.WRONG_NAME:
            changes += self._named(presented)
        if not self._fits(policy, identity):
            entry["client_policy"] = {"tls": self._client_tls(identity)}
        return presented, cause, [Change(f"{place}.backends", self._with_port(entry)), *self._route(), *changes]

    def _would_present(self, policy: ClientTls | None) -> str:
        """The identity of the caller that comes closest to being let in; empty if none is asked for, or it has none."""
        if not self._callee.listener.tls.trust:
            return ""
        own = [policy.certificate.identity] if policy and policy.certificate else []
        order = [None, *reversed(RefusalCause)]
        candidates = list(dict.fromkeys([*own, *self._caller.identities]))
        ranked = sorted(candidates, key=lambda each: order.index(refusal_of(self._mesh, self._callee.listener, each)))
        return next(iter(ranked), "")

    def _new_identity(self) -> tuple[str, Change]:
        """An identity for the caller, of a hierarchy that the listener trusts."""
        mesh, hierarchy = self._mesh, self._callee.listener.tls.hierarchy
        stem = f"{self._caller.name}-{hierarchy}"[:_LONGEST_NAME].rstrip("-")
        name = next(each for each in (stem, *_numbered(stem)) if each not in mesh.identities)
        # As the others of the hierarchy are: a short-lived CA issues nothing for ACM.
        like = next((each for each in mesh.identities.values() if each.hierarchy == hierarchy), None)
        declared: dict[str, Any] = {"hierarchy": hierarchy}
        if like.issuer is IssuerName.PRIVATE_CA if like else mesh.hierarchies[hierarchy].usage is Usage.SHORT_LIVED:
            declared["issuer"] = str(IssuerName.PRIVATE_CA)
        if like and like.validity:
            declared["validity"] = life_text(like.validity)
        if like and like.spiffe_id:
            declared["spiffe_id"] = f"spiffe://{mesh.about.trust_domain}/{name}"
        if not like or like.dns_names:
            declared["dns_names"] = [f"{name}.{mesh.namespace}"]
        declared["key_algorithm"] = str((like or mesh.hierarchies[hierarchy]).key_algorithm)
        return name, Change("identities", {name: declared})

    def _named(self, identity: str) -> tuple[Change, ...]:
        """What lets the listener accept an identity that exists."""
        tls = self._callee.listener.tls
        if self._mesh.identities[identity].hierarchy not in self._mesh.trusted(tls.hierarchy):
            return (Change(f"identities.{identity}.hierarchy", tls.hierarchy), *self._unless_named(identity))
        return self._unless_named(identity)

    def _unless_named(self, identity: str) -> tuple[Change, ...]:
        demanded = self._callee.listener.tls.subject_alternative_names
        names = self._mesh.identities[identity].names
        if not demanded or proves_any(names, demanded):
            return ()
        return (self._accept(str(names[0])),)

    def _accept(self, name: str) -> Change:
        section = f"virtual_gateways.{self._callee.proxy}" if self._gateway else f"virtual_nodes.{self._callee.proxy}"
        proxy = self._mesh.virtual_gateways.get(self._gateway) or self._mesh.virtual_nodes[self._callee.proxy]
        ports = [listener.port_mapping.port for listener in proxy.listeners]
        index = ports.index(self._callee.listener.port)
        return Change(f"{section}.listeners[{index}].tls.validation.subject_alternative_names.match.exact", name)

    def _fits(self, policy: ClientTls | None, identity: str) -> bool:
        """Whether the policy that would hold anyway makes the call succeed."""
        if policy is None or not policy.validation.trust.hierarchy:
            return False
        server = self._mesh.identities[self._callee.listener.tls.identity]
        proven = policy.validation.names or (Dns(self._host()),)
        is_trusted = server.hierarchy in self._mesh.trusted(policy.validation.trust.hierarchy)
        is_named = proves_any(server.names, proven)
        presented = policy.certificate.identity if policy.certificate else ""
        return is_trusted and is_named and presented == identity

    def _client_tls(self, identity: str) -> dict[str, Any]:
        server = self._mesh.identities[self._callee.listener.tls.identity]
        validation: dict[str, Any] = {"trust": {"hierarchy": server.hierarchy}}
        if all(str(name) != self._host() for name in server.names):
            validation["subject_alternative_names"] = {"match": {"exact": [str(server.names[0])]}}
        certificate = {"certificate": {"identity": identity}} if identity else {}
        return {**certificate, "validation": validation}

    def _host(self) -> str:
        return self._mesh.host(self._callee.proxy)

    def _with_port(self, entry: dict[str, Any]) -> dict[str, Any]:
        """The entry with a port of its own, where the callee's is taken in the caller's task (``tcp`` only)."""
        service = self._mesh.services[self._caller.name]
        if self._callee.listener.protocol != NodeProtocol.TCP or service.virtual_gateway:
            return entry
        taken = {listener.port for listener in proxy_settings(self._mesh, self._caller.name).listeners}
        taken |= {way.local_port for way in proxy_settings(self._mesh, self._caller.name).ways_out}
        if service.application:
            taken.add(service.application.port)
        if self._callee.listener.port not in taken:
            return entry
        free = next(port for port in range(_FIRST_LOCAL_PORT, _FIRST_LOCAL_PORT + len(taken) + 1) if port not in taken)
        return {**entry, "local_port": free}


def _first_name(identity: dict[str, Any]) -> str:
    """The name of a declared identity that a listener can list: its SPIFFE ID if it has one."""
    return str(identity.get("spiffe_id") or identity["dns_names"][0])


def _proxy(mesh: Mesh, service: str) -> VirtualGateway | VirtualNode:
    declared = mesh.services[service]
    if declared.virtual_gateway:
        return mesh.virtual_gateways[declared.virtual_gateway]
    return mesh.virtual_nodes[declared.virtual_node]


def _numbered(stem: str) -> Iterator[str]:
    for number in range(2, 100):
        yield f"{stem[: _LONGEST_NAME - 3]}-{number}"
