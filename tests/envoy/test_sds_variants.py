"""The discovery service and the real Envoy, without a container: both variants that Envoy speaks."""

from __future__ import annotations

import json
import subprocess
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from entrypoint.envoy.admin import Admin
from entrypoint.envoy.handover import EnvoyResource
from entrypoint.grpc.socket import bind
from entrypoint.log import Log
from entrypoint.sockets import Stores, serve
from entrypoint.xds.endpoints import ENDPOINTS
from entrypoint.xds.handover import SocketHandover
from entrypoint.xds.resources import ResourceStatus, ResourceStore
from entrypoint.xds.routes import ROUTES
from entrypoint.xds.secrets import SECRETS, secret_body
from evidence.fixtures.container import eventually
from evidence.fixtures.proxies import TELLER_NAME, teller
from meshcert.envoy import Addresses, bootstrap, identity_resource, secrets_used, trust_resource
from meshcert.proxy import DeliveryMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from evidence.fixtures.pki import Hierarchy
    from meshcert.material import Material

IDENTITY, TRUST = "identity/colorteller", "trust/colorgateway"
SETTINGS = teller(delivery=DeliveryMode.SDS)
ACKNOWLEDGED = ResourceStatus(acknowledged=True)


class Pair(NamedTuple):
    """An Envoy and the service it asks."""

    store: ResourceStore
    handover: SocketHandover
    admin: Admin

    def version(self) -> str:
        """What Envoy says it serves."""
        line = self.admin.get(f"/stats?filter={IDENTITY}.version_text").strip()
        return line.partition(": ")[2].strip('"')


@pytest.fixture(params=["GRPC", "DELTA_GRPC"])
def pair(
    request: pytest.FixtureRequest, tmp_path: Path, envoy_binary: Path, new_address: Callable[[], str]
) -> Iterator[Pair]:
    """A teller's Envoy that speaks one of the variants, and has nothing yet."""
    address, path = new_address(), str(tmp_path / "sds.sock")
    store = ResourceStore(SECRETS, secrets_used(SETTINGS))
    stores = Stores(store, ResourceStore(ENDPOINTS, ()), ResourceStore(ROUTES, ()))
    started: list[int] = []  # before Envoy connects, its process id is in it
    threading.Thread(
        target=serve,
        args=(bind(path), stores, Log("debug"), lambda: started[0] if started else 0),
        daemon=True,
    ).start()
    configuration = json.dumps(bootstrap(SETTINGS, Addresses("", address, address, sds_socket=path)))
    config = tmp_path / "envoy.json"
    config.write_text(configuration.replace('"api_type": "GRPC"', f'"api_type": "{request.param}"'))
    arguments = ["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"]
    with subprocess.Popen([envoy_binary, "-c", config, *arguments]) as envoy:
        started.append(envoy.pid)
        try:
            yield Pair(store, SocketHandover(store, secret_body, lambda: Admin(address)), Admin(address))
        finally:
            envoy.kill()


def _state(pair: Pair) -> str:
    try:
        return pair.admin.get("/ready").strip()
    except OSError as error:
        return str(error)


def test_envoy_waits_takes_refuses_and_goes_on(pair: Pair, hierarchy: Hierarchy, material: Material) -> None:
    """First secrets, a refusal with its reason, a newer version; each answer is heard."""
    eventually(lambda: "503" in _state(pair), "it waits")
    pair.handover.put(TRUST, EnvoyResource("t1", trust_resource(TRUST, hierarchy.trust_bundle)))
    pair.handover.put(IDENTITY, EnvoyResource("v1", identity_resource(IDENTITY, material)))
    eventually(lambda: _state(pair) == "LIVE", "LIVE")
    eventually(lambda: pair.store.status(IDENTITY, "v1") == pair.store.status(TRUST, "t1") == ACKNOWLEDGED, "ACKs")

    other: Any = identity_resource(IDENTITY, hierarchy.issue([TELLER_NAME]))
    other["tls_certificate"]["certificate_chain"] = {"inline_string": material.presented_chain}
    pair.handover.put(IDENTITY, EnvoyResource("v2", other))
    status = eventually(lambda: pair.store.status(IDENTITY, "v2"), "a NACK")
    assert not status.acknowledged
    assert "KEY_VALUES_MISMATCH" in status.reason
    assert pair.version() == "v1"

    newer = hierarchy.issue([TELLER_NAME])
    pair.handover.put(IDENTITY, EnvoyResource("v3", identity_resource(IDENTITY, newer)))
    eventually(lambda: pair.store.status(IDENTITY, "v3") == ACKNOWLEDGED, "the next ACK")
    assert pair.version() == "v3"
