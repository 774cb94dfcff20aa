"""Virtual services, virtual routers, routes and gateway routes of the mesh file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshcert.appmesh.converting.definitions import part, parts, text, unqualified
from meshcert.appmesh.converting.naming import Names
from meshcert.appmesh.converting.retries import add_default_retries, tell_repeated_posts
from meshcert.appmesh.report import Fate
from meshcert.appmesh.resources import ResourceKind, Unset
from meshcert.mesh.reading.app_mesh_keys import snake_case

if TYPE_CHECKING:
    from meshcert.appmesh.converting.definitions import Defined, Definitions
    from meshcert.appmesh.converting.draft import Draft
    from meshcert.appmesh.converting.proxies import Proxies, Proxy

DEFAULT_PER_REQUEST_S = 15.0
"""What App Mesh cut a request after where nobody said anything: Envoy's own default (App Mesh user guide, timeouts)."""
ROUTE_KINDS = {"httpRoute": "http", "http2Route": "http2", "grpcRoute": "grpc", "tcpRoute": "tcp"}
"""A route's key, and the protocol that it is for."""
_MOST_WEIGHT = 100
_ROUND = 0.5


@dataclass
class Routing:
    """
    Who answers for what.

    Args:
        nodes_behind: By virtual service: the virtual nodes that may answer, in App Mesh's names, those that are known.
        targets: By virtual router: the virtual nodes that its routes lead to.
    """

    nodes_behind: dict[str, list[Proxy]] = field(default_factory=dict)
    targets: dict[str, list[Proxy]] = field(default_factory=dict)


def convert_routing(definitions: Definitions, proxies: Proxies, draft: Draft) -> Routing:
    """Write virtual services and routers; returns who answers for which virtual service."""
    routing, routers = Routing(), _Routers(definitions, proxies, draft)
    written = {
        name: routers.convert(name, defined, routing)
        for name, defined in definitions.of(ResourceKind.VIRTUAL_ROUTER).items()
    }
    services: dict[str, Any] = {}
    for name, defined in definitions.of(ResourceKind.VIRTUAL_SERVICE).items():
        provider = part(defined.spec, "provider")
        node = text(part(provider, "virtualNode"), "virtualNodeName")
        router = text(part(provider, "virtualRouter"), "virtualRouterName")
        if node:
            known = definitions.find(ResourceKind.VIRTUAL_NODE, node)
            services[name] = {"provider": {"virtual_node": proxies.nodes[known].key if known else unqualified(node)}}
            routing.nodes_behind[name] = [proxies.nodes[known]] if known else []
            if not known:
                _ask_for(draft, ResourceKind.VIRTUAL_NODE, node, f"virtual_services.{name}.provider.virtual_node")
        elif router:
            known = definitions.find(ResourceKind.VIRTUAL_ROUTER, router)
            services[name] = {"provider": {"virtual_router": routers.keys[known] if known else unqualified(router)}}
            routing.nodes_behind[name] = routing.targets[known] if known else []
            if not known:
                _ask_for(draft, ResourceKind.VIRTUAL_ROUTER, router, f"virtual_services.{name}.provider.virtual_router")
        else:
            draft.report.tell(
                Fate.LOST,
                "virtual service without provider",
                "nobody answered for it, and callers got 503: it is not in the mesh file",
                str(defined.resource),
            )
    if services:
        draft.values["virtual_services"] = services
    if written:
        draft.values["virtual_routers"] = {routers.keys[name]: router for name, router in written.items()}
    return routing


def _ask_for(draft: Draft, kind: ResourceKind, name: str, place: str) -> None:
    if not isinstance(name, Unset):
        draft.ask(
            place, f"the {kind.words} {unqualified(name)} is not in these files: what is it?", "Import its file too"
        )


class _Routers:
    def __init__(self, definitions: Definitions, proxies: Proxies, draft: Draft) -> None:
        names = Names("virtual_routers", draft.report)
        self._definitions, self._proxies, self._draft = definitions, proxies, draft
        self.keys = {
            name: names.take(name, str(defined.resource))
            for name, defined in definitions.of(ResourceKind.VIRTUAL_ROUTER).items()
        }

    def convert(self, name: str, defined: Defined, routing: Routing) -> dict[str, Any]:
        """A virtual router with its routes."""
        place = f"virtual_routers.{self.keys[name]}"
        found = self._definitions.children(ResourceKind.ROUTE, name)
        if not found:
            self._draft.ask(
                place, "none of these files has a route of it: where do its requests go?", "Import its routes with it"
            )
        targets: dict[str, Proxy] = {}
        routes = [self._route(route, f"{place}.routes[{index}]", targets) for index, route in enumerate(found)]
        routing.targets[name] = list(targets.values())
        listeners = snaked(parts(defined.spec, "listeners"))
        if not listeners:
            listeners = self._listeners(routing.targets[name], found)
            self._draft.report.tell(
                Fate.CHANGED,
                "virtual router without listeners",
                "it gets the port and protocol of a virtual node that its routes lead to",
                str(defined.resource),
            )
        return {"listeners": listeners, "routes": routes}

    @staticmethod
    def _listeners(targets: list[Proxy], routes: list[Defined]) -> list[dict[str, Any]]:
        protocols = [protocol for route in routes for kind, protocol in ROUTE_KINDS.items() if kind in route.spec]
        port = next((node.old_port for node in targets if node.old_port), 8080)
        return [{"port_mapping": {"port": port, "protocol": next(iter(protocols), "http")}}]

    def _route(self, route: Defined, place: str, targets: dict[str, Proxy]) -> dict[str, Any]:
        written: dict[str, Any] = {
            "name": route.resource.name,
            **snaked({k: v for k, v in route.spec.items() if k == "priority"}),
        }
        kinds = [kind for kind in ROUTE_KINDS if kind in route.spec]
        if len(kinds) != 1:
            one_of = ", ".join(ROUTE_KINDS)
            self._draft.ask(place, f"it has {len(kinds)} of {one_of}, and one is needed: which?", "Correct its file")
        for kind in kinds[:1]:
            spec = route.spec[kind]
            inner = snaked(spec)
            if kind not in {"grpcRoute", "tcpRoute"}:
                inner.setdefault("match", {})
            inner["action"] = {"weighted_targets": self._targets(spec, place, targets)}
            if kind != "tcpRoute":
                self._say_timeout(inner, place)
                add_default_retries(kind, inner, self._draft, str(route.resource))
                tell_repeated_posts(inner, self._draft, str(route.resource))
            written[snake_case(kind)] = inner
        return written

    def _say_timeout(self, inner: dict[str, Any], place: str) -> None:
        timeout = inner.setdefault("timeout", {})
        if "per_request" not in timeout:
            timeout["per_request"] = DEFAULT_PER_REQUEST_S
            tell_default_timeout(self._draft, place)

    def _targets(self, spec: dict[str, Any], place: str, known: dict[str, Proxy]) -> list[dict[str, Any]]:
        written = []
        weighted = parts(part(spec, "action"), "weightedTargets")
        weights = [target.get("weight", 1) for target in weighted]
        whole = sum(weight for weight in weights if isinstance(weight, int))
        if whole > _MOST_WEIGHT:
            self._draft.report.tell(
                Fate.CHANGED, "weights", f"weights add up to {_MOST_WEIGHT} at most: their shares stay", place
            )
        if weighted and not whole and not any(isinstance(weight, Unset) for weight in weights):
            self._draft.ask(place, "all its weights are 0: who answers?", "Write a weight of more than 0")
        for index, (target, weight) in enumerate(zip(weighted, weights, strict=True)):
            name = text(target, "virtualNode")
            found = self._definitions.find(ResourceKind.VIRTUAL_NODE, name)
            share = weight
            if isinstance(weight, int) and whole > _MOST_WEIGHT:
                share = max(int(weight * _MOST_WEIGHT / whole), 1 if weight else 0)
            entry: dict[str, Any] = {"virtual_node": unqualified(name), "weight": share}
            if found:
                node = self._proxies.nodes[found]
                known[found] = node
                entry["virtual_node"] = node.key
                if "port" in target:
                    entry["port"] = node.port if target["port"] == node.old_port else target["port"]
            else:
                _ask_for(self._draft, ResourceKind.VIRTUAL_NODE, name, f"{place}.targets[{index}]")
            written.append(entry)
        return written


def convert_gateway_routes(
    definitions: Definitions, gateway: Proxy, routing: Routing, draft: Draft
) -> tuple[list[dict[str, Any]], list[str]]:
    """The gateway routes of a virtual gateway, and the virtual services that they lead to, each once."""
    written: list[dict[str, Any]] = []
    services: dict[str, None] = {}
    for index, route in enumerate(definitions.children(ResourceKind.GATEWAY_ROUTE, gateway.name)):
        place = f"{gateway.place}.gateway_routes[{index}]"
        entry: dict[str, Any] = {
            "name": route.resource.name,
            **snaked({k: v for k, v in route.spec.items() if k == "priority"}),
        }
        kinds = [kind for kind in ROUTE_KINDS if kind in route.spec]
        if len(kinds) != 1:
            draft.ask(
                place,
                f"it has {len(kinds)} of {', '.join(list(ROUTE_KINDS)[:3])}, and one is needed",
                "Correct its file",
            )
        for kind in kinds[:1]:
            inner = snaked(route.spec[kind])
            target = part(route.spec[kind], "action", "target")
            name = text(part(target, "virtualService"), "virtualServiceName")
            found = definitions.find(ResourceKind.VIRTUAL_SERVICE, name)
            if not found:
                _ask_for(draft, ResourceKind.VIRTUAL_SERVICE, name, f"{place}.{snake_case(kind)}.action.target")
            services[found or unqualified(name)] = None
            provider = part(definitions.of(ResourceKind.VIRTUAL_SERVICE)[found].spec, "provider") if found else {}
            port = target.get("port")
            if "virtualNode" in provider:
                port = next((one.port for one in routing.nodes_behind[found or ""] if one.old_port == port), port)
            action = inner.setdefault("action", {})
            action["target"] = {"virtual_service": found or unqualified(name)} | ({"port": port} if port else {})
            inner.setdefault("match", {})
            entry[snake_case(kind)] = {"match": inner.pop("match"), **inner}
        written.append(entry)
    return written, list(services)


def tell_default_timeout(draft: Draft, place: str) -> None:
    """Tell that a default of App Mesh now stands in the file."""
    draft.report.tell(
        Fate.CHANGED,
        "default timeout",
        f"App Mesh cut a request after {DEFAULT_PER_REQUEST_S:g} s at both ends if nobody said otherwise; that is "
        "written out. meshcert itself has no such limit: remove it where it was never meant",
        place,
    )


def snaked(value: Any) -> Any:
    """A part of a specification with its keys in the mesh file's spelling."""
    if isinstance(value, dict):
        return {snake_case(key): snaked(inner) for key, inner in value.items()}
    return [snaked(item) for item in value] if isinstance(value, list) else value
