"""The whole mesh file, and facts that follow from it."""

from __future__ import annotations

import math
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, PrivateAttr, Strict

from meshcert import naming
from meshcert.identity import IssuerName
from meshcert.mesh.applications.fetched_secrets import KMS_KEY, are_parameters
from meshcert.mesh.calls import Call, backends_of, nodes_behind
from meshcert.mesh.federation.declared import TRUST_DOMAIN_KEYS, DeclaredTrustDomain
from meshcert.mesh.federation.published import PublishedBundle
from meshcert.mesh.issuance import DeclaredIdentity, Hierarchy
from meshcert.mesh.network import NAMESPACE_ARN, NAMESPACE_ID, Cell, Network
from meshcert.mesh.part import NAME_SCHEMA, TRUST_DOMAIN_SCHEMA, EgressFilter, Part
from meshcert.mesh.proxies import NOT_AUTHENTICATED, ClientTls, Trust, Validation, VirtualGateway, VirtualNode
from meshcert.mesh.routing.routers import VirtualRouter
from meshcert.mesh.routing.virtual_services import VirtualService
from meshcert.mesh.services import (
    LONGER_POLL_INTERVALS_S,
    LOOKS_IN_A_LIFE,
    POLL_INTERVAL_S,
    Cluster,
    DeclaredService,
    Logs,
    Metrics,
)
from meshcert.mesh.stacks.shards import Member
from meshcert.proxy import RemoteNamespace, TlsMode
from meshcert.san import proves_any

if TYPE_CHECKING:
    from collections.abc import Iterator, KeysView, Mapping

    from meshcert.mesh.proxies import DeclaredBackend
    from meshcert.san import AcceptedName, San

SCHEMA = 1
LONGEST_MESH_NAME = 16
LONGEST_NAME = 20


class About(Part):
    """The mesh as a whole."""

    name: str = Field(examples=["color"], json_schema_extra={**NAME_SCHEMA, "maxLength": LONGEST_MESH_NAME})
    """Name of the mesh, at most 16 characters; stacks, secrets and roles carry it."""
    namespace: str = Field(examples=["mtls.svc.cluster.local"])
    """Cloud Map namespace; a service answers as SERVICE.NAMESPACE."""
    namespace_id: Annotated[
        str, Field(pattern=f"^({NAMESPACE_ID}|{NAMESPACE_ARN})?$", examples=["ns-0123456789abcdef"])
    ] = ""
    """Private DNS namespace of yours of this name: its id, or its ARN if another account shares it; left out: made."""
    http_name: Annotated[str, Field(max_length=1024)] = ""
    """Cloud Map's HTTP name of it, if that is another: AWS adds a suffix where a namespace of this name was first."""
    secrets_key: Annotated[
        str,
        Field(
            pattern=f"^({KMS_KEY.pattern})?$",
            examples=["arn:aws:kms:us-west-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef"],
        ),
    ] = ""
    """ARN of a KMS key of yours, of this account and region, that encrypts the mesh's secrets; left out: made."""
    trust_domain: str = Field(default="", examples=["color.example"], json_schema_extra=TRUST_DOMAIN_SCHEMA)
    """SPIFFE trust domain of its identities' `spiffe_id`; left out: no identity has one."""
    published_bundle: PublishedBundle | None = None
    """The trust domain's SPIFFE bundle, for partners that let its workloads in. Left out: nothing is published."""
    egress_filter: EgressFilter = EgressFilter.DROP_ALL
    """What an egress listener does with hosts that are no backends: `DROP_ALL` refuses, `ALLOW_ALL` passes on as is."""
    deletion_protection: Annotated[bool, Strict()] = False
    """`true`: AWS refuses to delete the mesh's tables, load balancers and stacks until a deploy says `false` again."""


_KEYS: dict[str, Any] = {"propertyNames": {**NAME_SCHEMA, "maxLength": LONGEST_NAME}}


class Mesh(Part):
    """Who signs, who is signed, what the proxies do and where they run; all mappings are in the file's order."""

    schema_version: Literal[1] = Field(alias="schema", examples=[SCHEMA])
    """Version of this format: 1."""
    about: About = Field(alias="mesh")
    """The mesh as a whole."""
    network: Network = Network()
    """The VPC the services run in."""
    cluster: Cluster = Cluster()
    """The ECS cluster the services run in."""
    logs: Logs = Logs()
    """Where the tasks' containers write."""
    metrics: Metrics | None = None
    """What Envoys count, for Prometheus. Left out: nobody outside the tasks sees it."""
    cells: dict[str, Cell] = Field(default={}, json_schema_extra=_KEYS)
    """The accounts and regions that it runs in, by name; left out: one, that of the credentials that deploy."""
    hierarchies: dict[str, Hierarchy] = Field(json_schema_extra=_KEYS)
    """The private CAs, by name."""
    identities: dict[str, DeclaredIdentity] = Field(json_schema_extra=_KEYS)
    """The certificates, by name."""
    trust_domains: dict[str, DeclaredTrustDomain] = Field(default={}, json_schema_extra=TRUST_DOMAIN_KEYS)
    """Foreign SPIFFE trust domains, by name: whose workloads a `trust` may admit, and where their bundles are."""
    virtual_gateways: dict[str, VirtualGateway] = Field(default={}, json_schema_extra=_KEYS)
    """Proxies that let clients into the mesh, by name."""
    virtual_nodes: dict[str, VirtualNode] = Field(default={}, json_schema_extra=_KEYS)
    """Proxies in front of an application, by name."""
    virtual_services: dict[str, VirtualService] = Field(default={})
    """Names that callers use, and who answers for each."""
    virtual_routers: dict[str, VirtualRouter] = Field(default={}, json_schema_extra=_KEYS)
    """Divide the requests to a virtual service among virtual nodes, by name."""
    services: dict[str, DeclaredService] = Field(json_schema_extra=_KEYS)
    """The ECS services that run the proxies, by name."""
    shards: dict[str, tuple[Member, ...]] = Field(default={}, json_schema_extra=_KEYS)
    """Parts with stacks of their own, by name: the services and identities that each names."""
    _elsewhere: dict[str, DeclaredIdentity] = PrivateAttr(default_factory=dict)
    """Identities of other cells, whose names and hierarchies peers here have to know."""

    _registrations: dict[str, tuple[str, RemoteNamespace | None]] = PrivateAttr(default_factory=dict)
    """Where the virtual nodes of other cells are registered whose namespaces are asked: here (None), or by role."""

    def part(
        self, registrations: Mapping[str, tuple[str, RemoteNamespace | None]] | None = None, **fields: Any
    ) -> Mesh:
        """
        A mesh with some sections replaced, which still knows the names of the identities that it has no more.

        Args:
            registrations: What :meth:`registration` answers for virtual nodes that another part runs; None: as here.
        """
        values = {name: getattr(self, name) for name in type(self).model_fields}
        part = Mesh.model_construct(self.model_fields_set, **values | fields)
        elsewhere = {name: each for name, each in self.identities.items() if name not in part.identities}
        known = self._registrations if registrations is None else registrations
        part._elsewhere, part._registrations = elsewhere, dict(known)  # noqa: SLF001 - of its own class
        return part

    @property
    def name(self) -> str:
        """Name of the mesh."""
        return self.about.name

    @property
    def namespace(self) -> str:
        """Cloud Map namespace of its services."""
        return self.about.namespace

    @property
    def http_name(self) -> str:
        """Cloud Map's HTTP name of the namespace, which its data API takes."""
        return self.about.http_name or self.namespace

    @property
    def namespace_owner(self) -> str:
        """Account that owns the namespace, with which Cloud Map is asked; empty if it has no ARN in the file."""
        return self.about.namespace_id.split(":")[4] if ":" in self.about.namespace_id else ""

    @property
    def cluster_name(self) -> str:
        """Name of the ECS cluster that its own services run in, whoever made it."""
        return self._cluster_name_of("")

    def _cluster_name_of(self, cell: str) -> str:
        """That of a cell's own services; of a mesh without cells, its own."""
        cluster = (self.cells[cell].cluster if cell in self.cells else None) or self.cluster
        return cluster.existing.rpartition("/")[2] or naming.cluster(self.name)

    @property
    def fetches_parameters(self) -> bool:
        """Whether ECS fetches parameters of Systems Manager for its applications."""
        applications = (service.application for service in self.services.values())
        return are_parameters(value for each in applications if each for value in each.secrets.values())

    def ecs_place(self, service: str) -> str:
        """
        Cluster and name of a service on Amazon ECS: ``CLUSTER/SERVICE``.

        Raises:
            KeyError: If there is no such service, or if it is a job, which no ECS service runs.
        """
        return self.ecs_places[service]

    @cached_property
    def ecs_places(self) -> dict[str, str]:
        """Cluster and name on Amazon ECS of every service that is no job, in the file's order."""
        places = {}
        for name, service in self.services.items():
            attached = service.attached
            if not service.is_job:
                cluster = attached.cluster_name if attached else self._cluster_name_of(service.cell)
                places[name] = f"{cluster}/{attached.service if attached else name}"
        return places

    @cached_property
    def strict_attached(self) -> dict[str, int]:
        """Attached services, no jobs, all of whose listeners insist on TLS, each with its application's own port."""
        return {
            name: service.application.port
            for name, service in self.services.items()
            if service.attached and not service.is_job and service.application
            if (node := self.virtual_nodes.get(service.virtual_node))
            and node.listeners
            and all(listener.tls and listener.tls.mode is TlsMode.STRICT for listener in node.listeners)
        }

    @property
    def sidecar_architectures(self) -> list[str | None]:
        """The CPU architectures that Envoy's image is named for: None for the deploy's, and attached services' own."""
        attached = [service.attached for service in self.services.values() if service.attached]
        named = {each.architecture.value for each in attached if each.architecture}
        return [None, *sorted(named)] if attached else []

    def cloud_map_name(self, service: str) -> str:
        """
        Name of the Cloud Map service that a service's tasks are registered in.

        Raises:
            KeyError: If there is no such service.
        """
        attached = self.services[service].attached
        return (attached and attached.cloud_map_service) or service

    def log_place(self, service: str) -> tuple[str, str]:
        """The log group that a service's containers write to, and what the names of its streams there begin with."""
        if self.logs.are_apart:
            return naming.log_group(self.name, service), ""
        return self.logs.existing_name or naming.tasks_log_group(self.name), naming.log_stream_prefix(service)

    def poll_interval_s(self, service: str) -> float:
        """Longest time between two looks of a service's tasks for a new certificate, seconds."""
        return self.services[service].poll_interval_s or self._usual_poll_interval_s

    @cached_property
    def _usual_poll_interval_s(self) -> float:
        """It goes by steps, and by nothing that changes often: another interval is new tasks for every service."""
        by_size = (seconds for services, seconds in LONGER_POLL_INTERVALS_S if len(self.services) > services)
        shortest = min((each.life.total_seconds() for each in self.identities.values()), default=math.inf)
        return max(POLL_INTERVAL_S, min(next(by_size, POLL_INTERVAL_S), shortest / LOOKS_IN_A_LIFE))

    @property
    def everyone(self) -> tuple[DeclaredIdentity, ...]:
        """The identities of the whole mesh, other cells' too."""
        return (*self.identities.values(), *self._elsewhere.values())

    @property
    def has_own_keys(self) -> bool:
        """Whether AWS Private CA issues for keys of meshcert's own in this mesh."""
        return any(identity.issuer is IssuerName.PRIVATE_CA for identity in self.identities.values())

    def service_of(self, virtual_node: str) -> str:
        """
        The service that runs a virtual node.

        Raises:
            KeyError: If no service runs it.
        """
        return self._services_of_nodes[virtual_node]

    @cached_property
    def _services_of_nodes(self) -> dict[str, str]:
        """The first service that runs each virtual node."""
        return {service.virtual_node: name for name, service in reversed(self.services.items())}

    def host(self, virtual_node: str) -> str:
        """The DNS name of a virtual node's tasks: the one it declares, or the one that Cloud Map gives its service."""
        declared = self.virtual_nodes[virtual_node].service_discovery
        if declared:
            return declared.dns.hostname
        service = self.service_of(virtual_node)
        return f"{self.cloud_map_name(service)}.{self.namespace_of(self.services[service].cell)}"

    def namespace_of(self, cell: str) -> str:
        """The Cloud Map namespace of a cell's services; of a mesh without cells, its own."""
        return self.cells[cell].namespace or self.namespace if cell in self.cells else self.namespace

    def shared_namespace_of(self, cell: str) -> str:
        """ARN of the namespace of a cell's services if the file names it so, the cell's or the mesh's; else empty."""
        whole = self.about.namespace_id if self.namespace_of(cell) == self.namespace else ""
        named = self.cells[cell].namespace_id or whole
        return named if ":" in named else ""

    def runner_of(self, virtual_node: str) -> str:
        """The service that runs a virtual node; empty if none does."""
        return self._services_of_nodes.get(virtual_node, "")

    def is_outside(self, virtual_node: str) -> bool:
        """Whether a virtual node is a host outside the mesh: DNS knows it, and no service of the file runs it."""
        node = self.virtual_nodes.get(virtual_node)
        return node is not None and node.service_discovery is not None and not self.is_run(virtual_node)

    def is_run(self, virtual_node: str) -> bool:
        """Whether a service of the file runs a virtual node."""
        return virtual_node in self._services_of_nodes

    def says_nothing_of(self, virtual_node: str) -> bool:
        """Whether a virtual node is a host outside the mesh of whose TLS the file says nothing."""
        node = self.virtual_nodes.get(virtual_node)
        return node is not None and node.listeners[0].tls is None and self.is_outside(virtual_node)

    def registration(self, virtual_node: str) -> tuple[str, RemoteNamespace | None]:
        """
        The Cloud Map service of a virtual node's tasks, and its namespace if that is another cell's.

        Returns:
            An empty name if DNS alone knows them.
        """
        if virtual_node in self._registrations:
            return self._registrations[virtual_node]
        if self.virtual_nodes[virtual_node].service_discovery:
            return "", None
        return self.cloud_map_name(self.service_of(virtual_node)), None

    def peer_names(self, identity: str) -> tuple[San, ...]:
        """
        The names of an identity that rules of its peers list. A certificate without them would be refused.

        Returns:
            The names in the identity's order; empty if no peer lists any.

        Raises:
            KeyError: If there is no such identity.
        """
        demanded = {name for _, names in self._checks.get(identity, ()) for name in names}
        return tuple(name for name in self.identities[identity].names if proves_any((name,), demanded))

    def trusted(self, hierarchy: str) -> tuple[str, ...]:
        """
        The hierarchies whose roots are in a hierarchy's trust bundle: itself first, then its ``also_trust``.

        Raises:
            KeyError: If there is no such hierarchy.
        """
        return (hierarchy, *self.hierarchies[hierarchy].also_trust)

    def accepted_names(self, hierarchy: str) -> KeysView[San]:
        """
        Every name that is accepted where a hierarchy is trusted, in the file's order.

        Raises:
            KeyError: If there is no such hierarchy.
        """
        return self._accepted_names[hierarchy].keys()

    @cached_property
    def _accepted_names(self) -> dict[str, dict[San, None]]:
        names: dict[str, dict[San, None]] = {}
        for hierarchy in self.hierarchies:
            trusted = self.trusted(hierarchy)
            accepted = (identity.names for identity in self.everyone if identity.hierarchy in trusted)
            names[hierarchy] = dict.fromkeys(name for each in accepted for name in each)
        return names

    def listed(self, hierarchy: str) -> tuple[str, ...]:
        """
        The hierarchies of :meth:`trusted` whose CAs write revocation lists.

        Raises:
            KeyError: If there is no such hierarchy.
        """
        return tuple(name for name in self.trusted(hierarchy) if self.hierarchies[name].writes_lists)

    def trusted_by_peers(self, identity: str) -> tuple[str, ...]:
        """
        The hierarchies that every peer of an identity trusts: its certificate may come from any of them.

        Returns:
            Their names; empty if no peer in the mesh checks its certificate, or only against roots of the user's.
        """
        hierarchies = (trust.hierarchy for trust, _ in self._checks.get(identity, ()))
        bundles = [self.trusted(hierarchy) for hierarchy in hierarchies if hierarchy]
        common = set(bundles[0]).intersection(*bundles[1:]) if bundles else set()
        return tuple(name for name in self.hierarchies if name in common)

    def checked_against(self, hierarchy: str) -> tuple[str, ...]:
        """The identities that some peer checks against a hierarchy's trust bundle."""
        return tuple(
            identity
            for identity in self.identities
            if any(trust.hierarchy == hierarchy for trust, _ in self._checks.get(identity, ()))
        )

    @property
    def callers(self) -> Iterator[tuple[str, VirtualGateway | VirtualNode]]:
        """Every proxy, gateways first: its place in the file, and the proxy."""
        for name, gateway in self.virtual_gateways.items():
            yield f"virtual_gateways.{name}", gateway
        for name, node in self.virtual_nodes.items():
            yield f"virtual_nodes.{name}", node

    def calls(self) -> Iterator[Call]:
        """Every call that the mesh allows, by caller in the file's order."""
        for place, proxy in self.callers:
            yield from self.calls_of(place, proxy)

    def calls_of(self, place: str, proxy: VirtualGateway | VirtualNode) -> Iterator[Call]:
        """The calls of one proxy, in the file's order; a node behind two of its backends is called twice."""
        for where, backend in backends_of(place, proxy):
            for node in self.nodes_behind(backend):
                yield Call(place, proxy, where, backend, node)

    def tls_of(self, call: Call) -> ClientTls | None:
        """
        TLS of a call; None calls in plain text.

        A policy that holds for the port decides, as in App Mesh. Where none does, the callee's listener decides: if it
        speaks TLS, it is called over TLS and checked against its hierarchy, or against nothing if its certificate comes
        from files or an SDS server of the user's. But a PERMISSIVE one with a validation is called in plain text, since
        TLS without a certificate would be refused; a STRICT one, which refuses both, gets no plain text.
        """
        declared, node = call.declared_tls, self.virtual_nodes.get(call.node)
        if node is None:
            return declared
        port, listener = node.listeners[0].port_mapping.port, node.listeners[0].tls
        terminates = listener is not None and listener.mode is not TlsMode.DISABLED
        if declared and (not declared.ports or port in declared.ports):
            return declared if declared.enforce or terminates else None
        if listener is None or not terminates or not listener.certificate:
            return None
        if listener.validation and listener.mode is TlsMode.PERMISSIVE:
            return None
        if not listener.certificate.identity:
            return NOT_AUTHENTICATED
        presented = listener.certificate.identity
        identity = self.identities.get(presented) or self._elsewhere.get(presented)
        return ClientTls(validation=Validation(trust=Trust(hierarchy=identity.hierarchy))) if identity else None

    def nodes_behind(self, backend: DeclaredBackend) -> tuple[str, ...]:
        """The virtual nodes that may answer a backend's requests, each once; they may not exist."""
        return nodes_behind(backend, self.virtual_services, self.virtual_routers)

    @cached_property
    def _checks(self) -> dict[str, list[tuple[Trust, tuple[AcceptedName, ...]]]]:
        """By identity, whom each of its peers believes about it, and the names that peer and allow rules list."""
        checks = defaultdict(list)
        for call in self.calls():
            client, node = self.tls_of(call), self.virtual_nodes.get(call.node)
            listener = node.listeners[0].tls if node else None
            if client is None or node is None or listener is None:
                continue
            if listener.certificate:
                checks[listener.certificate.identity].append((client.validation.trust, client.validation.names))
            if listener.validation and client.certificate:
                listed = (name for rule in node.listeners[0].allow for name in rule.callers.names)
                names = (*listener.validation.names, *listed)
                checks[client.certificate.identity].append((listener.validation.trust, names))
        return checks
