"""The calls that a mesh file lets happen, each with both sides' TLS; and whom each listener refuses, and why."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from meshcert.mesh.edges.allowed_paths import allowed_paths
from meshcert.mesh.edges.pairs import Callee, Manner, RefusalCause, pairs_of, refusal_of_caller
from meshcert.mesh.rendering.settings import proxy_settings
from meshcert.proxy import TlsMode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshcert.mesh.edges.allowed_paths import AllowedPaths
    from meshcert.mesh.edges.pairs import Pair
    from meshcert.mesh.mesh import Mesh
    from meshcert.proxy import Backend, BackendTls, ListenerTls


class PartyKind(StrEnum):
    """What calls or is called."""

    CLIENT = "client outside the mesh"
    GATEWAY = "virtual gateway"
    NODE = "virtual node"
    HOST = "host outside the mesh"


class Party(NamedTuple):
    """
    Somebody who calls or is called.

    Args:
        name: Name of the service; of a client outside, of its identity; of a host outside, of its virtual node.
        tasks: How many tasks the mesh file wants; None outside the mesh.
        listens: Its listeners, for example ``9443 http STRICT``; of a host outside, its DNS name and port.
    """

    name: str
    kind: PartyKind
    tasks: int | None = None
    listens: tuple[str, ...] = ()


ANYBODY = Party("any client", PartyKind.CLIENT)
"""Whoever can reach a load balancer; no name in a mesh file has a space."""


class Edge(NamedTuple):
    """
    A call that the mesh file lets happen.

    Args:
        port: TCP port of the callee's listener.
        protocol: Protocol of that listener.
        manner: How they talk.
        presented: Identity that the caller presents; empty: none, or a certificate of the user's.
        client: The caller's TLS; None: it speaks plain text, or is outside the mesh.
        server: The listener's TLS; None: the callee is outside the mesh.
        places: Where the mesh file says so.
        paths: What the callee's allow rules let the caller ask for; None if they say nothing.
    """

    caller: Party
    callee: Party
    port: int
    protocol: str
    manner: Manner
    presented: str
    client: BackendTls | None
    server: ListenerTls | None
    places: tuple[str, ...]
    paths: AllowedPaths | None = None

    @property
    def authenticated(self) -> bool:
        """Whether both sides know for certain whom they talk to."""
        return self.manner is Manner.MUTUAL and (self.client is None or bool(self.client.trust))


class Refused(NamedTuple):
    """
    Who may not call a listener.

    Args:
        callee: The listener.
        causes: Those whom its TLS or all its allow rules refuse, by the cause that its access log would name.
        admitted: Those whom its TLS would let in: their security groups and their own Envoys alone keep them out.
    """

    callee: Callee
    causes: dict[RefusalCause, tuple[str, ...]]
    admitted: tuple[str, ...]


def parties_of(mesh: Mesh, edges: Iterable[Edge]) -> tuple[Party, ...]:
    """Everybody in the mesh, and who is outside and calls or is called, in the file's order."""
    inside = [party_of(mesh, name) for name in mesh.services]
    outside = [each for edge in edges for each in (edge.caller, edge.callee) if each.tasks is None]
    return tuple(dict.fromkeys([*outside, *inside]))


def party_of(mesh: Mesh, service: str) -> Party:
    """A service of the mesh."""
    declared = mesh.services[service]
    kind = PartyKind.GATEWAY if declared.virtual_gateway else PartyKind.NODE
    listeners = proxy_settings(mesh, service).listeners
    told = tuple(f"{each.port} {each.protocol} {each.tls.mode}" for each in listeners)
    return Party(service, kind, declared.desired_count, told)


def edges_of(mesh: Mesh) -> tuple[Edge, ...]:
    """Every call that a mesh file lets happen: those of clients outside first, then by caller in the file's order."""
    parties = {name: party_of(mesh, name) for name in mesh.services}
    return (*_from_outside(mesh, parties), *_from_services(mesh, parties))


def refused_of(mesh: Mesh) -> tuple[Refused, ...]:
    """For each listener that anybody is to be kept away from: who, and why."""
    found: dict[tuple[str, int], list[Pair]] = {}
    for pair in pairs_of(mesh, idle=True):
        found.setdefault((pair.callee.service, pair.callee.listener.port), []).append(pair)
    return tuple(_refused(mesh, pairs) for pairs in found.values())


def _from_outside(mesh: Mesh, parties: dict[str, Party]) -> Iterator[Edge]:
    for name, service in mesh.services.items():
        if not service.virtual_gateway or not service.load_balancer:
            continue
        for index, listener in enumerate(proxy_settings(mesh, name).listeners):
            place = f"virtual_gateways.{service.virtual_gateway}.listeners[{index}]"
            if not Callee(name, service.virtual_gateway, listener).asks_for_certificates:
                manner = Manner.PLAIN if listener.tls.mode is TlsMode.DISABLED else Manner.ONE_WAY
                yield Edge(
                    ANYBODY, parties[name], listener.port, listener.protocol, manner, "", None, listener.tls, (place,)
                )
    yield from _in_plain_text(mesh, parties)
    for pair in pairs_of(mesh, idle=True):
        callee = pair.callee
        service = mesh.services[callee.service]
        if pair.caller.outside and pair.trusted and service.virtual_gateway and service.load_balancer:
            yield Edge(
                caller=Party(pair.caller.name, PartyKind.CLIENT),
                callee=parties[callee.service],
                port=callee.listener.port,
                protocol=callee.listener.protocol,
                manner=pair.manner,
                presented=pair.caller.name,
                client=None,
                server=callee.listener.tls,
                places=(f"identities.{pair.caller.name}",),
            )


def _in_plain_text(mesh: Mesh, parties: dict[str, Party]) -> Iterator[Edge]:
    """The clients that a PERMISSIVE listener of a virtual node admits from outside."""
    for name, service in mesh.services.items():
        if not service.virtual_node:
            continue
        for index, listener in enumerate(mesh.virtual_nodes[service.virtual_node].listeners):
            port, place = listener.port_mapping, f"virtual_nodes.{service.virtual_node}.listeners[{index}]"
            if listener.permissive_from:
                server = proxy_settings(mesh, name).listeners[index].tls
                where = (f"{place}.permissive_from",)
                yield Edge(ANYBODY, parties[name], port.port, str(port.protocol), Manner.PLAIN, "", None, server, where)


def _from_services(mesh: Mesh, parties: dict[str, Party]) -> Iterator[Edge]:
    places: dict[tuple[str, str], list[str]] = {}
    for call in mesh.calls():
        places.setdefault((call.caller, call.node), []).append(call.place)
    runs = {service.virtual_node: name for name, service in mesh.services.items() if service.virtual_node}
    for name, service in mesh.services.items():
        for backend in proxy_settings(mesh, name).backends:
            callee = parties.get(runs.get(backend.name, ""))
            yield Edge(
                caller=parties[name],
                callee=callee or _host(backend),
                port=backend.port,
                protocol=backend.protocol,
                manner=_manner(mesh, backend),
                presented=backend.tls.identity if backend.tls else "",
                client=backend.tls,
                server=_server(mesh, callee, backend),
                places=tuple(places[service.proxy_place, backend.name]),
                paths=_paths(mesh, callee, backend),
            )


def _host(backend: Backend) -> Party:
    return Party(backend.name, PartyKind.HOST, listens=(f"{backend.host}:{backend.port}",))


def _server(mesh: Mesh, callee: Party | None, backend: Backend) -> ListenerTls | None:
    listeners = proxy_settings(mesh, callee.name).listeners if callee else ()
    return next((each.tls for each in listeners if each.port == backend.port), None)


def _paths(mesh: Mesh, callee: Party | None, backend: Backend) -> AllowedPaths | None:
    listeners = proxy_settings(mesh, callee.name).listeners if callee else ()
    presented = [backend.tls.identity] if backend.tls and backend.tls.identity else []
    return next((allowed_paths(mesh, each, presented) for each in listeners if each.port == backend.port), None)


def _manner(mesh: Mesh, backend: Backend) -> Manner:
    """How a backend is called: it asks for the caller's certificate if its listener has a validation."""
    if backend.tls is None:
        return Manner.PLAIN
    tls = mesh.virtual_nodes[backend.name].listeners[0].tls
    return Manner.MUTUAL if tls and tls.validation and backend.tls.certificate else Manner.ONE_WAY


def _refused(mesh: Mesh, pairs: list[Pair]) -> Refused:
    causes: dict[RefusalCause, list[str]] = {}
    admitted: list[str] = []
    for pair in pairs:
        if pair.declared:
            continue
        cause = refusal_of_caller(mesh, pair)
        paths = allowed_paths(mesh, pair.callee.listener, pair.caller.identities)
        if cause is None and paths and not paths.allowed:
            cause = RefusalCause.NOT_ALLOWED
        if cause is None:
            admitted.append(pair.caller.name)
        else:
            causes.setdefault(cause, []).append(pair.caller.name)
    return Refused(pairs[0].callee, {cause: tuple(names) for cause, names in causes.items()}, tuple(admitted))
