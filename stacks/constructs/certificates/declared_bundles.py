"""What the deploy function's environment says of trust bundles: the CAs of each, and whose lists are read with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Fn

from meshcert.publishing.declared_bundles import entry, listed_elsewhere

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshcert.mesh import Mesh
    from stacks.constructs.certificates.hierarchy import SigningAuthorities


def declared_bundles(mesh: Mesh, authorities: Mapping[str, SigningAuthorities]) -> str:
    """
    The CAs of every trust bundle, for the deploy function's environment.

    Args:
        authorities: The CAs of every hierarchy.
    """
    return " ".join(
        entry(
            hierarchy,
            [_id(authorities[name].root_arn) for name in mesh.trusted(hierarchy)],
            [each for name in mesh.listed(hierarchy) for each in _listed(mesh, name, authorities)],
        )
        for hierarchy in mesh.hierarchies
    )


def _listed(mesh: Mesh, hierarchy: str, authorities: Mapping[str, SigningAuthorities]) -> list[str]:
    existing = mesh.hierarchies[hierarchy].existing
    if existing:
        return [listed_elsewhere(existing.arn, existing.lists)]
    return [_id(arn) for arn in authorities[hierarchy].arns]


def _id(arn: str) -> str:
    """The id of a CA, whose ARN only CloudFormation knows."""
    return Fn.select(1, Fn.split("/", arn))
