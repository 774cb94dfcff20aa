"""Foreign bundles that the mesh file names as files."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from meshcert.errors import BundleInvalid, Fault, MeshInvalid
from meshcert.federation.bundle_document import MOST_BYTES, read_bundle

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from meshcert.material.foreign_bundle import ForeignBundle
    from meshcert.mesh.mesh import Mesh

MOST_IN_FILES = 200_000
"""Bytes of all of them as secrets: a template has a megabyte (CloudFormation quotas)."""


def bundles_in_files(mesh: Mesh, root: Path) -> dict[str, ForeignBundle]:
    """
    The bundles of the trust domains whose bundle is a file, by trust domain.

    Args:
        root: The folder from which files are named.

    Raises:
        MeshInvalid: With every file that cannot be read or is no SPIFFE bundle.
    """
    bundles: dict[str, ForeignBundle] = {}
    faults = tuple(_read(mesh, root, bundles))
    if faults:
        raise MeshInvalid("bundles of foreign trust domains", faults)
    return bundles


def _read(mesh: Mesh, root: Path, bundles: dict[str, ForeignBundle]) -> Iterator[Fault]:
    """Read each file into ``bundles``, and yield the faults."""
    for name, declared in mesh.trust_domains.items():
        place = f"trust_domains.{name}.file"
        if not declared.file:
            continue
        try:
            with (root / declared.file).open("rb") as file:
                bundles[name] = read_bundle(file.read(MOST_BYTES + 1), name, dt.datetime.now(dt.UTC)).bundle
        except OSError as error:
            yield Fault(place, f"{declared.file} cannot be read: {error.strerror}", "Correct the path")
        except BundleInvalid as error:
            problem = "; ".join(f"{fault.place}: {fault.problem}" for fault in error.faults)
            yield Fault(place, f"{declared.file} is no bundle: {problem}", f"Ask the people of {name} for their bundle")
    if (length := sum(len(bundle.dumps()) for bundle in bundles.values())) > MOST_IN_FILES:
        yield Fault(
            "trust_domains",
            f"the bundles in files take {length:,} bytes, and {MOST_IN_FILES:,} fit into a template",
            "Name bundle endpoints for some",
        )
