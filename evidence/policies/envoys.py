"""Two real Envoys with the proxies of many cells, and what becomes of a request in each."""

from __future__ import annotations

import http.client
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

from entrypoint import healthcheck
from evidence.fixtures.cloud_map import CloudMap
from evidence.fixtures.container import Container, eventually
from evidence.fixtures.sds_server import SdsServer
from evidence.fixtures.secrets_api import SecretsApi
from evidence.fixtures.serving import serving
from evidence.policies.certificates import NAMES, give_certificates
from evidence.policies.matrix import Result, expected
from evidence.policies.meshes import APPLICATION_PORT, CALLER, EDGE_PORT, HOST, PolicyMeshes, port_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from evidence.policies.matrix import Cell

_AT_ONCE = 8
_WITHIN_S = 120.0
"""Until both have started, each with a TLS context for every cell, and until a request or a line in a log has come."""


class Seen(NamedTuple):
    """
    What became of a request.

    Args:
        status: Of the answer.
        told: What the application was told about its caller, once for each request that it got.
        handshakes: That the listener completed.
        anonymous: Those of them without a client's certificate.
        refused_backend: Causes in the caller's log.
        reasons: Reasons beside them, as the TLS library gives them.
        refused_client: Causes in the listener's log.
    """

    status: int
    told: tuple[str, ...]
    handshakes: int
    anonymous: int
    refused_backend: frozenset[str]
    reasons: frozenset[str]
    refused_client: frozenset[str]

    def shows(self, result: Result) -> bool:
        """Whether this is what the result looks like. Nobody sees whether a good certificate was checked."""
        if not result.is_answered:
            return (self.status, self.told) == (503, ()) and self._shows_refusal(result)
        is_mutual, handshakes = result is Result.MUTUAL_TLS, int(result is not Result.PLAIN)
        knows_caller = [f"DNS={CALLER}" in told for told in self.told] == [is_mutual]
        anonymous = 0 if is_mutual else handshakes
        return knows_caller and (self.status, self.handshakes, self.anonymous) == (200, handshakes, anonymous)

    def _shows_refusal(self, result: Result) -> bool:
        match result:
            case Result.NO_TLS_THERE:
                return self.refused_backend == {"plain-text"}
            case Result.WRONG_SERVER:
                verified = ["CERTIFICATE_VERIFY_FAILED" in reason for reason in self.reasons]
                return self.refused_backend == {"wrong-name"} and all(verified)
            case Result.NO_CERTIFICATE:
                return self.refused_client == {"no-certificate"}
            case _:
                return self.refused_client == {"wrong-name"}


def observe(image: Path, folder: Path, new_address: Callable[[], str], cells: Sequence[Cell]) -> dict[Cell, Seen]:
    """
    Start the Envoys, ask once in each cell, and end them.

    Args:
        image: From :func:`evidence.fixtures.container.lay_out_image`.
        folder: A fresh one on a tmpfs, with a short path, for what they need.
        new_address: Gives loopback addresses.
        cells: Which to try.
    """
    meshes, told = PolicyMeshes(folder), defaultdict[str, list[str]](list)
    with ExitStack() as opened:
        api = opened.enter_context(SecretsApi(new_address()))
        agent = opened.enter_context(SdsServer(meshes.sds_socket, NAMES))
        cloud_map = opened.enter_context(CloudMap(new_address()))
        give_certificates(api, folder, agent)
        environment = {**api.environment, "MESHCERT_DNS_RESOLVER": cloud_map.resolver}
        teller, edge = (
            opened.enter_context(Container(image, folder / name, new_address(), settings, environment))
            for name, settings in (("teller", meshes.teller(cells)), ("edge", meshes.edge(cells)))
        )
        cloud_map.records[HOST] = [teller.address]
        opened.enter_context(_application(teller.address, told))
        for container in (teller, edge):
            _wait_until_healthy(container)
        with ThreadPoolExecutor(_AT_ONCE) as callers:
            statuses = dict(zip(cells, callers.map(lambda cell: _status(edge, cell), cells), strict=True))
        with suppress(AssertionError):  # log lines come late; whatever is not as expected even then is what was seen
            eventually(lambda: not faults(_look(edge, teller, statuses, told)), "all as expected", _WITHIN_S)
        return _look(edge, teller, statuses, told)


def _wait_until_healthy(container: Container) -> None:
    def started() -> bool:
        return container.process.poll() is not None or healthcheck.healthy(container.environment)

    eventually(started, "healthy", _WITHIN_S)
    container.wait_until_healthy()


def _status(edge: Container, cell: Cell) -> int:
    connection = http.client.HTTPConnection(edge.address, EDGE_PORT, timeout=_WITHIN_S)
    try:
        connection.request("GET", f"/{cell.key}")
        return connection.getresponse().status
    finally:
        connection.close()


def faults(seen: Mapping[Cell, Seen]) -> dict[str, tuple[str, ...]]:
    """By cell, what App Mesh's rules say and what was seen instead; empty if all is as they say."""
    return {
        str(cell): (f"expected: {expected(cell)}; seen: {each}",)
        for cell, each in seen.items()
        if not each.shows(expected(cell))
    }


def _look(
    edge: Container,
    teller: Container,
    statuses: Mapping[Cell, int],
    told: Mapping[str, Sequence[str]],
) -> dict[Cell, Seen]:
    refused_backends, refused_clients = edge.events("backend-refused"), teller.events("connection-refused")
    counters = teller.stats(".ssl.")
    seen = {}
    for cell, status in statuses.items():
        listener = f"ingress_{port_of(cell)}"
        at_caller = [line for line in refused_backends if line["backend"] == cell.key]
        handshakes, anonymous = (
            int(counters.get(f"listener.{listener}.ssl.{name}", 0)) for name in ("handshake", "no_certificate")
        )
        seen[cell] = Seen(
            status=status,
            told=tuple(told.get(cell.key, ())),
            handshakes=handshakes,
            anonymous=anonymous,
            refused_backend=frozenset(line["cause"] for line in at_caller),
            reasons=frozenset(line["reason"] for line in at_caller),
            refused_client=frozenset(line["cause"] for line in refused_clients if line["listener"] == listener),
        )
    return seen


@contextmanager
def _application(address: str, told: defaultdict[str, list[str]]) -> Iterator[None]:
    """Notes, for each request, what it is told about its caller, by path."""

    class Application(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            told[self.path.removeprefix("/")].append(self.headers.get("x-forwarded-client-cert", ""))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with serving(ThreadingHTTPServer((address, APPLICATION_PORT), Application)):
        yield
