"""Routes of the mesh file in a proxy's settings: limits, targets, ways out, and the text that stays as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest

from meshcert.envoy import Addresses, bootstrap
from meshcert.mesh import proxy_settings
from meshcert.proxy import ProxySettings, Route
from meshcert.routes import Conditions, HeaderCondition, MatchKind, Retries, Target
from meshcert.timeouts import Timeouts
from tests.meshcert.mesh.routed_meshes import SERVICE, entry, header, mesh_values, read, route

ADDRESSES = Addresses("/run/meshcert/secrets")
POLICY = {"max_retries": 2, "per_retry_timeout": 1.5, "tcp_retry_events": ["connection-error"]}


def _settings(values: dict[str, Any], service: str) -> ProxySettings:
    settings = proxy_settings(read(values), service)
    assert ProxySettings.from_json(settings.to_json()) == settings
    return settings


def test_an_application_reaches_a_router_by_its_routes() -> None:
    """In the order in which they are asked, with everything that they say."""
    values = mesh_values(
        [
            route("rest", {"green": 90, "red": 10, "gray": 0}, prefix="/"),
            route("blue", "blue", prefix="/", headers=[header("X-Color", exact="blue")], retry_policy=POLICY),
        ]
    )
    values["virtual_nodes"]["gray"]["backends"] = [{"virtual_service": SERVICE}]

    (way,) = _settings(values, "gray").ways_out

    assert way.hosts == (SERVICE, "color")
    assert way.routes == (
        Route(
            "/",
            "blue",
            conditions=Conditions(headers=(HeaderCondition("x-color", MatchKind.EXACT, "blue"),)),
            retries=Retries(2, 1.5, ("connection-error",)),
        ),
        Route("/", "", Timeouts(0.0, 300.0, 0.0), targets=(Target("green", 90), Target("red", 10))),
    )


def test_a_short_route_has_the_text_that_it_always_had() -> None:
    """Another text would be another task definition, and new tasks for nothing."""
    settings = _settings(
        mesh_values(gateway_routes=[entry("all", "blue.local", prefix="/")], services={"blue.local": "blue"}), "edge"
    )

    short = settings._replace(routes=(Route("/", "blue", Timeouts(idle_s=5.0)),))

    assert json.loads(short.to_json())["routes"] == [{"prefix": "/", "backend": "blue", "timeouts": {"idle_s": 5.0}}]


def test_a_gateway_route_is_never_short_so_nothing_sorts_it_anew() -> None:
    """Short routes are sorted by their prefixes, and a gateway route may end where another goes on."""
    values = mesh_values(gateway_routes=[entry("all", "blue.local", prefix="/")], services={"blue.local": "blue"})

    assert not any(route.is_short for route in _settings(values, "edge").routes)


@pytest.mark.parametrize(
    ("route_s", "backend_s", "listeners_s", "expected"),
    [
        (None, None, {}, 0.0),
        (None, None, {"blue": 3}, 0.0),
        (None, None, {"blue": 3, "green": 5}, 5.0),
        (None, 4, {"blue": 3, "green": 5}, 4),
        (2, 4, {"blue": 3, "green": 5}, 2),
        (0, 4, {"blue": 3, "green": 5}, 0),
    ],
)
def test_the_most_specific_limit_holds_and_of_several_nodes_the_longest(
    route_s: float | None, backend_s: float | None, listeners_s: dict[str, float], expected: float
) -> None:
    """Each node keeps to its own besides; a caller must not cut what a node would have answered."""
    said: dict[str, Any] = {} if route_s is None else {"timeout": {"per_request": route_s}}
    values = mesh_values([route("all", {"blue": 1, "green": 1}, prefix="/", **said)])
    backend = {} if backend_s is None else {"timeout": {"http": {"per_request": backend_s}}}
    values["virtual_nodes"]["gray"]["backends"] = [{"virtual_service": SERVICE, **backend}]
    for node, limit_s in listeners_s.items():
        values["virtual_nodes"][node]["listeners"][0]["timeout"] = {"http": {"per_request": limit_s}}

    assert _settings(values, "gray").ways_out[0].routes[0].timeouts.per_request_s == expected


def test_a_node_as_provider_has_limits_at_the_callers_side() -> None:
    """App Mesh had 15 seconds there, and no way to change them."""
    values = mesh_values(services={SERVICE: "blue"}, gateway_routes=[entry("all", SERVICE, prefix="/")])
    values["virtual_nodes"]["blue"]["listeners"][0]["timeout"] = {"http": {"per_request": 60}}

    assert _settings(values, "edge").routes[0].timeouts.per_request_s == 60


def test_weights_divide_tcp_connections() -> None:
    """And a weight of 0 is left out: Envoy refuses it."""
    values = mesh_values(
        [route("all", {"blue": 3, "green": 1, "red": 0}, "tcp_route")],
        [entry("all", "http.local", prefix="/")],
        protocol="tcp",
        services={"http.local": "web"},
    )
    values["virtual_nodes"]["web"] = {"listeners": [{"port_mapping": {"port": 8080, "protocol": "http"}}]}
    values["services"]["web"] = {"virtual_node": "web", "application": {"image": "acme/web:1", "port": 9000}}
    values["virtual_nodes"]["web"]["backends"] = [{"virtual_service": SERVICE, "local_port": 6379}]

    configuration = bootstrap(_settings(values, "web"), ADDRESSES)

    listeners = {listener["name"]: listener for listener in configuration["static_resources"]["listeners"]}
    (filtering,) = listeners["local_6379"]["filter_chains"][0]["filters"]
    assert filtering["typed_config"]["weighted_clusters"] == {
        "clusters": [{"name": "blue", "weight": 3}, {"name": "green", "weight": 1}]
    }


def test_routes_of_several_listeners_are_told_apart_by_the_port_in_the_host() -> None:
    """A port that a host does not name is 80."""
    values = mesh_values(
        [route("one", "blue", prefix="/", port=80), route("two", "red", prefix="/", port=8081)],
        [entry("all", "green.local", prefix="/")],
        services={"green.local": "green"},
    )
    values["virtual_routers"]["main"]["listeners"].append({"port_mapping": {"port": 8081, "protocol": "http"}})
    values["virtual_nodes"]["gray"]["backends"] = [{"virtual_service": SERVICE}]

    routes = _settings(values, "gray").ways_out[0].routes
    values["virtual_gateways"]["edge"]["gateway_routes"][0]["http_route"]["action"]["target"] = {
        "virtual_service": SERVICE, "port": 8081
    }  # fmt: skip

    assert {route.backend: route.conditions.port for route in routes} == {"blue": 80, "red": 8081}
    assert [(route.backend, route.conditions.port) for route in _settings(values, "edge").routes] == [("red", 8443)]
