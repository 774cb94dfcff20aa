"""The resources of an import by kind and name, and what refers to what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from meshcert.appmesh.fields.canonical import canonical
from meshcert.appmesh.resources import PARENTS, MeshResource, ResourceKind, Unset, derived

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcert.appmesh.report import ImportReport

_SUFFIXES = {
    ResourceKind.VIRTUAL_NODE: ("-vn", "-node", "-virtual-node"),
    ResourceKind.VIRTUAL_SERVICE: ("-vs", "-service", "-virtual-service"),
    ResourceKind.VIRTUAL_ROUTER: ("-vr", "-router", "-virtual-router"),
    ResourceKind.VIRTUAL_GATEWAY: ("-vg", "-gateway", "-virtual-gateway"),
}
"""What people put after a name in the name of its file."""


class Defined(NamedTuple):
    """
    A resource with its specification in App Mesh's own words.

    Args:
        resource: As it was read.
        spec: See :func:`~meshcert.appmesh.fields.canonical.canonical`.
    """

    resource: MeshResource
    spec: dict[str, Any]


class Definitions:
    """
    What an import defines.

    Args:
        resources: All that was read; the first of two with one kind and name counts.
        report: Gets every field, every resource that is written twice and every reference that leads nowhere.
    """

    def __init__(self, resources: Iterable[MeshResource], report: ImportReport) -> None:
        self._report = report
        self._defined: dict[ResourceKind, dict[str, Defined]] = {kind: {} for kind in ResourceKind}
        self._written: dict[tuple[ResourceKind, str, str], MeshResource] = {}
        self._children: dict[tuple[ResourceKind, str], list[Defined]] = {}
        for resource in resources:
            if self._is_new(resource):
                self._add(Defined(resource, canonical(resource, report)))

    def of(self, kind: ResourceKind) -> dict[str, Defined]:
        """The resources of a kind by their names, in the order in which they were read."""
        return self._defined[kind]

    def children(self, kind: ResourceKind, parent: str) -> list[Defined]:
        """The routes of a router, or the gateway routes of a gateway."""
        named = self._children.get((kind, parent), [])
        parents = self._defined[PARENTS[kind]]
        orphans = self._children.get((kind, ""), []) if len(parents) == 1 else []
        return named + orphans

    def find(self, kind: ResourceKind, name: str) -> str | None:
        """The name of a resource that somebody refers to by name or ARN; None if it is not defined here."""
        plain = unqualified(name)
        known = self._defined[kind]
        for each in (name, plain):
            if each in known:
                return each
        for suffix in _SUFFIXES.get(kind, ()):
            for each in (f"{plain}{suffix}", plain.removesuffix(suffix)):
                if each in known and known[each].resource.name_is_guessed:
                    return each
        return None

    def _is_new(self, resource: MeshResource) -> bool:
        key = (resource.kind, resource.parent, resource.name)
        first = self._written.setdefault(key, resource)
        if first is resource:
            return True
        if first.spec != resource.spec:
            self._report.ask(
                str(resource),
                f"it is written in {first.place} and, otherwise, in {resource.place}: which of them holds? "
                "The first one stands in the mesh file",
                str(resource),
                "Import the other files without the one that does not hold",
            )
        return False

    def _add(self, defined: Defined) -> None:
        resource = defined.resource
        if resource.kind in PARENTS:
            self._children.setdefault((resource.kind, resource.parent), []).append(defined)
        else:
            self._defined[resource.kind].setdefault(resource.name, defined)

    def settle_children(self) -> None:
        """Lead each route to its parent by the parent's own name, and tell which of them lead nowhere."""
        for (kind, parent), found in list(self._children.items()):
            known = self.find(PARENTS[kind], parent) if parent else None
            if known and known != parent:
                self._children.setdefault((kind, known), []).extend(self._children.pop((kind, parent)))
            elif known is None and (parent or len(self._defined[PARENTS[kind]]) != 1):
                for each in found:
                    self._report.ask(
                        str(each.resource),
                        f"its {PARENTS[kind].words} {parent + ' ' if parent else ''}is not in these files, "
                        "so it is not in the mesh file: where does it belong?",
                        each.resource.place,
                        f"Import the file of the {PARENTS[kind].words} with it",
                    )

    def tell_meshes(self) -> None:
        """Ask which mesh is meant if the resources are of several."""
        names = {each.resource.name: None for each in self._defined[ResourceKind.MESH].values()}
        names |= {resource.mesh: None for resource in self._written.values() if resource.mesh}
        said = [name for name in dict.fromkeys(unqualified(name) for name in names) if not isinstance(name, Unset)]
        if len(said) > 1:
            self._report.ask(
                "mesh",
                f"these files are of several meshes: {', '.join(said)}. They stand in one mesh file: is that meant?",
                said[0],
                "Import the files of each mesh for themselves",
            )

    @property
    def mesh_name(self) -> str:
        """The mesh's name; empty if nothing says it."""
        for defined in self._defined[ResourceKind.MESH].values():
            if not defined.resource.name_is_guessed:
                return defined.resource.name
        named = (resource.mesh for resource in self._written.values() if resource.mesh)
        guessed = iter(self._defined[ResourceKind.MESH])
        return unqualified(next(named, "") or next(guessed, ""))

    @property
    def egress_filter(self) -> str:
        """The mesh's egress filter; empty if none is written."""
        for defined in self._defined[ResourceKind.MESH].values():
            return text(defined.spec.get("egressFilter", {}), "type")
        return ""


def unqualified(name: str) -> str:
    """A resource's name from its ARN; any other name as it is."""
    if ":mesh/" not in name:
        return name
    return derived(name.rpartition("/")[2], name)


def text(part: dict[str, Any], key: str) -> str:
    """A text of a specification; empty if it is missing."""
    value = part.get(key)
    return value if isinstance(value, str) else ""


def part(of: dict[str, Any], *keys: str) -> dict[str, Any]:
    """A part of a specification, as deep as the keys lead; empty if it is missing."""
    for key in keys:
        inner = of.get(key)
        of = inner if isinstance(inner, dict) else {}
    return of


def parts(of: dict[str, Any], key: str) -> list[Any]:
    """The items of a list in a specification."""
    value = of.get(key)
    return value if isinstance(value, list) else []
