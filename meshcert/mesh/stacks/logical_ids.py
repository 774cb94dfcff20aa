"""
Logical ids and outputs that are a name with something behind it, and nothing else.

CloudFormation takes letters and digits alone, so the CDK leaves hyphens out. To what stands deeper in a stack it
appends a hash of the whole name (AWS CDK API reference, ``Names.uniqueId``), to what stands at its top none. There
``a-b`` and ``ab`` have one id, and a deployed mesh's ids do not change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from meshcert.mesh.stacks.shards import stack_of

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def logical_id(construct_id: str) -> str:
    """What CloudFormation takes of the id of something at the top of a stack."""
    return "".join(letter for letter in construct_id if letter.isascii() and letter.isalnum())


def address_output(service: str) -> str:
    """Id of the output with the address of a gateway's load balancer."""
    return f"{service}Address"


def routes_id(service: str) -> str:
    """Id of the resource that writes a proxy's route table."""
    return f"{service}-routes"


def root_output(hierarchy: str) -> str:
    """Id of the output with the ARN of a made hierarchy's root CA."""
    return f"{hierarchy}RootCa"


def shared_output(hierarchy: str) -> str:
    """Id of the output with the ARN of the CA that other cells issue from."""
    return f"{hierarchy}SharedCa"


def certificate_output(hierarchy: str, role: str) -> str:
    """Id of the output with the ARN of a CA's certificate; the role is ``Root`` or ``Issuing``."""
    return f"{hierarchy}{role}CertificateArn"


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
