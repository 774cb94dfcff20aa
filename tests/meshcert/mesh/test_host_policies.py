"""Connection pools, outlier detection and health checks: what may be said, and who gets to know it."""

from __future__ import annotations

from typing import Any

import pytest

from meshcert import host_policies
from meshcert.mesh import proxy_settings, read_mesh
from meshcert.proxy import ProxySettings
from tests.meshcert.mesh.mesh_slips import NODE, Slip, assert_found_alone, changed

LISTENER = f"{NODE}.listeners[0]"
POOL, CHECK, OUTLIERS = f"{LISTENER}.connection_pool", f"{LISTENER}.health_check", f"{LISTENER}.outlier_detection"
OUTLIER = {"max_server_errors": 5, "interval": 10.0, "base_ejection_duration": 30.0, "max_ejection_percent": 50}
HEALTH = {
    "protocol": "http",
    "healthy_threshold": 2,
    "unhealthy_threshold": 3,
    "interval_millis": 5000,
    "timeout_millis": 2000,
}
SLIPS = [
    Slip(POOL, {"tcp": {"max_connections": 1}}, "listener speaks http", "under http", f"{POOL}.tcp"),
    Slip(POOL, {}, "limits nothing", "Write http"),
    Slip(POOL, {"http": {"max_connections": 0}}, "0 is not allowed", "greater", f"{POOL}.http.max_connections"),
    Slip(CHECK, {**HEALTH, "protocol": "grpc"}, "listener speaks http", "Write http", f"{CHECK}.protocol"),
    Slip(CHECK, {**HEALTH, "path": "healthz"}, "is not a path", "/healthz", f"{CHECK}.path"),
    Slip(CHECK, {**HEALTH, "port": 8080}, "no other", "leave it out", f"{CHECK}.port"),
    Slip(CHECK, {**HEALTH, "healthy_threshold": 1}, "1 is not allowed", "2", f"{CHECK}.healthy_threshold"),
    Slip(CHECK, {**HEALTH, "interval_millis": 1000}, "1000 is not allowed", "5000", f"{CHECK}.interval_millis"),
    Slip(OUTLIERS, {**OUTLIER, "max_ejection_percent": 101}, "101", "100", f"{OUTLIERS}.max_ejection_percent"),
]


@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: f"{slip.value}"[:60])
def test_a_slip_is_found_alone_at_its_place_with_its_remedy(slip: Slip) -> None:
    """App Mesh's limits, and what would do nothing."""
    assert_found_alone(slip)


def _settings(*changes: tuple[str, Any]) -> tuple[ProxySettings, ProxySettings]:
    reading = read_mesh(changed(*changes))
    assert reading.mesh, reading.faults
    return proxy_settings(reading.mesh, "colorgateway"), proxy_settings(reading.mesh, "colorteller")


def test_a_pool_is_the_nodes_own_and_its_callers_get_the_rest() -> None:
    """And the settings say so after a journey through the task definition."""
    pool = {"http": {"max_connections": 7, "max_pending_requests": 3}}
    caller, callee = (
        ProxySettings.from_json(each.to_json())
        for each in _settings((POOL, pool), (OUTLIERS, OUTLIER), (CHECK, HEALTH))
    )
    (backend,) = caller.backends

    assert callee.connection_pool == host_policies.ConnectionPool(7, 3)
    assert caller.connection_pool == host_policies.ConnectionPool()
    assert backend.outlier_detection == host_policies.OutlierDetection(5, 10.0, 30.0, 50)
    assert backend.health_check == host_policies.HealthCheck(2, 3, 5.0, 2.0)


def test_settings_that_say_nothing_of_it_have_the_text_of_before() -> None:
    """A changed text would be a new task definition, and new tasks for nothing."""
    for settings in _settings():
        assert "connection_pool" not in settings.to_json()
        assert "outlier_detection" not in settings.to_json()
        assert "ways_out" not in settings.to_json()
