"""Where parts of a service stand that are called ``SERVICE-PART``: another service may be called so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from constructs import Construct

if TYPE_CHECKING:
    from aws_cdk import Stack

    from meshcert.mesh import Mesh


def scope_of_part(stack: Stack, construct_id: str, mesh: Mesh) -> Construct:
    """
    The scope for a part of a service: its stack, or a scope of its own where a service has the part's construct id.

    Logical ids leave ``Default`` out (AWS CDK API reference, ``Names.uniqueId``), so a deployed part keeps its id when
    such a service comes or goes.

    Args:
        construct_id: The part's.
    """
    if construct_id not in mesh.services:
        return stack
    aside: Any = stack.node.try_find_child("Default")
    return aside or Construct(stack, "Default")
