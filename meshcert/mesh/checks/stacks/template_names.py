"""Names that would meet in CloudFormation: of outputs, which take letters and digits alone, and of stacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.mesh.stacks.shards import stack_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh

OF_EACH_MESH = ("pki", "identities", "services", "renewal")
"""What follows a mesh's name in those of its stacks."""


def check_template_names(mesh: Mesh, findings: Findings) -> None:
    """Report parts of the mesh whose outputs, or stacks, would have the same name."""
    for shard in mesh.shards:
        if shard in OF_EACH_MESH:
            findings.add(
                f"shards.{shard}",
                f"its stacks would be called as those of a mesh {mesh.name}-services or {mesh.name}-identities",
                f"Choose another name than {', '.join(OF_EACH_MESH)}",
            )
    first: dict[tuple[str, str], str] = {}
    for stack, place in _with_outputs(mesh):
        name = place.partition(".")[2]
        other = first.setdefault((stack, name.replace("-", "")), name)
        if other != name:
            findings.add(
                place,
                f"an output of its stack would have the name of that of {other}: CloudFormation takes letters and "
                "digits alone",
                "Choose another name",
                given=(f"{place.partition('.')[0]}.{other}",),
            )


def _with_outputs(mesh: Mesh) -> Iterator[tuple[str, str]]:
    """The stacks with the places of those whose CA or address is an output there."""
    for name, hierarchy in mesh.hierarchies.items():
        if not hierarchy.existing:
            yield f"{hierarchy.cell}-pki", f"hierarchies.{name}"
    for name, service in mesh.services.items():
        if service.load_balancer and not service.load_balancer.target_groups:
            yield f"{service.cell}-{stack_of('services', mesh.shards, name)}", f"services.{name}"
