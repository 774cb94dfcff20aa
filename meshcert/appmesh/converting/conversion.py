"""The whole mesh file from the resources of an import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshcert.appmesh.converting.definitions import Definitions, part, parts, text
from meshcert.appmesh.converting.draft import Answers, Draft
from meshcert.appmesh.converting.policies import BackendCall, Policies
from meshcert.appmesh.converting.proxies import application_port, lay_out_proxies, outside_host
from meshcert.appmesh.converting.retries import ask_for_default_retries
from meshcert.appmesh.converting.routing import (
    DEFAULT_PER_REQUEST_S,
    convert_gateway_routes,
    convert_routing,
    snaked,
    tell_default_timeout,
)
from meshcert.appmesh.report import Fate
from meshcert.appmesh.resources import ResourceKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcert.appmesh.converting.proxies import Proxies, Proxy
    from meshcert.appmesh.converting.routing import Routing
    from meshcert.appmesh.report import ImportReport
    from meshcert.appmesh.resources import MeshResource

_FIRST_LOCAL_PORT = 15_100
_CALLS_REQUESTS = ("http", "http2")


def convert(resources: Iterable[MeshResource], answers: Answers, report: ImportReport) -> Draft:
    """
    A mesh file.

    Args:
        resources: All that was read.
        answers: What a person says besides.
        report: Gets what becomes of everything.
    """
    definitions = Definitions(resources, report)
    definitions.settle_children()
    definitions.tell_meshes()
    draft = Draft(report, answers)
    proxies = lay_out_proxies(definitions, draft)
    # In this order in the file, whatever is made first.
    for section in ("hierarchies", "identities", "virtual_gateways", "virtual_nodes"):
        draft.values[section] = {}
    routing = convert_routing(definitions, proxies, draft)
    _Conversion(definitions, proxies, routing, draft).run()
    draft.values = {key: value for key, value in draft.values.items() if value or not key.startswith("virtual_")}
    draft.ask_unset()
    return draft


class _Conversion:
    def __init__(self, definitions: Definitions, proxies: Proxies, routing: Routing, draft: Draft) -> None:
        self._definitions, self._proxies, self._routing, self._draft = definitions, proxies, routing, draft
        self._gateway_routes = {
            gateway.place: convert_gateway_routes(definitions, gateway, routing, draft)
            for gateway in proxies.gateways.values()
        }
        calls = {node.place: self._node_calls(node) for node in proxies.nodes.values()}
        for gateway in proxies.gateways.values():
            default = part(gateway.defined.spec, "backendDefaults", "clientPolicy")
            services = self._gateway_routes[gateway.place][1]
            calls[gateway.place] = [self._call(service, default, is_own=False) for service in services]
        self._calls = calls
        self._policies = Policies(proxies, calls, draft)

    def run(self) -> None:
        """Write the proxies, their identities and their services."""
        values, services = self._draft.values, {}
        for gateway in self._proxies.gateways.values():
            values["virtual_gateways"][gateway.key] = self._gateway(gateway)
            services[gateway.service] = {"virtual_gateway": gateway.key, "load_balancer": True}
        for node in self._proxies.nodes.values():
            values["virtual_nodes"][node.key] = self._node(node)
            if node.service:
                services[node.service] = self._service(node)
        self._policies.write()
        values["services"] = services

    def _node_calls(self, node: Proxy) -> list[BackendCall]:
        default = part(node.defined.spec, "backendDefaults", "clientPolicy")
        calls: dict[str, BackendCall] = {}
        for backend in parts(node.defined.spec, "backends"):
            service = part(backend, "virtualService")
            name = text(service, "virtualServiceName")
            if not name:
                continue
            is_own = "clientPolicy" in service
            call = self._call(name, part(service, "clientPolicy") if is_own else default, is_own=is_own)
            if self._is_served(call.service):
                calls.setdefault(call.service, call)
            else:
                why = "it names a virtual service that nobody answered for: it is left out"
                self._draft.report.tell(Fate.LOST, "backends", why, str(node.defined.resource))
        return list(calls.values())

    def _call(self, service: str, policy: dict[str, Any], *, is_own: bool) -> BackendCall:
        known = self._definitions.find(ResourceKind.VIRTUAL_SERVICE, service)
        return BackendCall(known or service, policy, is_own, self._routing.nodes_behind.get(known or "", []))

    def _is_served(self, service: str) -> bool:
        """False for a virtual service that is defined and has no provider."""
        return service in self._routing.nodes_behind or service not in self._definitions.of(
            ResourceKind.VIRTUAL_SERVICE
        )

    def _gateway(self, gateway: Proxy) -> dict[str, Any]:
        default, others = self._policies.backend_policies(gateway)
        listeners = []
        for listener in gateway.listeners:
            written = {"port_mapping": snaked(part(listener, "portMapping"))}
            if tls := self._policies.listener_tls(gateway, listener):
                written["tls"] = tls
            listeners.append(written)
        routes, _ = self._gateway_routes[gateway.place]
        if not routes:
            self._draft.ask(
                gateway.place,
                "none of these files has a gateway route of it: where do its requests go?",
                "Import its gateway routes with it",
            )
        if any(listener.get("tls") for listener in listeners):
            self._draft.report.tell(
                Fate.CHANGED,
                "names of gateways",
                "the definitions do not say which name its clients check: its identity has a name of the mesh. Add "
                "theirs to the identity's dns_names",
                str(gateway.defined.resource),
            )
        backends = [{"virtual_service": service, "client_policy": policy} for service, policy in others.items()]
        return {
            "listeners": listeners,
            **({"backend_defaults": {"client_policy": default}} if default is not None else {}),
            **({"backends": backends} if backends else {}),
            "gateway_routes": routes,
            **_logging(gateway),
        }

    def _node(self, node: Proxy) -> dict[str, Any]:
        written: dict[str, Any] = {"listeners": [self._node_listener(node)]}
        if len(node.listeners) > 1:
            why = (
                "a virtual node has one listener in the mesh file: the first one. Declare another node for each other "
                "port, and a service of the same image"
            )
            self._draft.report.tell(Fate.LOST, "listeners", why, str(node.defined.resource))
        if not node.service:
            written["service_discovery"] = {"dns": outside_host(node)}
        default, others = self._policies.backend_policies(node)
        if default is not None:
            written["backend_defaults"] = {"client_policy": default}
        backends = [self._backend(node, call, others) for call in self._calls[node.place]]
        self._give_local_ports(node, backends)
        if backends:
            written["backends"] = backends
        return written | _logging(node)

    def _node_listener(self, node: Proxy) -> dict[str, Any]:
        written: dict[str, Any] = {
            "port_mapping": {"port": node.port if node.service else node.old_port, "protocol": node.protocol}
        }
        if tls := self._policies.listener_tls(node, node.listener):
            written["tls"] = tls
        written |= self._host_policies(node)
        timeout = snaked(part(node.listener, "timeout"))
        for protocol in [each for each in timeout if each != node.protocol]:
            del timeout[protocol]
            why = "a timeout for a protocol that its listener does not speak limits nothing"
            self._draft.report.tell(Fate.LOST, f"listeners[].timeout.{protocol}", why, str(node.defined.resource))
        if node.protocol != "tcp" and node.listeners:
            limits = timeout.setdefault(node.protocol, {})
            if "per_request" not in limits:
                limits["per_request"] = DEFAULT_PER_REQUEST_S
                tell_default_timeout(self._draft, f"{node.place}.listeners[0]")
        if timeout:
            written["timeout"] = timeout
        return written

    def _host_policies(self, node: Proxy) -> dict[str, Any]:
        """Connection pool, outlier detection and health check of a node's listener."""
        keys = ("connectionPool", "outlierDetection", "healthCheck")
        written: dict[str, Any] = snaked({key: node.listener[key] for key in keys if node.listener.get(key)})
        check = written.get("health_check", {})
        check.pop("port", None)
        if node.protocol not in _CALLS_REQUESTS and check.pop("path", None):
            why = "a listener that speaks tcp or grpc has no path to ask for"
            self._draft.report.tell(Fate.LOST, "listeners[].healthCheck.path", why, str(node.defined.resource))
        return written

    def _backend(self, node: Proxy, call: BackendCall, policies: dict[str, dict[str, Any]]) -> dict[str, Any]:
        written: dict[str, Any] = {"virtual_service": call.service}
        if not call.callees and not self._definitions.find(ResourceKind.VIRTUAL_SERVICE, call.service):
            self._draft.report.ask(
                f"virtual service {call.service}",
                "it is not in these files: what is it?",
                str(node.defined.resource),
                "Import its file too",
            )
        if call.service in policies:
            written["client_policy"] = policies[call.service]
        callee = self._provider(call)
        if callee is None:
            return written
        limits = part(callee.listener, "timeout", callee.protocol)
        if callee.protocol != "tcp":
            if limits.get("perRequest", DEFAULT_PER_REQUEST_S) != DEFAULT_PER_REQUEST_S:
                written["timeout"] = {callee.protocol: {"per_request": DEFAULT_PER_REQUEST_S}}
                self._draft.report.tell(
                    Fate.CHANGED,
                    "timeout of a virtual service without router",
                    f"App Mesh's callers cut a request to it after {DEFAULT_PER_REQUEST_S:g} s whatever its listener "
                    "said; that is written out. Remove it from the backend, and the listener's holds",
                    f"{node.place}, {call.service}",
                )
            if self._draft.answers.default_retries is None:
                ask_for_default_retries(self._draft, f"virtual service {call.service}")
            elif self._draft.answers.default_retries:
                why = "App Mesh's default retries held without a router, and only routes have retries: give it one"
                self._draft.report.tell(Fate.LOST, "default retries", why, f"virtual service {call.service}")
        return written

    def _provider(self, call: BackendCall) -> Proxy | None:
        """The virtual node that is a virtual service's provider itself."""
        defined = self._definitions.of(ResourceKind.VIRTUAL_SERVICE).get(call.service)
        return call.callees[0] if defined and call.callees and "virtualNode" in part(defined.spec, "provider") else None

    def _give_local_ports(self, node: Proxy, backends: list[dict[str, Any]]) -> None:
        """Ports on loopback for backends that no proxy setting leads to: ``tcp`` and ``grpc``."""
        taken = {node.port, application_port(node)}
        following = _FIRST_LOCAL_PORT
        for call, backend in zip(self._calls[node.place], backends, strict=True):
            protocol, dialled = self._dialled(call)
            if protocol == "tcp" and dialled and dialled not in taken:
                port: Any = dialled
            elif protocol in {"tcp", "grpc"}:
                while following in taken:
                    following += 1
                port = following
            else:
                continue
            taken.add(port)
            backend["local_port"] = port
            why = "calls were intercepted, and now the application has to call this port of 127.0.0.1"
            self._draft.report.tell(
                Fate.CHANGED, f"calls by {protocol}", why, f"{node.place}: {call.service} at {port}"
            )

    def _dialled(self, call: BackendCall) -> tuple[str, Any]:
        """Protocol and port at which an application called a virtual service."""
        defined = self._definitions.of(ResourceKind.VIRTUAL_SERVICE).get(call.service)
        router = text(part(defined.spec, "provider", "virtualRouter"), "virtualRouterName") if defined else ""
        known = self._definitions.find(ResourceKind.VIRTUAL_ROUTER, router) if router else None
        if known:
            listeners = parts(self._definitions.of(ResourceKind.VIRTUAL_ROUTER)[known].spec, "listeners")
            mapping = part(next(iter(listeners), {}), "portMapping")
            if mapping:
                return text(mapping, "protocol"), mapping.get("port")
        callee = next(iter(call.callees), None)
        return (callee.protocol, callee.old_port) if callee else ("", 0)

    def _service(self, node: Proxy) -> dict[str, Any]:
        place = f"services.{node.service}.application"
        images = self._draft.answers.images
        image = images.get(node.name) or images.get(node.key) or images.get("")
        if not image and node.defined.resource.image:
            image = node.defined.resource.image
            why = "taken from the task definition or workload that runs it"
            self._draft.report.tell(Fate.CHANGED, "image", why, place)
        if not image:
            image = f"{node.key}:latest"
            self._draft.report.ask(
                "image",
                "which image runs behind it? App Mesh's definitions do not say",
                place,
                f"--image {node.key}=IMAGE, or --image IMAGE for all, or write it there",
            )
            self._draft.comment(place, "? which image")
        application: dict[str, Any] = {"image": image, "port": application_port(node)}
        if any(self._dialled(call)[0] in _CALLS_REQUESTS for call in self._calls[node.place]):
            application["proxy_environment"] = True
            why = "calls were intercepted, and now HTTP_PROXY leads the application's plain HTTP requests to its Envoy"
            self._draft.report.tell(Fate.CHANGED, "calls by http", why, str(node.defined.resource))
        if node.defined.resource.comment:
            self._draft.comment(f"services.{node.service}", node.defined.resource.comment)
        return {"virtual_node": node.key, "application": application}


def _logging(proxy: Proxy) -> dict[str, Any]:
    """The access log of a proxy; empty if it had none."""
    file = part(proxy.defined.spec, "logging", "accessLog", "file")
    formatted = {"format": snaked(part(file, "format"))} if "format" in file else {}
    return {"logging": {"access_log": {"file": {"path": "/dev/stdout", **formatted}}}} if file else {}
