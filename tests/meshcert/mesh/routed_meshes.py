"""Mesh files with routes, in App Mesh's words: some nodes, routers and a gateway."""

from __future__ import annotations

from typing import Any

import yaml

from meshcert.mesh import Mesh, proxy_settings, read_mesh

NODES = ("blue", "green", "red", "gray")
SERVICE = "color.mesh.local"


def route(
    name: str, to: str | dict[str, int], kind: str = "http_route", *, priority: int | None = None, **said: Any
) -> dict[str, Any]:
    """A router's route: what it says beside its targets is its match, but retry_policy and timeout."""
    weights = {to: 1} if isinstance(to, str) else to
    targets = [{"virtual_node": node, "weight": weight} for node, weight in weights.items()]
    spec: dict[str, Any] = {"action": {"weighted_targets": targets}}
    for beside in ("retry_policy", "timeout"):
        if beside in said:
            spec[beside] = said.pop(beside)
    if said or kind != "tcp_route":
        spec["match"] = said
    return {"name": name, **({} if priority is None else {"priority": priority}), kind: spec}


def entry(
    name: str, to: str, kind: str = "http_route", *, priority: int | None = None, rewrite: Any = None, **match: Any
) -> dict[str, Any]:
    """A gateway's route: what it says beside the virtual service is its match."""
    action: dict[str, Any] = {"target": {"virtual_service": to}} | ({"rewrite": rewrite} if rewrite else {})
    return {
        "name": name,
        **({} if priority is None else {"priority": priority}),
        kind: {"match": match, "action": action},
    }


def header(name: str, *, invert: bool = False, **match: Any) -> dict[str, Any]:
    """A condition for a header."""
    return {"name": name} | ({"match": match} if match else {}) | ({"invert": True} if invert else {})


def mesh_values(
    routes: list[dict[str, Any]] | None = None,
    gateway_routes: list[dict[str, Any]] | None = None,
    *,
    protocol: str = "http",
    services: dict[str, str] | None = None,
    **routers: list[dict[str, Any]],
) -> dict[str, Any]:
    """
    The values of a mesh file.

    Args:
        routes: Of the router behind ``SERVICE``.
        gateway_routes: Left out, the gateway leads everything to ``SERVICE`` as it is.
        services: Further virtual services and their nodes or routers.
        routers: The routes of further routers.
    """
    as_is = {"hostname": {"default_target_hostname": "DISABLED"}}
    every = {"main": routes or [], **routers}
    match: dict[str, Any] = {} if protocol == "grpc" else {"prefix": "/"}
    if protocol == "grpc":
        match = {"hostname": {"suffix": "e"}}
    kind = f"{protocol}_route"
    services = {SERVICE: "main"} | (services or {}) if routes else services or {}
    return {
        "schema": 1,
        "mesh": {"name": "color", "namespace": "mesh.local"},
        "hierarchies": {"own": {"tiers": 1, "key_algorithm": "EC_prime256v1", "subject": {"organization": "Own"}}},
        "identities": {},
        "virtual_gateways": {
            "edge": {
                "listeners": [{"port_mapping": {"port": 8443, "protocol": protocol if protocol != "tcp" else "http"}}],
                "gateway_routes": gateway_routes or [entry("all", SERVICE, kind, rewrite=as_is, **match)],
            }
        },
        "virtual_nodes": {
            node: {"listeners": [{"port_mapping": {"port": 8080, "protocol": protocol}}]} for node in NODES
        },
        "virtual_routers": {
            name: {"listeners": [{"port_mapping": {"port": 80, "protocol": protocol}}], "routes": its}
            for name, its in every.items()
            if its
        },
        "virtual_services": {
            name: {"provider": {"virtual_router" if to in every else "virtual_node": to}}
            for name, to in services.items()
        },
        "services": {
            "edge": {"virtual_gateway": "edge"},
            **{node: {"virtual_node": node, "application": {"image": "acme/color:1", "port": 9000}} for node in NODES},
        },
    }


def read(values: dict[str, Any]) -> Mesh:
    """The mesh of these values, which must have no fault."""
    reading = read_mesh(yaml.safe_dump(values, sort_keys=False).encode())
    assert reading.mesh, reading.faults
    return reading.mesh


def edge_routes(values: dict[str, Any]) -> tuple[Any, ...]:
    """The routes of the gateway's settings."""
    return proxy_settings(read(values), "edge").routes
