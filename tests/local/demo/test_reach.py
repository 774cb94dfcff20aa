"""How each service of a mesh is reached, as the demo says."""

from __future__ import annotations

import yaml

from local.cdk import ROOT
from local.demo.reach import ways_to
from meshcert.mesh import Mesh, load_mesh

SHOP = ROOT / "examples" / "shop.yaml"


def test_every_listener_is_told_with_all_who_reach_it() -> None:
    """By which address and path, and with which proof."""
    assert list(ways_to(load_mesh(SHOP))) == [
        ("gateway:8443 (http)", "anybody, https://gateway.shop.internal:8443"),
        (
            "gateway:9443 (http2)",
            "partner, a client outside the mesh, over mutual TLS, https://gateway.shop.internal:9443/orders",
        ),
        ("orders:9443 (http)", "gateway over mutual TLS, https://gateway.shop.internal:8443/orders"),
        ("catalog:9443 (grpc)", "gateway over mutual TLS, https://gateway.shop.internal:8443/shop.Catalog/Ask"),
        ("search:9443 (http2)", "gateway over mutual TLS, https://gateway.shop.internal:8443/search"),
    ]


def test_a_service_that_nobody_calls_is_told_too() -> None:
    """Whoever forgot a backend sees it here."""
    values = yaml.safe_load(SHOP.read_text())
    gateway = values["virtual_gateways"]["gateway"]
    gateway["backends"] = gateway["backends"][:2]
    gateway["routes"] = gateway["routes"][:2]

    ways = dict(ways_to(Mesh.model_validate(values)))

    assert ways["search"] == "nobody: no backend names it"
    assert "search:9443 (http2)" not in ways
