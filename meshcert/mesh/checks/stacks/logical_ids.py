"""Checks of names that differ in hyphens alone: CloudFormation takes none, where nothing else tells them apart."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from meshcert.mesh.rendering.route_tables import route_table
from meshcert.mesh.stacks.logical_ids import logical_id, named_elements, routes_id

if TYPE_CHECKING:
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh
    from meshcert.mesh.stacks.logical_ids import NamedElement


def check_logical_ids(mesh: Mesh, findings: Findings) -> None:
    """
    Report parts of one stack that would have one logical id, at which synthesis would end.

    Args:
        mesh: A mesh in which :func:`~meshcert.mesh.checks.check` has found nothing.
    """
    alike: dict[tuple[str, str], list[NamedElement]] = defaultdict(list)
    for element in named_elements(mesh):
        alike[element.stack, logical_id(element.construct_id)].append(element)
    told = set()
    for (_, found), elements in alike.items():
        # Rendered only where it matters, because rendering all of a large mesh takes seconds.
        first, *others = [each for each in elements if len(elements) == 1 or _is_there(mesh, each)] or [elements[0]]
        for other in others:
            if other.place not in told:
                told.add(other.place)
                findings.add(
                    other.place,
                    f"CloudFormation takes letters and digits alone, and {found} is {other.what}, as of {first.place}",
                    "Give the one that is not deployed yet another name, with more than hyphens between them",
                    given=(first.place,),
                )


def _is_there(mesh: Mesh, element: NamedElement) -> bool:
    name = element.place.partition(".")[2]
    return element.construct_id != routes_id(name) or route_table(mesh, name) is not None
