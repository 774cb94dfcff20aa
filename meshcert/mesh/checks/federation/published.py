"""Checks of the trust domain's own bundle that is published for partners."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.material.foreign_bundle import MOST_CERTIFICATES
from meshcert.naming import PUBLISHER_ROLE

if TYPE_CHECKING:
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh

_PLACE = "mesh.published_bundle"


def check_published_bundle(mesh: Mesh, findings: Findings) -> None:
    """Report a bundle of no trust domain, of hierarchies that are none, or with more roots than a partner believes."""
    published = mesh.about.published_bundle
    if published is None:
        return
    if not mesh.about.trust_domain:
        findings.add(
            "mesh.trust_domain",
            "it is missing, and its bundle is published for partners",
            f"Write trust_domain: {mesh.name}.example",
            given=(_PLACE,),
        )
    if published.public and published.distribution:
        findings.add(
            f"{_PLACE}.public",
            "everybody may read the bundle at Amazon S3, and a distribution is to read it for them",
            "Remove public, or distribution",
            given=(f"{_PLACE}.distribution",),
        )
    known = [
        name
        for index, name in enumerate(published.hierarchies)
        if _is_fine(mesh, published.hierarchies, index, findings)
    ]
    roots = {root for name in known for root in mesh.trusted(name)}
    if len(roots) > MOST_CERTIFICATES:
        findings.add(
            f"{_PLACE}.hierarchies",
            f"with their also_trust they have {len(roots)} roots, and partners believe {MOST_CERTIFICATES} at most",
            "List fewer",
            given=("hierarchies",),
        )
    if PUBLISHER_ROLE in mesh.services:
        findings.add(
            f"services.{PUBLISHER_ROLE}",
            f"{PUBLISHER_ROLE!r} is the name of the role and the log group of the function that publishes the bundle",
            "Choose another name",
            given=(_PLACE,),
        )


def _is_fine(mesh: Mesh, hierarchies: tuple[str, ...], index: int, findings: Findings) -> bool:
    name, at = hierarchies[index], f"{_PLACE}.hierarchies[{index}]"
    if not findings.require_known(mesh, at, "hierarchies", name):
        return False
    if name in hierarchies[:index]:
        findings.add(at, f"{name} is written twice", "Remove one of them")
    return True
