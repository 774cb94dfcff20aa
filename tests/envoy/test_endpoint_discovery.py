"""Another xDS type than secrets and the real Envoy: the endpoints of a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from entrypoint.envoy.admin import Admin
from entrypoint.grpc.server import ServedSocket, Server
from entrypoint.grpc.socket import bind
from entrypoint.log import Log
from entrypoint.xds.endpoints import ENDPOINTS
from entrypoint.xds.resources import ResourceStatus, ResourceStore
from entrypoint.xds.subscriptions import discovery_services
from evidence.fixtures.container import eventually
from tests.entrypoint.xds.endpoints import endpoints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TELLER = "colorteller"
ACKNOWLEDGED = ResourceStatus(acknowledged=True)
HTTP2 = {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
}


@pytest.fixture
def store() -> ResourceStore:
    """Nothing in it yet."""
    return ResourceStore(ENDPOINTS, [TELLER])


@pytest.fixture(params=["GRPC", "DELTA_GRPC"])
def admin(
    request: pytest.FixtureRequest,
    store: ResourceStore,
    tmp_path: Path,
    envoy_binary: Path,
    new_address: Callable[[], str],
) -> Iterator[Admin]:
    """Of an Envoy with one cluster, whose endpoints it asks for."""
    address, path = new_address(), str(tmp_path / "xds.sock")
    services = discovery_services(store, lambda _: True, lambda _: None)
    served = ServedSocket("xds", bind(path), services, {os.getuid()})
    server = Server("xds", [served], Log("debug"))
    store.on_change(server.wake)
    threading.Thread(target=server.run, daemon=True).start()
    source = {"api_type": request.param, "transport_api_version": "V3"}
    source |= {"grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}]}
    pipe = {"endpoint": {"address": {"pipe": {"path": path}}}}
    assignment = {"cluster_name": "xds", "endpoints": [{"lb_endpoints": [pipe]}]}
    eds = {"eds_config": {"resource_api_version": "V3", "api_config_source": source}}
    config = {
        "node": {"id": "node", "cluster": "cluster"},
        "admin": {"address": {"socket_address": {"address": address, "port_value": 9901}}},
        "static_resources": {
            "clusters": [
                {"name": "xds", "load_assignment": assignment, "typed_extension_protocol_options": HTTP2},
                {"name": TELLER, "type": "EDS", "eds_cluster_config": eds},
            ]
        },
    }
    (tmp_path / "envoy.json").write_text(json.dumps(config))
    arguments = ["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"]
    with subprocess.Popen([envoy_binary, "-c", tmp_path / "envoy.json", *arguments]) as envoy:
        try:
            yield Admin(address)
        finally:
            envoy.kill()


def test_envoy_takes_refuses_and_keeps_the_last_good_endpoints(store: ResourceStore, admin: Admin) -> None:
    """As with secrets: each answer is heard, and a refused version is taken back."""
    store.offer(TELLER, endpoints("e1", "10.0.0.1", 15_000))
    eventually(lambda: store.status(TELLER, "e1") == ACKNOWLEDGED, "the ACK")
    assert f"{TELLER}::10.0.0.1:15000::" in admin.get("/clusters")

    store.offer(TELLER, endpoints("e2", "10.0.0.2", 70_000))
    status = eventually(lambda: store.status(TELLER, "e2"), "the NACK")
    assert not status.acknowledged
    assert "port_value: 70000" in status.reason
    assert store.offered(TELLER) == endpoints("e1", "10.0.0.1", 15_000)

    store.offer(TELLER, endpoints("e3", "10.0.0.3", 15_000))
    eventually(lambda: store.status(TELLER, "e3") == ACKNOWLEDGED, "the next ACK")
    clusters = admin.get("/clusters")
    assert f"{TELLER}::10.0.0.3:15000::" in clusters
    assert "10.0.0.2" not in clusters
