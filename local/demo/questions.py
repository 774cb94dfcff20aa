"""How a declared pair is asked: by a way into the caller, as the caller's application, or as a client outside."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx

from local.demo.matching_requests import MatchingRequest, Way, requests_to
from local.gateway_client import ASK_TIMEOUT_S
from local.http2_client import Http2Transport
from local.requests_seen import HEADER
from local.tls_client import NO_TLS, load_certificate
from meshcert.envoy.http.routes import in_order_asked
from meshcert.mesh import proxy_settings
from meshcert.mesh.edges.pairs import backend_for, lets_in, outside_identities
from meshcert.proxy import Listener, ListenerTls, TlsMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from meshcert.material import Material
    from meshcert.mesh import Mesh
    from meshcert.mesh.edges.pairs import Pair
    from meshcert.proxy import Backend, ProxySettings

LONGEST_TEXT = 80
_FROM_ENVOY = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
_GRPC_FROM_ENVOY = {"4", "14"}  # DEADLINE_EXCEEDED, UNAVAILABLE
_ANSWERED_AFTER_GOODBYE = "RECV_HEADERS in state ConnectionState.CLOSED"


@dataclass(frozen=True)
class Question:
    """
    One request that shows a pair at work.

    Args:
        service: The service whose Envoy is asked.
        listener: Its listener that is asked: one to which others connect, or one on loopback for its application.
        identity: What the client presents; None: nothing, since nothing is asked for.
        request: What the routes on its way look at.
        grpc: Whether it is a unary gRPC call.
        host: What an application names as host, or connects to for ``tcp``; empty: who asks is no application.
        is_shared: Whether the callee gets only a part of such requests.
    """

    service: str
    listener: Listener
    identity: str | None
    request: MatchingRequest
    grpc: bool = False
    host: str = ""
    is_shared: bool = False

    @property
    def path(self) -> str:
        """The request's path, with its query."""
        return self.request.path

    @property
    def tls(self) -> bool:
        """Whether the client speaks TLS."""
        return self.listener.tls.mode is not TlsMode.DISABLED

    @property
    def http2(self) -> bool:
        """Whether the request is HTTP/2; HTTP/1.1 if not."""
        return self.grpc or self.listener.protocol in {"http2", "grpc"}


def question_for(mesh: Mesh, pair: Pair) -> Question | None:
    """The request by which a declared pair is seen to talk; None if the mesh file leaves no way to make it."""
    callee = pair.callee
    if pair.caller.outside:
        named = next((identity for identity in pair.trusted if identity), None)
        return _as_client(mesh, callee.service, callee.listener, named)
    settings = proxy_settings(mesh, pair.caller.name)
    backend = backend_for(mesh, settings, callee)
    if backend is None:
        return None
    if settings.ways_out:
        return _as_application(settings, backend)
    return _through_gateway(mesh, settings, [backend])


def _as_client(mesh: Mesh, service: str, listener: Listener, identity: str | None) -> Question:
    """A request as a client outside the mesh makes it: one that a gateway leads somewhere, if it is one."""
    settings = proxy_settings(mesh, service)
    ways = [(listener, identity)]
    return _through_gateway(mesh, settings, settings.backends, ways) or Question(
        service, listener, identity, MatchingRequest("/")
    )


def _through_gateway(
    mesh: Mesh,
    settings: ProxySettings,
    backends: Iterable[Backend],
    ways: Iterable[tuple[Listener, str | None]] | None = None,
) -> Question | None:
    """A request that a gateway leads to one of these backends; None if there is none."""
    found = list(backends)
    for listener, identity in _ways_in(mesh, settings) if ways is None else ways:
        for grpc in (False, True):
            names = {backend.name for backend in found if (backend.protocol == "grpc") == grpc}
            way = Way(name_at(mesh, settings.service, listener), grpc, _scheme(listener), listener.port)
            for route, request in requests_to(names, in_order_asked(settings.routes), way):
                shared = len(route.shares) > 1
                return Question(settings.service, listener, identity, request, grpc, is_shared=shared)
    return None


def _as_application(settings: ProxySettings, backend: Backend) -> Question | None:
    """A request as the application of a virtual node makes it: by host if it speaks HTTP, else by a port."""
    for out in settings.ways_out:
        grpc, by_host = out.protocol == "grpc", bool(settings.egress_port and out.hosts)
        host = out.hosts[0] if out.hosts else out.backend
        port = settings.egress_port if by_host else out.local_port
        listener = Listener(port, out.protocol, ListenerTls(TlsMode.DISABLED))
        for route, request in requests_to({backend.name}, out.routes, Way(host, grpc)):
            named = f"{host}:{request.port}" if request.port else host
            shared = len(route.shares) > 1
            return Question(settings.service, listener, None, request, grpc, named, is_shared=shared)
    return None


def _ways_in(mesh: Mesh, settings: ProxySettings) -> Iterator[tuple[Listener, str | None]]:
    """The listeners of a gateway, each with whom it lets in: anybody if possible, else a client outside, or another."""
    for identity in (None, *outside_identities(mesh), *mesh.identities):
        for listener in settings.listeners:
            if listener.protocol != "tcp" and lets_in(mesh, listener, identity):
                yield listener, identity


def name_at(mesh: Mesh, service: str, listener: Listener) -> str:
    """The name that a client knows a service by at a listener: one of its certificate if it has one."""
    if listener.tls.mode is TlsMode.DISABLED:
        return f"{service}.{mesh.namespace}"
    return str(mesh.identities[listener.tls.identity].names[0])


def _scheme(listener: Listener) -> str:
    return "http" if listener.tls.mode is TlsMode.DISABLED else "https"


@dataclass(frozen=True)
class Asking:
    """
    A question with all that it takes to ask it: one of those whom a :class:`local.gateway_client.SteadyClient` asks.

    Args:
        question: The question.
        address: Finds the address to connect to; raises LookupError if there is none.
        server_name: The name that the server's certificate must carry, and the request's authority.
        roots: What the server's certificate is checked against, PEM; empty without TLS.
        materials: The current material of each client, by identity; it may change at any time.
    """

    question: Question
    address: Callable[[], str]
    server_name: str
    roots: str
    materials: Mapping[str, Material]

    def client(self) -> httpx.Client:
        """A client with no connection yet, which presents the material of now."""
        question = self.question
        context: ssl.SSLContext | None = None
        if question.tls:
            context = ssl.create_default_context(cadata=self.roots)
            if question.identity:
                load_certificate(context, self.materials[question.identity])
        url = f"http{'s' if question.tls else ''}://{self.address()}:{question.listener.port}"
        transport = Http2Transport(context, ASK_TIMEOUT_S) if question.http2 else None
        return httpx.Client(
            verify=context or NO_TLS, base_url=url, timeout=ASK_TIMEOUT_S, trust_env=False, transport=transport
        )

    def ask(self, client: httpx.Client, request_id: str = "") -> httpx.Response:
        """One request with this id; raises httpx.HTTPError, OSError or LookupError when it gets no answer."""
        extensions = {"sni_hostname": self.server_name}
        request = self.question.request
        headers = {"host": request.host or self.server_name, HEADER: request_id, **dict(request.headers)}
        if not self.question.grpc:
            return client.request(request.method, request.path, headers=headers, extensions=extensions)
        headers |= {"content-type": "application/grpc", "te": "trailers"}
        message = b"\0\0\0\0\0"  # an empty message: not compressed, of length 0
        return client.post(request.path, headers=headers, content=message, extensions=extensions)

    def said(self, response: httpx.Response) -> str:
        """Status, and that of gRPC if it came without a message."""
        status = response.headers.get("grpc-status")
        return str(response.status_code) + (f" grpc-status {status}" if status else "")

    def answered(self, response: httpx.Response) -> bool:
        """Whether somebody behind the Envoys has answered, whatever he said; they themselves give none of these."""
        by_envoy = response.status_code in _FROM_ENVOY or response.headers.get("grpc-status") in _GRPC_FROM_ENVOY
        return not by_envoy

    def ask_once(self) -> tuple[str, str]:
        """
        Ask, over a connection of its own.

        Returns:
            What the answer says, and what an Envoy says in its stead; empty if it came from behind the Envoys.
        """
        with self.client() as client:
            response = self.ask(client)
        said = self.said(response)
        if self.answered(response):
            return said, ""
        return said, f"{said} {response.headers.get('grpc-message') or response.text[:LONGEST_TEXT]}"
