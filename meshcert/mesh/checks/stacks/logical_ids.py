"""Checks of names that differ in hyphens alone: CloudFormation takes none, where nothing else tells them apart."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from meshcert.mesh.rendering.route_tables import route_table
from meshcert.mesh.stacks.logical_ids import address_output, certificate_output, logical_id, root_output, routes_id
from meshcert.mesh.stacks.shards import stack_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh


class NamedElement(NamedTuple):
    """
    A resource or an output at the top of a stack, with a name of the mesh file in its id.

    Args:
        place: The name's place in the mesh file.
        stack: Name of the stack, without the mesh's.
        construct_id: Its id, from which :func:`logical_id` leaves something out.
        what: What it is, for people.
    """

    place: str
    stack: str
    construct_id: str
    what: str


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


def named_elements(mesh: Mesh) -> Iterator[NamedElement]:
    """
    All of a mesh, in the file's order, but those of cells that :func:`shared_output` names.

    Routes are those of every service: whether a proxy has any, only rendering tells.
    """
    for name, hierarchy in mesh.hierarchies.items():
        roles = {1: ("Root",), 2: ("Root", "Issuing")}.get(hierarchy.made, ())
        stack = "-".join(filter(None, (hierarchy.cell, "pki")))
        for element in (*(certificate_output(name, role) for role in roles), *([root_output(name)] if roles else [])):
            yield NamedElement(f"hierarchies.{name}", stack, element, "an output with an ARN of its CAs")
    for name, service in mesh.services.items():
        stack = "-".join(filter(None, (service.cell, stack_of("services", mesh.shards, name))))
        if service.load_balancer and not service.load_balancer.target_groups:
            what = "the output with the address of its load balancer"
            yield NamedElement(f"services.{name}", stack, address_output(name), what)
        yield NamedElement(f"services.{name}", stack, routes_id(name), "the resource with its routes")
