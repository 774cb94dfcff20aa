"""The shop, whose orders let the gateway ask for everything but what is for partners."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from local.cdk import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PARTNER = "partner.example.com"


def shop_with_rules(folder: Path) -> str:
    """A mesh file in a folder."""
    mesh = yaml.safe_load((ROOT / "examples" / "shop.yaml").read_text())
    (listener,) = mesh["virtual_nodes"]["orders"]["listeners"]
    listener["tls"]["validation"]["subject_alternative_names"]["match"]["exact"].append(PARTNER)
    listener["allow"] = [
        {"match": {"prefix": "/"}},
        {"match": {"prefix": "/partners"}, "callers": {"exact": [PARTNER]}},
    ]
    file = folder / "shop.yaml"
    file.write_text(yaml.safe_dump(mesh, sort_keys=False))
    return str(file)
