"""The shop with hosts outside the mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.cdk import ROOT

if TYPE_CHECKING:
    from pathlib import Path

OUTSIDE = """
  payments:
    service_discovery: {dns: {hostname: api.payments.example}}
    listeners: [{port_mapping: {port: 443, protocol: http}}]
  rates:
    service_discovery: {dns: {hostname: rates.example.com}}
    listeners: [{port_mapping: {port: 443, protocol: http}}]
"""
CALLED = """
    backends:
      - virtual_node: payments
        client_policy: {tls: {validation: {trust: {public_roots: true}}}}
"""


def shop_with_hosts(folder: Path) -> str:
    """A mesh file in a folder: the shop, whose orders call one host outside the mesh, and do not call another."""
    text = (ROOT / "examples" / "shop.yaml").read_text().replace("\nvirtual_nodes:\n", f"\nvirtual_nodes:{OUTSIDE}", 1)
    file = folder / "shop.yaml"
    file.write_text(text.replace("\n  orders:\n    listeners:", f"\n  orders:{CALLED}    listeners:", 1))
    return str(file)
