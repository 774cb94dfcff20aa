"""How a declared pair is asked: by a way into the caller, as the caller's application, or as a client outside."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx
from h2.events import ConnectionTerminated

from local.demo.matching_requests import MatchingRequest, matching_request
from local.gateway_client import ASK_TIMEOUT_S
from local.requests_seen import HEADER
from local.tls_client import load_certificate
from meshcert.mesh import proxy_settings
from meshcert.mesh.edges.pairs import backend_for, lets_in, outside_identities
from meshcert.proxy import Listener, ListenerTls, TlsMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from meshcert.material import Material
    from meshcert.mesh import Mesh
    from meshcert.mesh.edges.pairs import Pair
    from meshcert.proxy import Backend, ProxySettings, Route

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
        for route, request in _requests(proxy_settings(mesh, callee.service).routes):
            return Question(callee.service, callee.listener, named, request, is_shared=len(route.shares) > 1)
        return Question(callee.service, callee.listener, named, MatchingRequest("/"))
    settings = proxy_settings(mesh, pair.caller.name)
    backend = backend_for(mesh, settings, callee)
    if backend and settings.ways_out:
        return _as_application(settings, backend)
    way_in = _way_in(mesh, settings)
    if backend is None or way_in is None:
        return None
    grpc = backend.protocol == "grpc"
    for route, request in _requests(settings.routes, backend.name, grpc=grpc):
        return Question(pair.caller.name, *way_in, request, grpc, is_shared=len(route.shares) > 1)
    return None


def _as_application(settings: ProxySettings, backend: Backend) -> Question | None:
    """A request as the application of a virtual node makes it: by host if it speaks HTTP, else by a port."""
    for way in settings.ways_out:
        grpc, by_host = way.protocol == "grpc", bool(settings.egress_port and way.hosts)
        for route, request in _requests(way.routes, backend.name, grpc=grpc):
            port = settings.egress_port if by_host else way.local_port
            listener = Listener(port, way.protocol, ListenerTls(TlsMode.DISABLED))
            host = way.hosts[0] if way.hosts else way.backend
            return Question(settings.service, listener, None, request, grpc, host, is_shared=len(route.shares) > 1)
    return None


def _requests(
    routes: Iterable[Route], backend: str = "", *, grpc: bool = False
) -> Iterator[tuple[Route, MatchingRequest]]:
    """The routes to a backend, or to any, each with a request that it takes; those to it alone come first."""
    for route in sorted(routes, key=lambda route: len(route.shares)):
        request = matching_request(route, grpc=grpc)
        if request and any(share.backend == (backend or share.backend) for share in route.shares):
            yield route, request


def _way_in(mesh: Mesh, settings: ProxySettings) -> tuple[Listener, str | None] | None:
    """A listener of a gateway and whom it lets in: anybody if possible, else a client outside, else another."""
    for identity in (None, *outside_identities(mesh), *mesh.identities):
        for listener in settings.listeners:
            if listener.protocol != "tcp" and lets_in(mesh, listener, identity):
                return listener, identity
    return None


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
        context: ssl.SSLContext | bool = False
        if question.tls:
            context = ssl.create_default_context(cadata=self.roots)
            if question.identity:
                load_certificate(context, self.materials[question.identity])
        url = f"http{'s' if question.tls else ''}://{self.address()}:{question.listener.port}"
        return httpx.Client(
            verify=context,
            base_url=url,
            timeout=ASK_TIMEOUT_S,
            trust_env=False,
            http1=not question.http2,
            http2=question.http2,
        )

    def ask(self, client: httpx.Client, request_id: str = "") -> httpx.Response:
        """
        One request with this id; raises httpx.HTTPError, OSError or LookupError when it gets no answer.

        httpx gives a request up when HTTP/2's goodbye in good order (GOAWAY without an error) comes before its answer,
        which would still have come (RFC 9113 section 6.8), or has come: h2 then refuses to read it. Such a one is asked
        again on a new connection, as another.
        """
        try:
            return self._send(client, request_id)
        except httpx.RemoteProtocolError as error:
            event = error.__cause__.args[0] if error.__cause__ and error.__cause__.args else None
            if not isinstance(event, ConnectionTerminated) or event.error_code:
                raise
        except httpx.LocalProtocolError as error:
            if _ANSWERED_AFTER_GOODBYE not in str(error):
                raise
        with self.client() as another:
            return self._send(another, f"{request_id}-again")

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

    def _send(self, client: httpx.Client, request_id: str) -> httpx.Response:
        extensions = {"sni_hostname": self.server_name}
        request = self.question.request
        headers = {"host": self.server_name, HEADER: request_id, **dict(request.headers)}
        if not self.question.grpc:
            return client.request(request.method, request.path, headers=headers, extensions=extensions)
        headers |= {"content-type": "application/grpc", "te": "trailers"}
        message = b"\0\0\0\0\0"  # an empty message: not compressed, of length 0
        return client.post(request.path, headers=headers, content=message, extensions=extensions)
