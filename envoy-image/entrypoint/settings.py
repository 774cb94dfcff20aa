"""The settings of the Envoy container, read once from its environment; all faults are reported together."""

from __future__ import annotations

import math
import os
import re
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

from entrypoint.aws.endpoint import CA_BUNDLE, Endpoint, authorities_file, secrets_manager_endpoint
from entrypoint.container.paths import Paths
from entrypoint.log import DEFAULT_LEVEL, LEVELS
from entrypoint.platform import platform_of
from meshcert.contract.environment import (
    DNS_RESOLVER,
    DRAIN,
    LISTEN_ADDRESS,
    LOG_LEVEL,
    LOOPBACK_ADDRESS,
    MATERIAL_DIR,
    PROXY,
    PROXY_FROM,
    START_DEADLINE,
    WORKLOAD_API_SOCKET,
)
from meshcert.contract.route_rows import ROW_SCHEME
from meshcert.contract.stopping import LONGEST_DRAIN_S
from meshcert.envoy import Addresses
from meshcert.errors import Fault, SettingsInvalid
from meshcert.proxy import DeliveryMode, ProxySettings, TlsMode
from meshcert.san import SanInvalid
from meshcert.tls_sources import LONGEST_SOCKET_PATH, FederatedTrust, SdsSecret, is_path
from meshcert.values.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from entrypoint.workload_api.settings import WorkloadApiSettings
    from meshcert.proxy import Route
    from meshcert.tls_sources import TlsCertificate, TlsTrust

REGION = "AWS_REGION"

DEFAULT_START_DEADLINE_S = 60.0
_LONGEST_START_DEADLINE_S = 3600.0
PROTOCOLS = ("http", "http2", "grpc", "tcp")

_ANOTHER_IMAGE = (
    "Its image and the mesh's deploy are of two versions of meshcert: deploy your service again, with the image that "
    "the parameter /meshcert/MESH/sidecar/image names"
)
_REDEPLOY = "The services stack writes it: deploy that again"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_HIGHEST_PORT = 65535


class Settings(NamedTuple):
    """
    The settings of one container.

    Args:
        endpoint: The endpoint of Secrets Manager.
        addresses: The addresses that Envoy listens on, and those it uses for itself and DNS.
        start_deadline_s: Longest time from the start until the secrets are installed, seconds.
        workload_api: What the SPIFFE Workload API offers; None if there is none.
        version: The version of the proxy's settings, if a row had them; else empty.
    """

    proxy: ProxySettings
    region: str
    endpoint: Endpoint
    addresses: Addresses
    paths: Paths
    start_deadline_s: float
    workload_api: WorkloadApiSettings | None = None
    version: str = ""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], stored: str = "") -> Settings:
        """
        Read a container's environment.

        Args:
            stored: The proxy's settings, if the environment only names the object that holds them.

        Raises:
            SettingsInvalid: With every fault of every variable.
        """
        faults: list[Fault] = []
        proxy = _proxy(environ, stored, faults)
        region = environ.get(REGION, "")
        if not region:
            faults.append(Fault(REGION, "it is not set", "ECS sets it on Fargate; elsewhere set it in the task"))
        endpoint = None
        try:
            endpoint = secrets_manager_endpoint(region, environ)
        except ValueError as error:
            faults.append(Fault("AWS_ENDPOINT_URL", str(error), "Leave it out to use the region's own endpoint"))
        faults += platform_of(environ).faults()
        try:
            authorities_file(environ)
        except ValueError:
            problem = f"{environ[CA_BUNDLE]} is no file that can be read"
            faults.append(Fault(CA_BUNDLE, problem, "Leave it out to trust the system's CAs"))
        deadline_s = _seconds(environ, START_DEADLINE, DEFAULT_START_DEADLINE_S, _LONGEST_START_DEADLINE_S, faults)
        _seconds(environ, DRAIN, 0.0, LONGEST_DRAIN_S, faults)
        log_level = environ.get(LOG_LEVEL) or DEFAULT_LEVEL
        if log_level not in LEVELS:
            faults.append(Fault(LOG_LEVEL, f"{log_level!r} is no level", f"Use one of {', '.join(LEVELS)}"))
        paths = Paths(environ)
        if not os.access(paths.folder, os.W_OK | os.X_OK):
            remedy = "Mount a tmpfs there that this user may write"
            faults.append(Fault(MATERIAL_DIR, f"{paths.folder} is no folder that can be written", remedy))
        if proxy and proxy.delivery is DeliveryMode.SDS and len(os.fsencode(paths.sds_socket)) > LONGEST_SOCKET_PATH:
            problem = f"{paths.sds_socket} is too long for a socket ({LONGEST_SOCKET_PATH} bytes)"
            faults.append(Fault(MATERIAL_DIR, problem, "Mount the tmpfs at a shorter path"))
        addresses = _addresses(environ, paths, faults)
        workload_api = None
        if environ.get(WORKLOAD_API_SOCKET):
            from entrypoint.workload_api.settings import workload_api_settings  # few applications ask for it

            workload_api = workload_api_settings(environ, proxy, faults)
        if faults or proxy is None or endpoint is None:
            raise SettingsInvalid("environment", tuple(faults))
        version = sha256(stored.encode()).hexdigest() if environ.get(PROXY_FROM, "").startswith(ROW_SCHEME) else ""
        return cls(proxy, region, endpoint, addresses, paths, deadline_s, workload_api, version)


def start_deadline_s(environ: Mapping[str, str]) -> float:
    """Longest time from the start until the secrets are installed, seconds; the default if the environment is wrong."""
    faults: list[Fault] = []
    seconds = _seconds(environ, START_DEADLINE, DEFAULT_START_DEADLINE_S, _LONGEST_START_DEADLINE_S, faults)
    return DEFAULT_START_DEADLINE_S if faults else seconds


@lru_cache(maxsize=1)
def read_proxy(text: str) -> ProxySettings:
    """
    A proxy's settings, read once although they are judged twice where an older image may meet newer ones.

    Raises:
        ValueError: If they are none of this version's.
    """
    return ProxySettings.from_json(text)


def _proxy(environ: Mapping[str, str], stored: str, faults: list[Fault]) -> ProxySettings | None:
    text, place, remedy = environ.get(PROXY, ""), PROXY, _REDEPLOY
    if uri := environ.get(PROXY_FROM):
        if text:
            faults.append(Fault(PROXY, f"{PROXY_FROM} is set too", _REDEPLOY))
        text, place, remedy = stored, PROXY_FROM, _ANOTHER_IMAGE if uri.startswith(ROW_SCHEME) else _REDEPLOY
        if not text:
            faults.append(_not_fetched(uri))
            return None
    if not text:
        faults.append(Fault(PROXY, "it is not set", _REDEPLOY))
        return None
    try:
        proxy = read_proxy(text)
    except SanInvalid as error:
        faults.append(Fault(f"{place}.{error.place}", error.problem, remedy))
        return None
    except ValueError as error:
        faults.append(Fault(place, str(error), remedy))
        return None
    faults += [Fault(f"{place}.{part}", problem, _REDEPLOY) for part, problem in _inconsistencies(proxy)]
    return proxy


def _not_fetched(uri: str) -> Fault:
    from meshcert.documents.stored_settings import stored_at  # where settings are not stored, nobody needs it

    try:
        stored_at(uri)
    except ValueError as error:
        return Fault(PROXY_FROM, str(error), _REDEPLOY)
    return Fault(PROXY_FROM, "it was not fetched, because of the other faults", "Mend those")


def _inconsistencies(proxy: ProxySettings) -> Iterator[tuple[str, str]]:
    """Place and problem of settings that are well-formed but would give a configuration that Envoy refuses."""
    if not (proxy.listeners or proxy.ways_out):
        yield "listeners", "there is none"
    if not isinstance(proxy.route_table, str) or not isinstance(proxy.judges_paths, bool):
        yield "route_table", "it is no name of a table, or judges_paths is not true or false"
    if proxy.is_gateway and not (proxy.routes or proxy.route_table):
        yield "routes", "there is neither a route nor an application_port"
    for name in proxy.trust_domain_bundles:
        yield from _known("trust_domain_bundles", name, proxy.trust_bundles)
    for name in (*proxy.identities, *proxy.trust_bundles):
        if not _NAME.fullmatch(name):
            yield repr(name), "a name has letters, digits, '-', '_' and '.' only"
    for place in ("poll_interval_s", "max_connection_duration_s", "acknowledge_every_s"):
        seconds = getattr(proxy, place)
        if not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
            yield place, f"{seconds!r} is no positive number of seconds"
    if not isinstance(proxy.acknowledgements, str):
        yield "acknowledgements", f"{proxy.acknowledgements!r} is no name of a table"
    yield from _others_source_faults(proxy)
    yield from _listener_faults(proxy)
    yield from _backend_faults(proxy)


def _listener_faults(proxy: ProxySettings) -> Iterator[tuple[str, str]]:
    for number, listener in enumerate(proxy.listeners):
        place, tls = f"listeners[{number}]", listener.tls
        yield from _endpoint_faults(place, listener.port, listener.protocol)
        if tls.mode is TlsMode.DISABLED:
            continue
        yield from _source_faults(f"{place}.tls.certificate", tls.certificate, proxy.identities, proxy)
        if tls.trust:
            yield from _source_faults(f"{place}.tls.trust", tls.trust, proxy.trust_bundles, proxy)
        elif tls.subject_alternative_names:
            yield f"{place}.tls.subject_alternative_names", "names are only checked together with trust"


def _backend_faults(proxy: ProxySettings) -> Iterator[tuple[str, str]]:
    for number, backend in enumerate(proxy.backends):
        place = f"backends[{number}]"
        yield from _endpoint_faults(place, backend.port, backend.protocol)
        if not isinstance(backend.cloud_map_service, str):
            yield f"{place}.cloud_map_service", f"{backend.cloud_map_service!r} is no name of a service"
        elif backend.cloud_map_service and not (backend.remote_namespace or proxy.cloud_map_namespace):
            yield f"{place}.cloud_map_service", "there is no cloud_map_namespace to find it in"
        if backend.remote_namespace and not all(isinstance(text, str) and text for text in backend.remote_namespace):
            yield f"{place}.remote_namespace", "a name, region or role is no text, or empty"
        if backend.tls and backend.tls.trust:
            yield from _source_faults(f"{place}.tls.trust", backend.tls.trust, proxy.trust_bundles, proxy)
        elif backend.tls and backend.tls.subject_alternative_names:
            yield f"{place}.tls.subject_alternative_names", "names are only checked together with trust"
        if backend.tls and backend.tls.certificate:
            yield from _source_faults(f"{place}.tls.certificate", backend.tls.certificate, proxy.identities, proxy)
    backends = [backend.name for backend in proxy.backends]
    yield from _route_faults("routes", proxy.routes, backends)
    for number, way in enumerate(proxy.ways_out):
        if way.local_port:
            yield from _endpoint_faults(f"ways_out[{number}]", way.local_port, way.protocol)
        yield from _route_faults(f"ways_out[{number}].routes", way.routes, backends)


def _route_faults(place: str, routes: Iterable[Route], backends: Container[str]) -> Iterator[tuple[str, str]]:
    for number, route in enumerate(routes):
        for share in route.shares:
            yield from _known(f"{place}[{number}].{'targets' if route.targets else 'backend'}", share.backend, backends)


def _others_source_faults(proxy: ProxySettings) -> Iterator[tuple[str, str]]:
    if proxy.federated_trusts:
        from entrypoint.judging.federated_trust import federated_problems  # few proxies have peers of other domains

        yield from federated_problems(proxy)
    if not isinstance(proxy.sds_socket_path, str) or (proxy.sds_socket_path and not is_path(proxy.sds_socket_path)):
        yield "sds_socket_path", f"{proxy.sds_socket_path!r} is no absolute path of plain characters"
    elif len(proxy.sds_socket_path) > LONGEST_SOCKET_PATH:
        yield "sds_socket_path", f"it is too long for a socket ({LONGEST_SOCKET_PATH} bytes)"
    by_chain = {pair.certificate_chain: pair for pair in proxy.certificate_files}
    for pair in proxy.certificate_files:
        if by_chain[pair.certificate_chain] != pair:
            yield "listeners and backends", f"two keys are named for {pair.certificate_chain}"


def _source_faults(
    place: str, source: TlsCertificate | TlsTrust, names: Container[str], proxy: ProxySettings
) -> Iterator[tuple[str, str]]:
    if isinstance(source, str):
        yield from _known(place, source, names)
    elif isinstance(source, FederatedTrust):
        return  # it has been judged as a whole
    elif not all(isinstance(text, str) for text in source):
        yield place, "a path or a name is no text"
    elif isinstance(source, SdsSecret):
        if not source.secret_name:
            yield f"{place}.secret_name", "it is empty"
        if not proxy.sds_socket_path:
            yield place, "there is no sds_socket_path to ask for it"
    else:
        wrong = (path for path in source if not is_path(path))
        yield from ((place, f"{path!r} is no absolute path of plain characters") for path in wrong)


def _known(place: str, name: str, names: Container[str]) -> Iterator[tuple[str, str]]:
    if name not in names:
        yield place, f"{name!r} is not declared in these settings"


def _endpoint_faults(place: str, port: int, protocol: str) -> Iterator[tuple[str, str]]:
    if not isinstance(port, int) or not 0 < port <= _HIGHEST_PORT:
        yield f"{place}.port", f"{port!r} is no TCP port"
    if protocol not in PROTOCOLS:
        yield f"{place}.protocol", f"{protocol!r} is none of {', '.join(PROTOCOLS)}"


def _seconds(environ: Mapping[str, str], variable: str, default: float, most: float, faults: list[Fault]) -> float:
    text = environ.get(variable) or str(default)
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= most:
        faults.append(Fault(variable, f"{text!r} is no number of seconds up to {most:g}", "Leave it out if in doubt"))
    return seconds


def _addresses(environ: Mapping[str, str], paths: Paths, faults: list[Fault]) -> Addresses:
    resolver = environ.get(DNS_RESOLVER, "")
    host, _, port = resolver.rpartition(":")
    if resolver and not (host and port.isdecimal()):
        remedy = "Leave it out to use the system's resolver"
        faults.append(Fault(DNS_RESOLVER, f"{resolver!r} is not host:port", remedy))
    default = Addresses(paths.secrets)
    return Addresses(
        secrets_directory=paths.secrets,
        sds_socket=paths.sds_socket,
        ways_in=paths.ways_in,
        endpoints_directory=paths.endpoints,
        routes_directory=paths.routes,
        listen=environ.get(LISTEN_ADDRESS) or default.listen,
        loopback=environ.get(LOOPBACK_ADDRESS) or default.loopback,
        dns_resolver=resolver,
    )
