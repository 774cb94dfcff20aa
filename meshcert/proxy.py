"""
One proxy's settings, as the stacks write them into ``MESHCERT_PROXY`` and the Envoy image reads them.

They are a flat description of the mesh file's part for the proxy: which secrets to fetch, where to listen, where to
send requests, and what to require of peers. :mod:`meshcert.envoy` turns it into Envoy's configuration.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from meshcert.bounded_json import read_json
from meshcert.host_policies import ConnectionPool, HealthCheck, OutlierDetection
from meshcert.request_log import RequestLog
from meshcert.routes import (
    AllowRule,
    Conditions,
    HeaderCondition,
    QueryCondition,
    Retries,
    Rewriting,
    Target,
    read_allow_rules,
    read_route_parts,
    said,
)
from meshcert.san import AcceptedName, San, parse_accepted_names, parse_sans
from meshcert.timeouts import ProtocolTimeouts, Timeouts
from meshcert.tls_sources import (
    CertificateFile,
    FederatedTrust,
    TlsCertificate,
    TlsTrust,
    TrustFile,
    hierarchy_of,
    of_mesh,
    read_tls_certificate,
    read_tls_trust,
)
from meshcert.values.named_tuple import NamedTuple

SCHEMA = 1
ACKNOWLEDGE_EVERY_S = 300.0


class TlsMode(StrEnum):
    """How a listener treats clients (App Mesh's listener TLS modes)."""

    STRICT = "STRICT"
    """TLS only."""
    PERMISSIVE = "PERMISSIVE"
    """TLS and plain text, while clients are being moved."""
    DISABLED = "DISABLED"
    """Plain text only."""


class RotationMode(StrEnum):
    """How a service takes a new version of its secrets over."""

    RELOAD = "reload"
    """Running tasks install it; Envoy serves it without a restart."""
    REDEPLOY = "redeploy"
    """Tasks read once at start and only log newer versions; a new ECS deployment takes them over."""


class DeliveryMode(StrEnum):
    """How Envoy gets its secrets from the entrypoint."""

    FILE = "file"
    """As files on the task's tmpfs, which Envoy watches."""
    SDS = "sds"
    """Over a Unix socket, by Envoy's Secret Discovery Service: no key touches a file system."""


class Revocation(StrEnum):
    """What becomes of peers when a revocation list is missing or has ended."""

    NONE = "none"
    """Lists are not looked at."""
    FAIL_OPEN = "fail_open"
    """Peers pass as if nothing were revoked, and the proxy says so."""
    FAIL_CLOSED = "fail_closed"
    """Peers are refused."""


class ListenerTls(NamedTuple):
    """
    A listener's TLS.

    Args:
        certificate: What to present: a key into :attr:`ProxySettings.identities`, or a source of the user's.
        trust: Client certificates are required and checked against it: a key into :attr:`ProxySettings.trust_bundles`,
            or a source of the user's. Empty for one-way TLS with anonymous clients.
        subject_alternative_names: A client's certificate must have one of them; empty accepts every certificate that
            ``trust`` verifies.
    """

    mode: TlsMode
    certificate: TlsCertificate = ""
    trust: TlsTrust = ""
    subject_alternative_names: tuple[AcceptedName, ...] = ()

    @property
    def identity(self) -> str:
        """The identity of this mesh that is presented; empty if nothing is, or something of the user's."""
        return of_mesh(self.certificate)

    @property
    def hierarchy(self) -> str:
        """The hierarchy of this mesh that is trusted; empty if none is."""
        return hierarchy_of(self.trust)


class Listener(NamedTuple):
    """
    A port on which a proxy accepts connections.

    Args:
        protocol: ``http`` (HTTP/1.1 and HTTP/2 as the client asks), ``http2``, ``grpc`` or ``tcp``.
        timeouts: By the virtual node's protocol; a route's own come first.
        allow: Which callers may make which requests; empty: all that TLS lets in may make all.
    """

    port: int
    protocol: str
    tls: ListenerTls
    timeouts: ProtocolTimeouts = ProtocolTimeouts()
    allow: tuple[AllowRule, ...] = ()


class BackendTls(NamedTuple):
    """
    A proxy's TLS towards a backend.

    Args:
        trust: For checking the backend's certificate: a key into :attr:`ProxySettings.trust_bundles`, or a source of
            the user's. Empty: every certificate is accepted, so calls are encrypted and the backend is not
            authenticated.
        certificate: What to present: a key into :attr:`ProxySettings.identities`, or a source of the user's. Empty for
            an anonymous client.
        subject_alternative_names: The backend's certificate must have one of them; if empty, the backend's host.
    """

    trust: TlsTrust
    certificate: TlsCertificate = ""
    subject_alternative_names: tuple[AcceptedName, ...] = ()

    @property
    def identity(self) -> str:
        """The identity of this mesh that is presented; empty if nothing is, or something of the user's."""
        return of_mesh(self.certificate)

    @property
    def hierarchy(self) -> str:
        """The hierarchy of this mesh that is trusted; empty if none is."""
        return hierarchy_of(self.trust)


class RemoteNamespace(NamedTuple):
    """
    The Cloud Map namespace of another cell.

    Args:
        name: Its HTTP name, which the data API takes.
        region: Where it is.
        role: ARN of the role there that is assumed to ask for its tasks.
    """

    name: str
    region: str
    role: str


class Backend(NamedTuple):
    """
    A service that a proxy calls.

    Args:
        name: Name of the virtual node, and of Envoy's cluster.
        host: DNS name of its tasks: Cloud Map's, or any other.
        port: TCP port of its listener.
        protocol: Protocol of its listener.
        tls: TLS for calls; None for plain text.
        cloud_map_service: Name of its service in Cloud Map, whose API is asked for the tasks; empty if ``host`` is
            resolved by DNS.
        outlier_detection: When a task is left out because of what it answers; None: never.
        health_check: How each task is asked whether it is well; None: not at all.
        one_host: Whether all addresses of ``host`` are one host, for example a load balancer; otherwise each is a task.
        remote_namespace: Where ``cloud_map_service`` is, if not in the proxy's own namespace.
    """

    name: str
    host: str
    port: int
    protocol: str
    tls: BackendTls | None = None
    cloud_map_service: str = ""
    outlier_detection: OutlierDetection | None = None
    health_check: HealthCheck | None = None
    one_host: bool = False
    remote_namespace: RemoteNamespace | None = None


class Route(NamedTuple):
    """
    Where requests go, if it is the first route of a list that matches. Of short routes the longest prefix is first.

    Args:
        prefix: Path prefix; empty if ``conditions`` have the path.
        backend: Name of a backend; empty if ``targets`` share the requests, and without those for 404.
        timeouts: Of its requests, as route, backend and virtual node set them.
        conditions: What a request must be like besides.
        targets: Backends that share its requests.
        rewriting: What the backend sees instead of what was sent.
        retries: After what a request is sent again, besides one that surely was not processed.
    """

    prefix: str
    backend: str
    timeouts: Timeouts = Timeouts()
    conditions: Conditions = Conditions()
    targets: tuple[Target, ...] = ()
    rewriting: Rewriting = Rewriting()
    retries: Retries | None = None

    @property
    def shares(self) -> tuple[Target, ...]:
        """The backends that its requests go to, with their shares."""
        return self.targets or ((Target(self.backend, 1),) if self.backend else ())

    @property
    def tells_paths_apart(self) -> bool:
        """Whether it depends on a request's path, or on what is left of it after rewriting."""
        is_about_all = self.prefix in ("", "/") and not self.conditions.path and not self.conditions.regex
        return not is_about_all or bool(self.rewriting.prefix)

    @property
    def is_short(self) -> bool:
        """Whether it says no more than a prefix, a backend and timeouts."""
        return self == Route(self.prefix, self.backend, self.timeouts)


class WayOut(NamedTuple):
    """
    How the application of a virtual node reaches one of its backends.

    Args:
        backend: Name of the virtual node or virtual service.
        hosts: The hosts that requests to it name, at the egress listener; empty for ``tcp``.
        protocol: What the application speaks: ``http``, ``http2``, ``grpc`` or ``tcp``.
        local_port: TCP port on loopback that leads to it alone; 0 for none.
        routes: Where its requests go; empty if the route table says it.
    """

    backend: str
    hosts: tuple[str, ...]
    protocol: str
    routes: tuple[Route, ...]
    local_port: int = 0

    @property
    def is_http(self) -> bool:
        """Whether its requests are routed one by one; a ``tcp`` way leads whole connections to its targets."""
        return self.protocol != "tcp"


class SecretReference(NamedTuple):
    """
    A secret to fetch.

    Args:
        secret: Its ARN or name.
        names: Names that its certificate must carry; empty for trust bundles.
        also_trust: Further hierarchies whose roots are in a trust bundle. The proxy does not read it, but a change
            makes ECS start new tasks, so a deploy ends only when every task knows the roots.
        revocation: For a trust bundle: whether peers' certificates are checked against revocation lists.
    """

    secret: str
    names: tuple[San, ...] = ()
    also_trust: tuple[str, ...] = ()
    revocation: Revocation = Revocation.NONE


class ProxySettings(NamedTuple):
    """
    The settings of one Envoy and its entrypoint.

    Args:
        name: Name of the virtual gateway or virtual node.
        listeners: The ports that it accepts connections on.
        identities: Secrets with the proxy's own material, by identity name.
        trust_bundles: Secrets with the roots that verify its peers, by hierarchy name.
        backends: The services it calls.
        routes: A virtual gateway's routes; empty for a virtual node, whose listeners forward to its application, and if
            the route table has them.
        ways_out: How the application reaches the backends of a virtual node.
        egress_port: TCP port on loopback of the egress listener; 0 for none.
        egress_allow_all: Whether the egress listener passes requests to unknown hosts on, as they are.
        application_port: TCP port of the application in the same task; 0 for a virtual gateway and for a job.
        application_keep_alive_s: How long it keeps an idle connection, seconds; the proxy leaves it earlier.
        connection_pool: How much reaches the application at once.
        request_log: A line for each request; None for none.
        metrics_port: TCP port of the metrics for Prometheus; 0 for none.
        awaits_application: Whether the listeners stay closed until the task's readiness container opens them.
        rotation: How a new version of a secret is taken over.
        poll_interval_s: Longest time between two looks at the secrets, seconds; jitter only shortens it.
        max_connection_duration_s: Longest life of a connection on either side, seconds, because only new connections
            use a new certificate (:mod:`meshcert.envoy.connection_cap`). A tenth of the shortest certificate's lifetime
            if that is less.
        cut_tcp_sessions: Whether the limit also holds for ``tcp``, where sessions can only be cut.
        acknowledgements: DynamoDB table in which each task reports what its Envoy serves; empty for no reports.
        acknowledge_every_s: Interval of reports when nothing has changed, seconds.
        cloud_map_namespace: Cloud Map's HTTP name of the namespace in which backends of this account and region are
            found; empty if none is.
        cloud_map_owner: Account that owns that namespace, if it is to be asked for with it, as one must be that another
            account shares; empty if not.
        route_table: DynamoDB table with the row of the service's route table, which has its routes (of a gateway, and
            of each way out that is not ``tcp``); empty if they stand here.
        judges_paths: Whether the listeners are made for routes that tell paths apart; of a proxy with a route table,
            since else its routes say it.
        sds_socket_path: Path of the Unix socket of an SDS server of the user's; empty if nothing comes from one.
        trust_domain_bundles: Trust bundles with the roots of the mesh's trust domain, which the SPIFFE Workload API
            gives to the application; empty if it is not offered.
        foreign_bundles: Secrets with the roots of foreign trust domains that it trusts, by trust domain.
    """

    mesh: str
    name: str
    service: str
    listeners: tuple[Listener, ...]
    identities: dict[str, SecretReference]
    trust_bundles: dict[str, SecretReference]
    backends: tuple[Backend, ...] = ()
    routes: tuple[Route, ...] = ()
    ways_out: tuple[WayOut, ...] = ()
    egress_port: int = 0
    egress_allow_all: bool = False
    application_port: int = 0
    application_keep_alive_s: float = 2.0
    connection_pool: ConnectionPool = ConnectionPool()
    request_log: RequestLog | None = None
    metrics_port: int = 0
    awaits_application: bool = False
    rotation: RotationMode = RotationMode.RELOAD
    delivery: DeliveryMode = DeliveryMode.FILE
    poll_interval_s: float = 60.0
    max_connection_duration_s: float = 600.0
    cut_tcp_sessions: bool = False
    acknowledgements: str = ""
    acknowledge_every_s: float = ACKNOWLEDGE_EVERY_S
    cloud_map_namespace: str = ""
    cloud_map_owner: str = ""
    route_table: str = ""
    judges_paths: bool = False
    sds_socket_path: str = ""
    trust_domain_bundles: tuple[str, ...] = ()
    foreign_bundles: Mapping[str, SecretReference] = MappingProxyType({})

    @property
    def is_gateway(self) -> bool:
        """Whether its listeners lead to backends, and not to an application in the same task; a job has none."""
        return bool(self.listeners) and not self.application_port

    @property
    def certificate_files(self) -> tuple[CertificateFile, ...]:
        """The certificates that it presents from files of the user's, each once."""
        presented = (side.certificate for side in self._sides)
        return tuple(dict.fromkeys(each for each in presented if isinstance(each, CertificateFile)))

    @property
    def trust_files(self) -> tuple[TrustFile, ...]:
        """The files of the user's with roots that it trusts, each once."""
        return tuple(dict.fromkeys(side.trust for side in self._sides if isinstance(side.trust, TrustFile)))

    @property
    def secret_references(self) -> tuple[SecretReference, ...]:
        """Every secret that its container reads."""
        return (*self.identities.values(), *self.trust_bundles.values(), *self.foreign_bundles.values())

    @property
    def federated_trusts(self) -> tuple[FederatedTrust, ...]:
        """The roots of several trust domains that it trusts, each composition once."""
        return tuple(dict.fromkeys(side.trust for side in self._sides if isinstance(side.trust, FederatedTrust)))

    @property
    def _sides(self) -> tuple[ListenerTls | BackendTls, ...]:
        """TLS in either direction, where there is any."""
        spoken = (listener.tls for listener in self.listeners if listener.tls.mode is not TlsMode.DISABLED)
        return (*spoken, *(backend.tls for backend in self.backends if backend.tls))

    @property
    def discovered(self) -> tuple[Backend, ...]:
        """The backends whose tasks Cloud Map's API names; Envoy gets their endpoints as a resource of their own."""
        return tuple(backend for backend in self.backends if backend.cloud_map_service)

    @property
    def discovered_in(self) -> dict[RemoteNamespace | None, tuple[Backend, ...]]:
        """Those of each namespace, the proxy's own (None) first."""
        found: dict[RemoteNamespace | None, tuple[Backend, ...]] = {}
        for each in sorted(self.discovered, key=lambda backend: backend.remote_namespace is not None):
            found[each.remote_namespace] = (*found.get(each.remote_namespace, ()), each)
        return found

    def to_json(self) -> str:
        """Compact JSON that :meth:`from_json` reads back."""
        return json.dumps({"schema": SCHEMA, **plain(self)}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> ProxySettings:
        """
        Read what :meth:`to_json` wrote.

        Raises:
            ValueError: If it is not JSON or has another schema, or if a field is missing, unknown or of the wrong type.
                The message says which.
        """
        values = read_json(text)
        if not isinstance(values, dict) or values.pop("schema", None) != SCHEMA:
            msg = f"expected a JSON object with schema {SCHEMA}"
            raise ValueError(msg)
        try:
            return cls(
                **values
                | {
                    "listeners": tuple(_listener(*each) for each in enumerate(values["listeners"])),
                    "identities": _references("identities", values["identities"]),
                    "trust_bundles": _references("trust_bundles", values["trust_bundles"]),
                    "backends": tuple(_backend(*each) for each in enumerate(values.get("backends", ()))),
                    "routes": tuple(map(read_route, values.get("routes", ()))),
                    "ways_out": tuple(map(_way_out, values.get("ways_out", ()))),
                    "request_log": RequestLog(**values["request_log"]) if values.get("request_log") else None,
                    "connection_pool": ConnectionPool(**values.get("connection_pool", {})),
                    "rotation": RotationMode(values.get("rotation", RotationMode.RELOAD)),
                    "delivery": DeliveryMode(values.get("delivery", DeliveryMode.FILE)),
                    "trust_domain_bundles": tuple(values.get("trust_domain_bundles", ())),
                    "foreign_bundles": _references("foreign_bundles", values.get("foreign_bundles", {})),
                }
            )
        except (KeyError, TypeError, AttributeError) as error:
            msg = f"a field is missing, unknown or of the wrong kind: {error}"
            raise ValueError(msg) from error


_SPARSE = (Timeouts, ProtocolTimeouts, Conditions, HeaderCondition, QueryCondition, Rewriting, ConnectionPool)
"""Parts of which only what is set is written."""
_LATER: dict[type, tuple[str, ...]] = {
    ProxySettings: (
        "ways_out",
        "egress_port",
        "egress_allow_all",
        "connection_pool",
        "request_log",
        "metrics_port",
        "route_table",
        "judges_paths",
        "sds_socket_path",
        "trust_domain_bundles",
        "foreign_bundles",
    ),
    Listener: ("allow",),
    Backend: ("outlier_detection", "health_check", "one_host", "remote_namespace"),
}
"""
Fields that came later, and are written only if they are set.

A proxy that has none of them keeps the text of before, and with it its task definition.
"""


def plain(value: Any) -> Any:
    """A value with named tuples as JSON objects and SANs as texts, at any depth."""
    if hasattr(value, "_asdict"):
        return {name: plain(part) for name, part in _fields(value).items()}
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, tuple):
        return [plain(part) for part in value]
    return str(value) if isinstance(value, San) else value


def _fields(part: Any) -> dict[str, Any]:
    if isinstance(part, Route):
        # A short route keeps the text of before, and with it its task definition.
        return {"prefix": part.prefix, "backend": part.backend, "timeouts": part.timeouts} | said(part)
    fields: dict[str, Any] = said(part) if isinstance(part, _SPARSE) else part._asdict()
    later = _LATER.get(type(part), ())
    return {name: value for name, value in fields.items() if name not in later or value != part._field_defaults[name]}


def _listener(number: int, item: dict[str, Any]) -> Listener:
    tls = item["tls"]
    names = _peer_names(f"listeners[{number}]", tls)
    parsed = {
        "tls": ListenerTls(**tls | {"mode": TlsMode(tls["mode"]), **names, **_sources(tls)}),
        "timeouts": ProtocolTimeouts(**{name: Timeouts(**limits) for name, limits in item.get("timeouts", {}).items()}),
        "allow": read_allow_rules(item.get("allow", ()), f"listeners[{number}].allow"),
    }
    listener = Listener(**item | parsed)
    if listener.allow and (listener.tls.mode is TlsMode.DISABLED or not listener.tls.trust):
        msg = f"listeners[{number}].allow: callers are only known together with trust"
        raise ValueError(msg)
    if listener.allow and listener.protocol == "tcp":
        msg = f"listeners[{number}].allow: tcp has no requests that rules could be about"
        raise ValueError(msg)
    return listener


def read_route(item: dict[str, Any]) -> Route:
    """
    A route from JSON.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: If a field is missing, unknown or of the wrong kind.
    """
    return Route(**item | {"timeouts": Timeouts(**item.get("timeouts", {})), **read_route_parts(item)})


def _way_out(item: dict[str, Any]) -> WayOut:
    return WayOut(**item | {"hosts": tuple(item["hosts"]), "routes": tuple(map(read_route, item["routes"]))})


def _backend(number: int, item: dict[str, Any]) -> Backend:
    tls = item.get("tls")
    if tls is not None:
        tls = BackendTls(**tls | _peer_names(f"backends[{number}]", tls) | _sources(tls))
    outliers, health = item.get("outlier_detection"), item.get("health_check")
    remote = item.get("remote_namespace")
    parsed = {
        "tls": tls,
        "outlier_detection": OutlierDetection(**outliers) if outliers else None,
        "health_check": HealthCheck(**health) if health else None,
        "remote_namespace": RemoteNamespace(**remote) if remote else None,
    }
    return Backend(**item | parsed)


def _sources(tls: dict[str, Any]) -> dict[str, TlsCertificate | TlsTrust]:
    reads = {"certificate": read_tls_certificate, "trust": read_tls_trust}
    return {field: read(tls[field]) for field, read in reads.items() if field in tls}


def _peer_names(place: str, tls: dict[str, Any]) -> dict[str, tuple[AcceptedName, ...]]:
    field = "subject_alternative_names"
    return {field: parse_accepted_names(tls.get(field, ()), f"{place}.tls.{field}")}


def _references(section: str, items: dict[str, Any]) -> dict[str, SecretReference]:
    return {name: _reference(f"{section}.{name}", item) for name, item in items.items()}


def _reference(place: str, item: dict[str, Any]) -> SecretReference:
    parsed = {
        "names": parse_sans(item.get("names", ()), f"{place}.names"),
        "also_trust": tuple(item.get("also_trust", ())),
        "revocation": Revocation(item.get("revocation", Revocation.NONE)),
    }
    return SecretReference(**item | parsed)
