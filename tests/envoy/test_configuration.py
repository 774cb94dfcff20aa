"""The real Envoy accepts every configuration this product can write, without a warning."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from entrypoint.envoy.install import ResourceFiles
from evidence.fixtures.proxies import GATEWAY_NAME, TELLER_NAME, gateway, teller
from meshcert.envoy import Addresses, bootstrap, identity_resource, trust_resource
from meshcert.envoy.http.retries import EVENTS
from meshcert.proxy import Backend, BackendTls, DeliveryMode, Listener, ListenerTls, ProxySettings, Route, TlsMode
from meshcert.routes import (
    Conditions,
    HeaderCondition,
    MatchKind,
    QueryCondition,
    Retries,
    Rewriting,
    Target,
)
from meshcert.san import Dns
from tests.envoy.conftest import both_deliveries

if TYPE_CHECKING:
    from pathlib import Path

    from evidence.fixtures.pki import Hierarchy

PROTOCOLS = ("http", "http2", "grpc", "tcp")
MODES = {
    "mutual": ListenerTls(TlsMode.STRICT, "colorteller", "colorgateway", (Dns(GATEWAY_NAME),)),
    "any name": ListenerTls(TlsMode.STRICT, "colorteller", "colorgateway"),
    "one-way": ListenerTls(TlsMode.STRICT, "colorteller"),
    "permissive": ListenerTls(TlsMode.PERMISSIVE, "colorteller", "colorgateway", (Dns(GATEWAY_NAME),)),
    "disabled": ListenerTls(TlsMode.DISABLED),
}


def _node(protocol: str) -> ProxySettings:
    """A virtual node with a listener in every TLS mode, and a backend of its own."""
    listeners = tuple(Listener(9080 + number, protocol, tls) for number, tls in enumerate(MODES.values()))
    backend = Backend("ledger", "ledger.local", 9080, protocol, BackendTls("colorgateway", "colorteller"))
    return teller(listeners=listeners, backends=(backend,))


SETTINGS = {
    **{protocol: _node(protocol) for protocol in PROTOCOLS},
    "gateway": gateway(),
    "gateway with routes": gateway(
        routes=(
            Route(
                "/a",
                "",
                conditions=Conditions(
                    host_suffix=".example.com",
                    method="POST",
                    scheme="https",
                    headers=tuple(HeaderCondition(f"x-{kind}", kind, "a", 1, 2) for kind in MatchKind),
                    query_parameters=(QueryCondition("a", "b"), QueryCondition("c")),
                    grpc=True,
                ),
                targets=(Target("colorteller", 90), Target("colorteller", 10)),
                rewriting=Rewriting("/a", "/b\\c/", host="color.local"),
                retries=Retries(2, 1.5, tuple(EVENTS)),
            ),
            Route("", "colorteller", conditions=Conditions(regex="/(" + "long" * 60 + ")", host="a.example.com")),
            Route("", "", conditions=Conditions(path="/nobody", port=9080)),
        )
    ),
    "gateway in plain text": gateway(backends=(gateway().backends[0]._replace(tls=None),)),
}


@both_deliveries
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_envoy_accepts_the_configuration(
    envoy_binary: Path, tmp_path: Path, hierarchy: Hierarchy, settings: ProxySettings, delivery: DeliveryMode
) -> None:
    """Every TLS mode with every protocol; not even a deprecation is mentioned."""
    files = ResourceFiles(str(tmp_path / "secrets"))
    for name in ("identity/colorteller", "identity/colorgateway"):
        files.install(name, identity_resource(name, hierarchy.issue([TELLER_NAME, GATEWAY_NAME])), "v1")
    for name in ("trust/colorteller", "trust/colorgateway"):
        files.install(name, trust_resource(name, hierarchy.trust_bundle), "v1")
    addresses = Addresses(
        str(tmp_path / "secrets"), "127.0.0.1", "127.0.0.1", "127.0.0.1:53", str(tmp_path / "sds.sock")
    )
    file = tmp_path / "envoy.json"
    file.write_text(json.dumps(bootstrap(settings._replace(delivery=delivery), addresses)))

    done = subprocess.run(
        [envoy_binary, "--mode", "validate", "-c", file, "--log-level", "warning"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
