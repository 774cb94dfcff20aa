"""Mesh files drawn at random: structurally right, with any trust, any names and any calls."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

HIERARCHIES = ("edge", "inner", "other")
NAMES = tuple(f"{label}.shop.internal" for label in ("a", "b", "c", "d"))


@st.composite
def meshes(draw: st.DrawFn) -> dict[str, Any]:
    """A mesh file's values: one or two gateways, one to three nodes, and clients outside."""
    identities = {
        f"identity{number}": {
            "hierarchy": draw(st.sampled_from(HIERARCHIES)),
            "dns_names": draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True)),
            "key_algorithm": "EC_prime256v1",
        }
        for number in range(draw(st.integers(2, 6)))
    }
    nodes = {f"node{number}": _node(draw, list(identities)) for number in range(draw(st.integers(1, 3)))}
    gateways = {f"gateway{n}": _gateway(draw, list(identities), list(nodes)) for n in range(draw(st.integers(1, 2)))}
    application = {"image": "examples/color/colorteller", "port": 8080}
    return {
        "schema": 1,
        "mesh": {"name": "shop", "namespace": "shop.internal"},
        "hierarchies": {
            name: {
                "tiers": 1,
                "key_algorithm": "EC_prime256v1",
                "also_trust": draw(
                    st.lists(st.sampled_from([each for each in HIERARCHIES if each != name]), max_size=1)
                ),
            }
            for name in HIERARCHIES
        },
        "identities": identities,
        "virtual_gateways": gateways,
        "virtual_nodes": nodes,
        "services": {
            **{name: {"virtual_gateway": name, "desired_count": draw(st.integers(0, 2))} for name in gateways},
            **{name: {"virtual_node": name, "application": application} for name in nodes},
        },
    }


def _validation(draw: st.DrawFn) -> dict[str, Any]:
    rule: dict[str, Any] = {"trust": {"hierarchy": draw(st.sampled_from(HIERARCHIES))}}
    names = draw(st.lists(st.sampled_from(NAMES), max_size=2, unique=True))
    if names:
        rule["subject_alternative_names"] = {"match": {"exact": names}}
    return rule


def _listener(draw: st.DrawFn, port: int, identities: list[str]) -> dict[str, Any]:
    listener: dict[str, Any] = {"port_mapping": {"port": port, "protocol": "http"}}
    mode = draw(st.sampled_from(["STRICT", "PERMISSIVE", "DISABLED", ""]))
    if mode:
        listener["tls"] = {"mode": mode, "certificate": {"identity": draw(st.sampled_from(identities))}}
        if mode != "DISABLED" and draw(st.booleans()):
            listener["tls"]["validation"] = _validation(draw)
    return listener


def _node(draw: st.DrawFn, identities: list[str]) -> dict[str, Any]:
    return {"listeners": [_listener(draw, 9443, identities)]}


def _gateway(draw: st.DrawFn, identities: list[str], nodes: list[str]) -> dict[str, Any]:
    called = draw(st.lists(st.sampled_from(nodes), min_size=1, unique=True))
    backends = []
    for node in called:
        backend: dict[str, Any] = {"virtual_node": node}
        if draw(st.booleans()):
            tls: dict[str, Any] = {"validation": _validation(draw)}
            if draw(st.booleans()):
                tls["certificate"] = {"identity": draw(st.sampled_from(identities))}
            backend["client_policy"] = {"tls": tls}
        backends.append(backend)
    return {
        "listeners": [_listener(draw, 8443 + number, identities) for number in range(draw(st.integers(1, 2)))],
        "backends": backends,
        "routes": [{"match": {"prefix": f"/{node}"}, "virtual_node": node} for node in called],
    }
