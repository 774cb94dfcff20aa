"""Proxy settings as the services stack renders them for the Color app, for tests to vary."""

from __future__ import annotations

from typing import Any

from meshcert.proxy import (
    Backend,
    BackendTls,
    Listener,
    ListenerTls,
    ProxySettings,
    Route,
    SecretReference,
    TlsMode,
)

GATEWAY_NAME = "colorgateway.mtls.svc.cluster.local"
TELLER_NAME = "colorteller.mtls.svc.cluster.local"
GATEWAY_SECRET = "meshcert/color/identity/colorgateway"
TELLER_SECRET = "meshcert/color/identity/colorteller"
GATEWAY_TRUST = "meshcert/color/trust/colorgateway"
TELLER_TRUST = "meshcert/color/trust/colorteller"


def teller(**changes: Any) -> ProxySettings:
    """The virtual node: STRICT, only the gateway may call, everything goes to its application."""
    settings = ProxySettings(
        mesh="color",
        name="colorteller",
        service="colorteller",
        listeners=(
            Listener(9080, "http", ListenerTls(TlsMode.STRICT, "colorteller", "colorgateway", (GATEWAY_NAME,))),
        ),
        identities={"colorteller": SecretReference(TELLER_SECRET, (TELLER_NAME,))},
        trust_bundles={"colorgateway": SecretReference(GATEWAY_TRUST)},
        application_port=8080,
        poll_interval_s=0.2,
    )
    return settings._replace(**changes)


def gateway(**changes: Any) -> ProxySettings:
    """The virtual gateway: plain text from outside, mutual TLS to the teller."""
    settings = ProxySettings(
        mesh="color",
        name="colorgateway",
        service="colorgateway",
        listeners=(Listener(9080, "http", ListenerTls(TlsMode.DISABLED)),),
        identities={"colorgateway": SecretReference(GATEWAY_SECRET, (GATEWAY_NAME,))},
        trust_bundles={"colorteller": SecretReference(TELLER_TRUST)},
        backends=(
            Backend(
                "colorteller", TELLER_NAME, 9080, "http", BackendTls("colorteller", "colorgateway", (TELLER_NAME,))
            ),
        ),
        routes=(Route("/", "colorteller"),),
        poll_interval_s=0.2,
    )
    return settings._replace(**changes)
