"""The proxies of the mesh file: what virtual nodes and virtual gateways are called, where they listen and are found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshcert.appmesh.converting.definitions import part, parts, text
from meshcert.appmesh.converting.naming import Names, answer_of, fitting, is_name
from meshcert.appmesh.report import Fate
from meshcert.appmesh.resources import ResourceKind, Unset, derived
from meshcert.contract.container import ADMIN_PORT, READINESS_PORT, WAYS_IN_PORT
from meshcert.mesh.host_policies import ResponseType
from meshcert.mesh.mesh import LONGEST_MESH_NAME
from meshcert.mesh.proxies import EgressListener

if TYPE_CHECKING:
    from meshcert.appmesh.converting.definitions import Defined, Definitions
    from meshcert.appmesh.converting.draft import Draft

_ASIDE, _LAST_PORT = 10_000, 65_535
_OUTGOING = range(32_768, 61_000)
"""Where Linux takes ports for outgoing connections (ip(7), ip_local_port_range): a listener may find its own taken."""
_OURS = {ADMIN_PORT, READINESS_PORT, WAYS_IN_PORT, EgressListener().port}
_CLIENT_PORTS = (9443, 8080)
"""Envoy's and the application's, of a virtual node that nobody calls."""
_PRIVATE = (".local", ".internal", ".lan", ".mesh", ".private", ".cluster")
"""Ends of hosts that only a network of one's own can have."""


@dataclass
class Proxy:
    """
    A virtual node or a virtual gateway.

    Args:
        defined: As App Mesh had it.
        key: Its name in the mesh file.
        service: The service that runs it; empty if it runs elsewhere.
        found_at: The name by which App Mesh's callers found it; empty if it had none.
        host: The name by which callers find it now.
        port: Where its first listener listens now.
    """

    defined: Defined
    key: str
    service: str = ""
    found_at: str = ""
    host: str = ""
    port: int | Unset = 0

    @property
    def name(self) -> str:
        """Its name in App Mesh."""
        return self.defined.resource.name

    @property
    def is_gateway(self) -> bool:
        """True for a virtual gateway."""
        return self.defined.resource.kind is ResourceKind.VIRTUAL_GATEWAY

    @property
    def place(self) -> str:
        """Where it stands in the mesh file."""
        return f"{'virtual_gateways' if self.is_gateway else 'virtual_nodes'}.{self.key}"

    @property
    def listeners(self) -> list[dict[str, Any]]:
        """Its listeners, in App Mesh's words."""
        return parts(self.defined.spec, "listeners")

    @property
    def listener(self) -> dict[str, Any]:
        """Its first listener; empty if it has none."""
        return next(iter(self.listeners), {})

    @property
    def protocol(self) -> str:
        """What its first listener speaks."""
        return text(part(self.listener, "portMapping"), "protocol") or "http"

    @property
    def old_port(self) -> int | Unset:
        """Where its first listener listened in App Mesh; 0 if it had none."""
        port: int | Unset = part(self.listener, "portMapping").get("port", 0)
        return port


@dataclass(frozen=True)
class Proxies:
    """The virtual nodes and gateways, by their names in App Mesh."""

    nodes: dict[str, Proxy]
    gateways: dict[str, Proxy]

    @property
    def all(self) -> tuple[Proxy, ...]:
        """Gateways first."""
        return (*self.gateways.values(), *self.nodes.values())


def lay_out_proxies(definitions: Definitions, draft: Draft) -> Proxies:
    """Name the mesh and its proxies, and give each its service and its port."""
    nodes, gateways = definitions.of(ResourceKind.VIRTUAL_NODE), definitions.of(ResourceKind.VIRTUAL_GATEWAY)
    namespace = _name_mesh(definitions, [discovery_name(node.spec) for node in nodes.values()], draft)
    node_names, gateway_names = Names("virtual_nodes", draft.report), Names("virtual_gateways", draft.report)
    services = Names("services", draft.report)
    found = Proxies({}, {})
    for name, defined in gateways.items():
        gateway = Proxy(defined, gateway_names.take(name, str(defined.resource)))
        gateway.service = services.take(gateway.key, str(defined.resource), tells=False)
        gateway.host = derived(f"{gateway.service}.{namespace}", namespace)
        found.gateways[name] = gateway
    for name, defined in nodes.items():
        node = Proxy(defined, node_names.take(name, str(defined.resource)))
        node.found_at = discovery_name(defined.spec)
        _ask_for_variants(node, found, draft)
        node.port = _port_beside(node, draft)
        label, _, rest = node.found_at.partition(".")
        if _is_elsewhere(node.found_at, namespace):
            node.host = node.found_at
            draft.ask(
                node.place,
                f"{node.found_at} is outside of {namespace}, and is taken for a host that is not run here. Is it one?",
                "If it is a service of yours, remove service_discovery and add a service that runs it",
            )
        else:
            wanted = label if rest == namespace and is_name(label) else node.key
            node.service = services.take(wanted, str(defined.resource), tells=False)
            node.host = derived(f"{node.service}.{namespace}", namespace)
            if node.found_at and node.found_at != node.host:
                draft.report.tell(
                    Fate.CHANGED,
                    "service discovery",
                    "callers find it by a new name",
                    f"{node.found_at} is {node.host}",
                )
        found.nodes[name] = node
    return found


def discovery_name(spec: dict[str, Any]) -> str:
    """The name by which callers find a virtual node: its DNS name, or serviceName.namespaceName of Cloud Map."""
    discovery = part(spec, "serviceDiscovery")
    if hostname := text(part(discovery, "dns"), "hostname"):
        return hostname if isinstance(hostname, Unset) else hostname.rstrip(".").lower()
    service, namespace = (text(part(discovery, "awsCloudMap"), key) for key in ("serviceName", "namespaceName"))
    if not service or not namespace:
        return ""
    name = derived(f"{service}.{namespace}", service, namespace)
    return name if isinstance(name, Unset) else name.lower()


def outside_host(node: Proxy) -> str | dict[str, str]:
    """How a host that is not run here is found: as it was; App Mesh's default was one host of all addresses."""
    found = part(node.defined.spec, "serviceDiscovery", "dns")
    said = text(found, "responseType")
    if not found:
        return node.host
    is_known = isinstance(said, Unset) or said.upper() in set(ResponseType)
    return {"hostname": node.host, "response_type": said if is_known else ResponseType.LOADBALANCER.value}


def _name_mesh(definitions: Definitions, hosts: list[str], draft: Draft) -> str:
    """Write the head of the file; returns the namespace."""
    answers, said = draft.answers, definitions.mesh_name
    name = answers.name or (fitting(said, LONGEST_MESH_NAME) if said else "imported")
    if not said and not answers.name:
        draft.ask("mesh.name", "what is the mesh called? These files do not say", "--name NAME, or write it here")
    elif isinstance(said, Unset) and not answers.name:
        draft.ask("mesh.name", f"the mesh is called {said}: what is that?", f"--name NAME, or {answer_of(said)}")
    elif name != said and not answers.name:
        why = f"a name has lower-case letters, digits and hyphens, {LONGEST_MESH_NAME} at most"
        draft.report.tell(Fate.CHANGED, "names", why, f"mesh {said} is {name}")
    namespace = answers.namespace or _namespace(definitions, hosts)
    if not namespace:
        namespace = f"{name}.local"
        draft.ask(
            "mesh.namespace",
            "in which Cloud Map namespace are the services to be found? No service discovery here says",
            "--namespace NAME, or write it here",
        )
    about: dict[str, Any] = {"name": name, "namespace": namespace}
    if filtered := definitions.egress_filter:
        about["egress_filter"] = filtered
    draft.values |= {"schema": 1, "mesh": about}
    return namespace


def _namespace(definitions: Definitions, hosts: list[str]) -> str:
    """The namespace of most virtual nodes, else of most virtual services."""
    for names in (hosts, list(definitions.of(ResourceKind.VIRTUAL_SERVICE))):
        spaces = Counter(host.partition(".")[2] for host in names if "." in host)
        if spaces:
            most = max(spaces, key=lambda space: (spaces[space], -len(space)))
            return derived(most, *names)
    return ""


def _ask_for_variants(node: Proxy, found: Proxies, draft: Draft) -> None:
    """Ask whether two files are two states of one node: they name none, and callers find both at one name."""
    for other in found.nodes.values() if node.defined.resource.name_is_guessed else ():
        if other.found_at == node.found_at != "" and other.defined.resource.name_is_guessed:
            draft.ask(
                node.place,
                f"{node.defined.resource.place} and {other.defined.resource.place} are found at {node.found_at}: are "
                "they two states of one virtual node, and which of them holds? Both are in the file",
                "Import the other files without the one that does not hold",
            )


def _is_elsewhere(host: str, namespace: str) -> bool:
    """True for a host that is likely nobody's of this mesh: a public name outside its namespace."""
    if not host or "." not in host or isinstance(host, Unset) or host.endswith(f".{namespace}"):
        return False
    return not host.endswith(_PRIVATE) and ".svc." not in host


def _port_beside(node: Proxy, draft: Draft) -> int | Unset:
    """A port for a node's Envoy: its application keeps the one it has, and both are in one task."""
    if not node.listeners:
        draft.ask(
            node.place,
            "it has no listener, and a virtual node needs one here: it got one that nobody calls. At which port does "
            "its application listen? A task is ready when that port answers",
            "Correct application.port of its service",
        )
        return _CLIENT_PORTS[0]
    old = node.old_port
    if isinstance(old, Unset) or not old:
        return old or Unset("(port)")
    port = old + _ASIDE
    if port > _LAST_PORT or port in _OUTGOING:
        port = _ASIDE + old % _ASIDE
    while port in _OURS:
        port += 1
    return port


def application_port(node: Proxy) -> int | Unset:
    """Where a node's application listens."""
    return node.old_port or (Unset("(port)") if node.listeners else _CLIENT_PORTS[1])
