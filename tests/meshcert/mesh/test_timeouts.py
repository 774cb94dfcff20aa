"""Timeouts in the mesh file: which one holds, and those that could hold for nothing."""

from __future__ import annotations

from typing import Any

import pytest

from meshcert.mesh import proxy_settings, read_mesh
from meshcert.proxy import ProxySettings
from meshcert.timeouts import ProtocolTimeouts, Timeouts
from tests.meshcert.mesh.mesh_slips import BACKEND, GATEWAY, NODE, Slip, assert_found_alone, changed

ROUTE, LISTENER, ENTRANCE = f"{GATEWAY}.routes[0]", f"{NODE}.listeners[0]", f"{GATEWAY}.listeners[0]"


def _settings(service: str, *said: tuple[str, Any]) -> ProxySettings:
    reading = read_mesh(changed(*((f"{place}.timeout", {"http": limits}) for place, limits in said)))
    assert reading.mesh, reading.faults
    settings = proxy_settings(reading.mesh, service)
    assert ProxySettings.from_json(settings.to_json()) == settings
    return settings


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([], Timeouts()),
        ([(LISTENER, {"per_request": 1})], Timeouts(1)),
        ([(LISTENER, {"per_request": 1}), (BACKEND, {"per_request": 2})], Timeouts(2)),
        ([(BACKEND, {"per_request": 2}), (ROUTE, {"per_request": 3})], Timeouts(3)),
        ([(LISTENER, {"idle": 1, "stream": 9}), (BACKEND, {"per_request": 2}), (ROUTE, {"idle": 0})],
         Timeouts(2, 0, 9)),
    ],
)  # fmt: skip
def test_the_most_specific_place_that_sets_a_limit_decides_limit_by_limit(
    said: list[tuple[str, Any]], expected: Timeouts
) -> None:
    """Route, backend, the node's listener; 0 is a limit that is set."""
    assert _settings("colorgateway", *said).routes[0].timeouts == expected


def test_a_listeners_limits_are_its_own_proxys() -> None:
    """The gateway's for what no route sets, the node's for its application."""
    said = [(LISTENER, {"per_request": 1}), (ENTRANCE, {"per_request": 5})]

    assert _settings("colorgateway", *said).listeners[0].timeouts == ProtocolTimeouts(http=Timeouts(5))
    assert _settings("colorteller", *said).listeners[0].timeouts == ProtocolTimeouts(http=Timeouts(1))


@pytest.mark.parametrize("at", [ROUTE, BACKEND, LISTENER, ENTRANCE])
def test_a_limit_for_a_protocol_that_nothing_there_speaks_is_a_fault(at: str) -> None:
    """It would be believed and do nothing."""
    assert_found_alone(
        Slip(f"{at}.timeout", {"grpc": {"idle": 5}}, "nothing here speaks grpc", "under http", f"{at}.timeout.grpc")
    )


@pytest.mark.parametrize("limit", [-1, 604_801, float("inf"), float("nan")])
def test_a_limit_is_between_nothing_and_a_week(limit: float) -> None:
    """What Envoy would refuse, or nobody means."""
    place = f"{LISTENER}.timeout"
    assert_found_alone(Slip(place, {"http": {"idle": limit}}, "is not allowed", "must be", f"{place}.http.idle"))
