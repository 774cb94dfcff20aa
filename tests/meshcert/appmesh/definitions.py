"""Definitions of App Mesh in the manner of its public examples, as values of the AWS CLI's JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from meshcert.appmesh.converting.draft import Answers
from meshcert.appmesh.importing import import_sources

if TYPE_CHECKING:
    from pathlib import Path

    from meshcert.appmesh.importing import Imported

IMAGE = "registry.example.com/color:4"
ANSWERED = Answers(images={"": IMAGE}, default_retries=False)
"""What no definition of App Mesh says."""


def seconds(value: int) -> dict[str, Any]:
    """A duration."""
    return {"unit": "s", "value": value}


def node(name: str, port: int = 8080, protocol: str = "http", **more: Any) -> dict[str, Any]:
    """A virtual node, found at NAME.color.local; ``listener`` is more of its listener."""
    listener = {"portMapping": {"port": port, "protocol": protocol}, **more.pop("listener", {})}
    discovery = {"dns": {"hostname": f"{name}.color.local"}}
    return {
        "meshName": "color",
        "virtualNodeName": name,
        "spec": {"listeners": [listener], "serviceDiscovery": discovery, **more},
    }


def calls(*services: str, **policies: Any) -> list[dict[str, Any]]:
    """Backends; a keyword is a service of color.local with its client policy."""
    return [
        *({"virtualService": {"virtualServiceName": service}} for service in services),
        *(
            {"virtualService": {"virtualServiceName": f"{service}.color.local", "clientPolicy": policy}}
            for service, policy in policies.items()
        ),
    ]


def service(name: str, *, router: str = "", node: str = "") -> dict[str, Any]:
    """A virtual service whose provider is a router or a node."""
    provider = (
        {"virtualRouter": {"virtualRouterName": router}} if router else {"virtualNode": {"virtualNodeName": node}}
    )
    return {"meshName": "color", "virtualServiceName": name, "spec": {"provider": provider}}


def router(name: str, port: int = 8080, protocol: str = "http") -> dict[str, Any]:
    """A virtual router."""
    spec = {"listeners": [{"portMapping": {"port": port, "protocol": protocol}}]}
    return {"meshName": "color", "virtualRouterName": name, "spec": spec}


def route(name: str, of: str, targets: dict[str, int], kind: str = "httpRoute", **more: Any) -> dict[str, Any]:
    """A route of a router; ``priority`` is the route's, all else its kind's."""
    weighted = [{"virtualNode": target, "weight": weight} for target, weight in targets.items()]
    priority = {"priority": more.pop("priority")} if "priority" in more else {}
    match = {} if kind in {"tcpRoute", "grpcRoute"} else {"match": {"prefix": "/"}}
    spec = {**priority, kind: {**match, "action": {"weightedTargets": weighted}, **more}}
    return {"meshName": "color", "virtualRouterName": of, "routeName": name, "spec": spec}


def color() -> dict[str, dict[str, Any]]:
    """A front that calls blue, green by header; every value that App Mesh's definitions can give is given."""
    return {
        "mesh": {"meshName": "color", "spec": {"egressFilter": {"type": "DROP_ALL"}}},
        "front": node("front", backends=calls("color.color.local")),
        "blue": node("blue"),
        "green": node("green"),
        "color": service("color.color.local", router="colors"),
        "colors": router("colors"),
        "by-header": route(
            "by-header",
            "colors",
            {"green": 1},
            priority=1,
            match={"prefix": "/", "headers": [{"name": "x-color", "match": {"exact": "green"}}]},
        ),
        "rest": route("rest", "colors", {"blue": 90, "green": 10}),
        "gateway": {
            "meshName": "color",
            "virtualGatewayName": "gateway",
            "spec": {"listeners": [{"portMapping": {"port": 8443, "protocol": "http"}}]},
        },
        "way-in": {
            "meshName": "color",
            "virtualGatewayName": "gateway",
            "gatewayRouteName": "way-in",
            "spec": {
                "httpRoute": {
                    "match": {"prefix": "/"},
                    "action": {"target": {"virtualService": {"virtualServiceName": "front.color.local"}}},
                }
            },
        },
        "front-service": service("front.color.local", node="front"),
    }


def write(folder: Path, documents: dict[str, Any]) -> Path:
    """Write each document into a file of its name."""
    folder.mkdir(exist_ok=True)
    for name, document in documents.items():
        text = document if isinstance(document, str) else json.dumps(document)
        (folder / (name if "." in name else f"{name}.json")).write_text(text)
    return folder


def imported(folder: Path, documents: dict[str, Any], answers: Answers = ANSWERED) -> Imported:
    """What comes of some documents."""
    return import_sources([write(folder, documents)], answers)
