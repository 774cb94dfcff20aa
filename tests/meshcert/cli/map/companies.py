"""Mesh files of any size: services in layers that call the next ones, most over mutual TLS, some not yet."""

from __future__ import annotations

from typing import Any

_TRADES = ("orders", "billing", "stock", "users", "search", "mail", "ledger", "prices", "media", "audit-log")


def company(count: int, *, layers: int = 4) -> dict[str, Any]:
    """A mesh file's values without a fault: two gateways, and this many virtual nodes."""
    names = [f"{_TRADES[number % 10]}{number // 10 or ''}" for number in range(count)]
    layer = {name: number * layers // count for number, name in enumerate(names)}
    nodes = {name: _node(number, name) for number, name in enumerate(names)}
    for number, name in enumerate(names):
        below = [other for other in names if layer[other] == layer[name] + 1]
        if number % 9 == 4:
            below += [other for other in names if layer[other] == layer[name] + 2][:1]
        called = {below[(number * 3 + step) % len(below)]: None for step in range(1 + number % 3)} if below else {}
        nodes[name]["backends"] = [{"virtual_node": other, **_policy(nodes[other], name)} for other in called]
    first = [name for name in names if layer[name] == 0]
    gateways = {"www": first[::2], "partners": first[1::2] or first}
    application = {"image": "registry.example.com/app:1", "port": 8080, "egress": [], "drop_capabilities": True}
    return {
        "schema": 1,
        "mesh": {"name": f"company-{count}", "namespace": "company.internal"},
        "hierarchies": {"company": {"tiers": 2, "key_algorithm": "EC_prime256v1"}},
        "identities": {
            name: {
                "hierarchy": "company",
                "dns_names": [f"{name}.company.internal"],
                "key_algorithm": "EC_prime256v1",
            }
            for name in [*names, *gateways, "bank"]
        },
        "virtual_gateways": {name: _gateway(name, called, nodes) for name, called in gateways.items()},
        "virtual_nodes": nodes,
        "services": {
            **{name: {"virtual_gateway": name, "load_balancer": True} for name in gateways},
            **{name: {"virtual_node": name, "application": application} for name in names},
        },
    }


def _node(number: int, name: str) -> dict[str, Any]:
    listener: dict[str, Any] = {"port_mapping": {"port": 9443, "protocol": ("http", "http2", "grpc")[number % 3]}}
    if number % 11 != 7:
        listener["tls"] = {"mode": "PERMISSIVE" if number % 13 == 5 else "STRICT", "certificate": {"identity": name}}
        if number % 7 != 6:
            listener["tls"]["validation"] = {"trust": {"hierarchy": "company"}}
    return {"listeners": [listener]}


def _gateway(name: str, called: list[str], nodes: dict[str, Any]) -> dict[str, Any]:
    tls: dict[str, Any] = {"certificate": {"identity": name}}
    if name == "partners":
        names = {"match": {"exact": ["bank.company.internal"]}}
        tls["validation"] = {"trust": {"hierarchy": "company"}, "subject_alternative_names": names}
    return {
        "listeners": [{"port_mapping": {"port": 8443, "protocol": "http"}, "tls": tls}],
        "backends": [{"virtual_node": node, **_policy(nodes[node], name)} for node in called],
        "routes": [{"match": {"prefix": f"/{node}"}, "virtual_node": node} for node in called],
    }


def _policy(node: dict[str, Any], caller: str) -> dict[str, Any]:
    if "tls" not in node["listeners"][0]:
        return {}
    tls: dict[str, Any] = {"validation": {"trust": {"hierarchy": "company"}}}
    if "validation" in node["listeners"][0]["tls"]:
        tls["certificate"] = {"identity": caller}
    return {"client_policy": {"tls": tls}}
