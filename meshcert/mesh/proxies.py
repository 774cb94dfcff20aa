"""The proxies: their listeners, TLS, backends and routes, nested as in App Mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, Strict

from meshcert.contract.container import PUBLIC_ROOTS
from meshcert.mesh.access_logging import Logging
from meshcert.mesh.host_policies import (
    DeclaredConnectionPool,
    DeclaredOutlierDetection,
    ListenerHealthCheck,
    ServiceDiscovery,
)
from meshcert.mesh.part import ContainerPath, OutsideClients, Part, Port, SanMatch
from meshcert.mesh.routing.allow_rules import DeclaredAllowRule
from meshcert.mesh.routing.gateway_routes import GatewayRoute
from meshcert.mesh.routing.limits import DeclaredTimeouts
from meshcert.mesh.routing.ports import GatewayPort, NodePort
from meshcert.proxy import TlsMode
from meshcert.tls_sources import CertificateFile, FederatedTrust, PublicRoots, SdsSecret, TrustFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.san import AcceptedName
    from meshcert.tls_sources import TlsCertificate, TlsTrust


class DeclaredCertificateFile(Part, title="CertificateFile"):
    """A certificate of yours on a volume; read again at each poll interval, and checked before Envoy gets it."""

    certificate_chain: ContainerPath
    """Path in Envoy's container: the leaf, then its issuers, PEM."""
    private_key: ContainerPath
    """Path of its key, PEM, not encrypted."""


class DeclaredTrustFile(Part, title="TrustFile"):
    """Roots of yours on a volume; read again at each poll interval, and checked before Envoy gets them."""

    certificate_chain: ContainerPath
    """Path in Envoy's container: certificates of CAs, PEM; at least one of a root."""


class DeclaredSdsSecret(Part, title="SdsSecret"):
    """What an SDS server of yours gives to Envoy; meshcert never sees it."""

    secret_name: Annotated[str, Field(pattern=r"^[!-~]{1,255}$")]
    """Name under which Envoy asks for it at `services.NAME.proxy.sds_socket_path`."""


class DeclaredCertificate(Part, title="Certificate"):
    """What a proxy presents: exactly one of them."""

    identity: str = Field(default="", examples=["colorteller"])
    """Name of an identity; or file or sds."""
    file: DeclaredCertificateFile | None = None
    """Files of yours; or identity or sds."""
    sds: DeclaredSdsSecret | None = None
    """A secret of an SDS server of yours; or identity or file."""

    @property
    def source(self) -> TlsCertificate:
        """Where it comes from, as proxies have it."""
        if self.file:
            return CertificateFile(self.file.certificate_chain, self.file.private_key)
        return SdsSecret(self.sds.secret_name) if self.sds else self.identity


class Trust(Part):
    """Whom a proxy believes: exactly one of them, or a hierarchy and foreign trust domains."""

    hierarchy: str = Field(default="", examples=["colorgateway"])
    """Name of a hierarchy: its root is the trust anchor; or file or sds."""
    file: DeclaredTrustFile | None = None
    """Roots of yours; or hierarchy or sds."""
    sds: DeclaredSdsSecret | None = None
    """A validation context of an SDS server of yours; or hierarchy or file."""
    public_roots: Annotated[bool, Strict()] = False
    """`true`: the public CAs, as Envoy's image has them, for hosts outside the mesh; or one of the others."""
    trust_domains: tuple[str, ...] = Field(
        default=(), examples=[["partner.example"]], json_schema_extra={"uniqueItems": True}
    )
    """Foreign trust domains, by name: each speaks for its own SPIFFE IDs alone; beside hierarchy, or without one."""

    @property
    def source(self) -> TlsTrust:
        """Where its roots come from, as proxies have it, without the mesh's trust domain; empty believes everybody."""
        if self.trust_domains:
            return FederatedTrust(self.hierarchy, "", self.trust_domains)
        if self.public_roots:
            return PublicRoots(PUBLIC_ROOTS)
        if self.file:
            return TrustFile(self.file.certificate_chain)
        return SdsSecret(self.sds.secret_name) if self.sds else self.hierarchy


class SubjectAlternativeNames(Part):
    """The rule for the names in a peer's certificate."""

    match: SanMatch
    """The names."""


class Validation(Part):
    """How a peer's certificate is checked."""

    trust: Trust
    """Whose signature is believed."""
    subject_alternative_names: SubjectAlternativeNames | None = None
    """Left out: every name that the hierarchy has signed is accepted."""

    @property
    def names(self) -> tuple[AcceptedName, ...]:
        """The accepted names; empty accepts any."""
        return tuple(name for _, name in self.placed_names(""))

    def placed_names(self, place: str) -> Iterator[tuple[str, AcceptedName]]:
        """The accepted names, each with its place in the file; ``place`` is the validation's own."""
        if self.subject_alternative_names:
            for where, name in self.subject_alternative_names.match.placed():
                yield f"{place}.subject_alternative_names.match.{where}", name


class DeclaredListenerTls(Part, title="ListenerTls"):
    """A listener's TLS."""

    mode: TlsMode = TlsMode.STRICT
    """STRICT: TLS only; PERMISSIVE: TLS and plain text; DISABLED: plain text only."""
    certificate: DeclaredCertificate | None = None
    """What the listener presents; needed unless the mode is DISABLED."""
    validation: Validation | None = None
    """How clients' certificates are checked: mutual TLS. Left out: one-way TLS, clients stay anonymous."""


class ClientTls(Part):
    """TLS towards a backend."""

    certificate: DeclaredCertificate | None = None
    """What the proxy presents; needed if the backend's listener has a validation."""
    validation: Validation
    """How the backend's certificate is checked."""
    ports: tuple[Port, ...] = Field(default=(), examples=[[9443]])
    """Ports of backends for which this holds; left out: all. For others, the backend's listener decides."""
    enforce: Annotated[bool, Strict()] = True
    """`true`: TLS or nothing. `false`: plain text, if that is all that the backend's listener speaks."""


class ClientPolicy(Part):
    """How a backend is called."""

    tls: ClientTls | None = None
    """Left out: as the backend's listener asks for it: over TLS if it speaks TLS and wants no client certificate."""


NOT_AUTHENTICATED = ClientTls(validation=Validation(trust=Trust()))
"""TLS that believes every certificate; no file can say it, but App Mesh calls some listeners so."""


class BackendDefaults(Part):
    """What holds for backends without a client_policy of their own."""

    client_policy: ClientPolicy = ClientPolicy()
    """How they are called."""


class DeclaredBackend(Part, title="Backend"):
    """A virtual node or virtual service that a proxy calls: exactly one of them."""

    virtual_node: str = Field(default="", examples=["colorteller"])
    """Name of the virtual node; or virtual_service."""
    virtual_service: str = Field(default="", examples=["color.mtls.svc.cluster.local"])
    """Name of the virtual service; or virtual_node."""
    client_policy: ClientPolicy | None = None
    """Left out: the one in backend_defaults."""
    timeout: DeclaredTimeouts = DeclaredTimeouts()
    """How long requests to it may take."""


class NodeBackend(DeclaredBackend):
    """A virtual node or virtual service that the application of a virtual node calls: exactly one of them."""

    local_port: Port | None = Field(default=None, examples=[15100])
    """Port of a listener on loopback that leads to this backend alone; the only way for `tcp`."""


class EgressListener(Part):
    """The listener on loopback through which the application reaches its HTTP backends, by the host it names."""

    port: Port = 15001
    """TCP port on loopback."""


class GatewayListener(Part):
    """A listener of a virtual gateway."""

    port_mapping: GatewayPort
    """Where it listens."""
    tls: DeclaredListenerTls | None = None
    """Left out: plain text."""
    timeout: DeclaredTimeouts = DeclaredTimeouts()
    """How long requests may take, by the protocol of the node they are for."""


class NodeListener(Part):
    """The listener of a virtual node; it leads to the application in the same task."""

    port_mapping: NodePort
    """Where it listens."""
    tls: DeclaredListenerTls | None = None
    """Left out: plain text."""
    connection_pool: DeclaredConnectionPool | None = None
    """How much reaches the application of one task at once. Left out: any number."""
    outlier_detection: DeclaredOutlierDetection | None = None
    """When callers leave a task out because of what it answers. Left out: only if it accepts no connection."""
    health_check: ListenerHealthCheck | None = None
    """How each caller asks each task. Left out: not at all; callers go by connections, and ECS by the application's."""
    permissive_from: tuple[OutsideClients, ...] = ()
    """With mode PERMISSIVE: clients outside the mesh that the security group admits meanwhile, in plain text too."""
    allow: tuple[DeclaredAllowRule, ...] = Field(default=(), min_length=1)
    """With mode STRICT and a validation: which callers may make which requests. Left out: each may make all."""
    timeout: DeclaredTimeouts = DeclaredTimeouts()
    """How long requests may take, for every caller."""


class RouteMatch(Part):
    """Which requests a route takes."""

    prefix: str = Field(examples=["/"], json_schema_extra={"pattern": "^/"})
    """Path prefix; the longest one wins."""


class DeclaredRoute(Part, title="Route"):
    """Where requests go."""

    match: RouteMatch
    """Which requests."""
    virtual_node: str = Field(examples=["colorteller"])
    """One of the gateway's backends."""
    timeout: DeclaredTimeouts = DeclaredTimeouts()
    """How long its requests may take."""


class VirtualGateway(Part):
    """A proxy that lets clients into the mesh."""

    listeners: tuple[GatewayListener, ...] = Field(min_length=1)
    """Where clients connect."""
    backend_defaults: BackendDefaults = BackendDefaults()
    """What holds for backends without a client_policy."""
    backends: tuple[DeclaredBackend, ...] = ()
    """The virtual nodes and services it may call; those that its gateway routes name need no entry."""
    routes: tuple[DeclaredRoute, ...] = ()
    """Which virtual node answers which path; or gateway_routes."""
    gateway_routes: tuple[GatewayRoute, ...] = ()
    """Which virtual service answers which requests; the order in the file means nothing."""

    logging: Logging = Logging()
    """What it logs beside refused peers."""

    def client_tls(self, backend: DeclaredBackend) -> ClientTls | None:
        """What the file says of TLS towards a backend, ``backend_defaults`` applied; None says nothing."""
        return (backend.client_policy or self.backend_defaults.client_policy).tls


class VirtualNode(Part):
    """A proxy in front of one application."""

    listeners: tuple[NodeListener, ...] = Field(default=(), json_schema_extra={"maxItems": 1})
    """Where the mesh reaches it: exactly one listener; a job's has none."""
    service_discovery: ServiceDiscovery | None = None
    """Left out: by Cloud Map's API. With `dns` and without a service that runs it, it is a host outside the mesh."""
    backend_defaults: BackendDefaults = BackendDefaults()
    """What holds for backends without a client_policy."""
    backends: tuple[NodeBackend, ...] = ()
    """The virtual nodes and services that its application may call."""
    egress_listener: EgressListener = EgressListener()
    """Where the application reaches its HTTP backends; `local_port` of a backend is the other way."""

    logging: Logging = Logging()
    """What it logs beside refused peers."""

    def client_tls(self, backend: DeclaredBackend) -> ClientTls | None:
        """What the file says of TLS towards a backend, ``backend_defaults`` applied; None says nothing."""
        return (backend.client_policy or self.backend_defaults.client_policy).tls
