"""Checks of the network."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh

FEWEST_ZONES, MOST_ZONES = 2, 6
"""With one zone, its failure is the mesh's; the network's addresses are divided between at most six."""
_ZONE = re.compile(r"[a-z]{2}(-[a-z]+)+-\d[a-z]")


def check_network(mesh: Mesh, findings: Findings) -> None:
    """Report availability zones that are none, are written twice, are of several regions, too few or too many."""
    zones, place = mesh.network.availability_zones, "network.availability_zones"
    if zones and not FEWEST_ZONES <= len(zones) <= MOST_ZONES:
        findings.add(
            place,
            f"there are {len(zones)} zones",
            f"Name {FEWEST_ZONES} to {MOST_ZONES}, or leave it out for the region's first two",
        )
    for index, zone in enumerate(zones):
        if not _ZONE.fullmatch(zone):
            findings.add(f"{place}[{index}]", f"{zone!r} is not the name of a zone", "Write it as in us-west-1a")
        elif zone in zones[:index]:
            findings.add(f"{place}[{index}]", f"{zone} is written twice", "Remove one of them")
        elif zone[:-1] != zones[0][:-1]:
            findings.add(f"{place}[{index}]", f"{zone} and {zones[0]} are in different regions", "Name zones of one")
