"""
A mesh file as the demo deploys it: stand-ins for applications that are not here, and short waits.

Nothing else is changed: who trusts whom, and who calls whom, is the file's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from local.cdk import ROOT
from meshcert.mesh import Mesh, load_mesh
from meshcert.mesh.reading.source import read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

APPLICATIONS = ROOT / "local" / "demo" / "applications"
HASTE = {"poll_interval_s": 1, "max_connection_duration_s": 10}
"""
Seconds, where the file has more: renewals are noticed at once, and connections that know old certificates end.

A client leaves a connection two tenths of that before its server ends it (:mod:`meshcert.envoy.connection_cap`), and a
machine that runs a whole mesh may be busy with something else for the fifth of two seconds.
"""


@dataclass(frozen=True)
class DemoMesh:
    """
    What the demo deploys in place of a mesh file.

    Args:
        mesh: The mesh.
        path: The file that is deployed.
        stand_ins: The protocol that each replaced application speaks, by service.
        images: The image that each of them replaces, by service.
        hastened: The settings that are shorter than in the file.
    """

    mesh: Mesh
    path: Path
    stand_ins: Mapping[str, str]
    images: Mapping[str, str]
    hastened: Sequence[str]


def prepare(file: Path, folder: Path) -> DemoMesh:
    """
    Write the mesh file that is deployed.

    Args:
        file: The mesh file.
        folder: For the new file.

    Raises:
        MeshInvalid: If the mesh file cannot be read or deployed.
    """
    declared = load_mesh(file)
    values: dict[str, Any] = read_yaml(file.read_bytes()).values
    stand_ins: dict[str, str] = {}
    images: dict[str, str] = {}
    hastened: dict[str, str] = {}
    for name, service in declared.services.items():
        written = values["services"][name] = dict(values["services"][name])
        for key, longest in HASTE.items():
            if (value := getattr(service, key)) is None or value > longest:
                written[key] = longest
                hastened[key] = f"{key} {longest}"
        if service.application and not (ROOT / service.application.image).is_dir():
            protocol = declared.virtual_nodes[service.virtual_node].listeners[0].port_mapping.protocol.value
            stand_ins[name], images[name] = protocol, service.application.image
            image = APPLICATIONS / ("tcp" if protocol == "tcp" else "web")
            written["application"] = {**written["application"], "image": str(image)}
    path = folder / file.name
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return DemoMesh(load_mesh(path), path, stand_ins, images, tuple(hastened.values()))
