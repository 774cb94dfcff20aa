"""The ways of a request that ``data_path`` compares: to the application directly, or through two Envoys."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from evidence.bench.delivered import deliver
from evidence.bench.start import Launch, Started
from evidence.fixtures.addresses import loopback_addresses
from evidence.fixtures.container import installed_envoy
from evidence.fixtures.pki import Hierarchy
from evidence.fixtures.process_memory import resident_mb
from evidence.fixtures.proxies import GATEWAY_NAME, PORT, TELLER_NAME, gateway, teller
from evidence.load.loads import Connection
from meshcert.envoy import Addresses, bootstrap, secrets_used
from meshcert.envoy.addresses import socket_address
from meshcert.envoy.api import HTTP_CONNECTION_MANAGER, ROUTER, extension
from meshcert.envoy.observing.admin import admin
from meshcert.proxy import ListenerTls, Route, TlsMode
from meshcert.request_log import RequestLog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from evidence.fixtures.pki import KeyAlgorithm
    from meshcert.material import Material, TrustBundle
    from meshcert.proxy import ProxySettings

DIRECT, PLAIN, MTLS = "direct", "plain", "mtls"
LOGGED, RSA = "mtls_request_log", "mtls_rsa_2048"
WAYS = (DIRECT, PLAIN, MTLS, LOGGED, RSA)
APPLICATION_PORT = 8080
CALLER, CALLEE = "colorgateway", "colorteller"
"""Names of the two Envoys, of their identities and of their hierarchies."""


class Way(NamedTuple):
    """
    Where to ask, and which Envoys are on the way.

    Args:
        address: Of the first of them, or of the application.
        port: Of the same.
        envoys: Their processes.
    """

    address: str
    port: int
    envoys: tuple[int, ...]


class CallPaths:
    """
    Starts what is on the ways, and ends it; use it as a context.

    Args:
        folder: For configurations, secrets and logs; empty.
        load_cpu: The CPU of the application.
        envoy_cpu: The CPU that all Envoys share.
    """

    def __init__(self, folder: Path, load_cpu: int, envoy_cpu: int) -> None:
        self._places = _places(folder)
        self._application = next(self._places)
        self._load_cpu, self._envoy_cpu = load_cpu, envoy_cpu
        self._running = ExitStack()

    def __enter__(self) -> Self:
        self._running.enter_context(_envoy(_application(self._application), self._application, self._load_cpu))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def start(self, name: str, connection: Connection) -> Way:
        """
        Start the Envoys of a way.

        Args:
            name: One of :data:`WAYS`.
            connection: Whether connections between the Envoys are kept.

        Raises:
            StartFailed: If one does not start.
        """
        if name == DIRECT:
            return Way(self._application.name, APPLICATION_PORT, ())
        caller, callee = next(self._places), next(self._places)
        key: KeyAlgorithm = "RSA_2048" if name == RSA else "EC_prime256v1"
        callers, callees = (Hierarchy(1, key, name=end) for end in (CALLER, CALLEE))
        settings = _caller(name, callee.name), _callee(name)
        configurations = (
            _configuration(settings[0], caller, callers.issue([GATEWAY_NAME], key_algorithm=key), callees.trust_bundle),
            _configuration(settings[1], callee, callees.issue([TELLER_NAME], key_algorithm=key), callers.trust_bundle),
        )
        _lead_to(self._application.name, configurations[1])
        if connection is Connection.NEW:
            _connect_anew(configurations[0])
        envoys = [
            self._running.enter_context(_envoy(configuration, place, self._envoy_cpu, secrets_used(each)))
            for each, configuration, place in zip(settings, configurations, (caller, callee), strict=True)
        ]
        return Way(caller.name, PORT, tuple(envoy.pid for envoy in envoys))

    def memory_mb(self, backends: int) -> float:
        """
        Resident memory of an Envoy that has that many backends with mutual TLS, and has called none of them.

        Raises:
            StartFailed: If it does not start.
        """
        place = next(self._places)
        hierarchy = Hierarchy(1, name=CALLEE)
        (backend,) = gateway().backends
        several = tuple(backend._replace(name=f"{CALLEE}-{number}", host=place.name) for number in range(backends))
        routes = tuple(Route(f"/{each.name}", each.name) for each in several)
        settings = gateway(backends=several, routes=routes)
        configuration = _configuration(settings, place, hierarchy.issue([GATEWAY_NAME]), hierarchy.trust_bundle)
        with _envoy(configuration, place, self._envoy_cpu, secrets_used(settings)) as envoy:
            return resident_mb(envoy.pid)


def _places(folder: Path) -> Iterator[Path]:
    """Folders without an end, each named by a loopback address of its own."""
    for address in loopback_addresses():
        place = folder / address
        place.mkdir()
        yield place


def _caller(name: str, callee: str) -> ProxySettings:
    """A gateway that listens in plain text, as an application's way out does, and calls the callee at its address."""
    (backend,) = gateway().backends
    return gateway(
        backends=(backend._replace(host=callee, tls=None if name == PLAIN else backend.tls),),
        request_log=RequestLog() if name == LOGGED else None,
    )


def _callee(name: str) -> ProxySettings:
    (listener,) = teller().listeners
    tls = ListenerTls(TlsMode.DISABLED) if name == PLAIN else listener.tls
    return teller(listeners=(listener._replace(tls=tls),), request_log=RequestLog() if name == LOGGED else None)


def _configuration(settings: ProxySettings, place: Path, material: Material, trust: TrustBundle) -> dict[str, Any]:
    """Envoy's configuration; its secrets are in place."""
    secrets = place / "secrets"
    deliver(secrets, settings, material, trust)
    return bootstrap(settings, Addresses(str(secrets), listen=place.name, loopback=place.name))


def _lead_to(application: str, configuration: dict[str, Any]) -> None:
    """Put the application of all ways in the place of the one in the callee's own task."""
    (cluster,) = configuration["static_resources"]["clusters"]
    (endpoints,) = cluster["load_assignment"]["endpoints"]
    endpoints["lb_endpoints"] = [{"endpoint": {"address": socket_address(application, APPLICATION_PORT)}}]


def _connect_anew(configuration: dict[str, Any]) -> None:
    """Have the caller's Envoy make a connection for each request (``HttpProtocolOptions``)."""
    for cluster in configuration["static_resources"]["clusters"]:
        for options in cluster["typed_extension_protocol_options"].values():
            options.setdefault("common_http_protocol_options", {})["max_requests_per_connection"] = 1


def _application(place: Path) -> dict[str, Any]:
    """An Envoy that answers each request with its path."""
    answer = {"status": 200, "body_format": {"text_format_source": {"inline_string": "%REQ(:PATH)%"}}}
    host = {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "direct_response": answer}]}
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        HTTP_CONNECTION_MANAGER,
        stat_prefix="application",
        route_config={"virtual_hosts": [host]},
        http_filters=[extension("envoy.filters.http.router", ROUTER)],
    )
    listener = {"address": socket_address(place.name, APPLICATION_PORT), "filter_chains": [{"filters": [manager]}]}
    return {"admin": admin(Addresses("", loopback=place.name)), "static_resources": {"listeners": [listener]}}


@contextmanager
def _envoy(configuration: dict[str, Any], place: Path, cpu: int, secrets: tuple[str, ...] = ()) -> Iterator[Started]:
    """An Envoy on one CPU, with its secrets."""
    file = place / "envoy.json"
    file.write_text(json.dumps(configuration))
    arguments = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning", "-c", str(file)]
    command = ["taskset", "--cpu-list", str(cpu), str(installed_envoy()), *arguments]
    with Started(Launch(command, dict(os.environ), place.name, secrets), place) as envoy:
        envoy.live_after_ms()
        yield envoy
