"""
Services that the mesh file has in another ECS cluster than before: told before a deploy begins.

A service cannot change its cluster: CloudFormation would make another one before it takes the first away, and does not
for one that is named ("cannot update a stack when a custom-named resource requires replacing"). Functions would look
for it in the new cluster by then: their stack is deployed before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshcert.mesh import Mesh

_ELSEWHERE = (
    "CloudFormation makes no service anew under its name. Leave the cluster as it is, or make a second mesh beside it, "
    'with a name of its own, and move callers over (docs/mesh-file.md, "The cluster")'
)


def moved_clusters(mesh: Mesh, templates: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """
    Services that would move, with the way that can be carried out; a sentence for each cluster that they would leave.

    Args:
        templates: Those of all stacks that hold services or identities, by the stacks' names without the mesh's.
    """
    own = {name for name, service in mesh.services.items() if not service.attached}
    wanted = mesh.cluster_name if mesh.cluster.existing else ""
    left: dict[str, set[str]] = {}
    for template in templates.values():
        for name, cluster in _services(template):
            if name in own and cluster != wanted:
                left.setdefault(cluster, set()).add(name)
    for cluster, names in left.items():
        yield (
            f"cluster.existing: {', '.join(sorted(names))} run in {_told(cluster)}, and this has them in "
            f"{_told(wanted)}. {_ELSEWHERE}"
        )


def _services(template: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The services of a stack, each with the cluster of yours that it is in; with none if a deploy has made that."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::ECS::Service":
            cluster = resource["Properties"].get("Cluster")
            yield resource["Properties"]["ServiceName"], cluster if isinstance(cluster, str) else ""


def _told(cluster: str) -> str:
    return f"the cluster {cluster} of yours" if cluster else "a cluster that a deploy makes"
