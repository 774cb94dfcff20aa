"""Resources of App Mesh, whatever they were written in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self


class ResourceKind(StrEnum):
    """The kinds of resources, by the App Mesh API's words (version 2019-01-25)."""

    MESH = "mesh"
    VIRTUAL_NODE = "virtualNode"
    VIRTUAL_SERVICE = "virtualService"
    VIRTUAL_ROUTER = "virtualRouter"
    ROUTE = "route"
    VIRTUAL_GATEWAY = "virtualGateway"
    GATEWAY_ROUTE = "gatewayRoute"

    @property
    def words(self) -> str:
        """For people: ``virtual node``."""
        return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in self.value)


PARENTS = {
    ResourceKind.ROUTE: ResourceKind.VIRTUAL_ROUTER,
    ResourceKind.GATEWAY_ROUTE: ResourceKind.VIRTUAL_GATEWAY,
}
"""What a kind of resource belongs to, beside its mesh."""


class Unset(str):
    """
    A text of which a part is not known: it holds placeholders of a template that nobody has filled in.

    Two are equal if their texts are, so that references between files of one template meet.

    Args:
        text: As it is written, placeholders included.
        names: Of the placeholders in it.
    """

    __slots__ = ("names",)
    names: tuple[str, ...]

    def __new__(cls, text: str, names: tuple[str, ...] = ()) -> Self:
        """A text with its placeholders' names."""
        made = super().__new__(cls, text)
        made.names = names
        return made


def derived(text: str, *origins: str) -> str:
    """A text made of others: :class:`Unset` if it still holds a placeholder of theirs."""
    names = [name for origin in origins if isinstance(origin, Unset) for name in origin.names if name in text]
    return Unset(text, tuple(dict.fromkeys(names))) if names else str(text)


@dataclass(frozen=True)
class MeshResource:
    """
    One resource.

    Args:
        kind: What it is.
        name: Its name in App Mesh; may be :class:`Unset`.
        place: Where it is written, for people.
        spec: Its specification, as it is written.
        parent: Name of its virtual router or virtual gateway; empty if it has none or none is written.
        mesh: Name of its mesh; empty if none is written.
        name_is_guessed: True if nothing names it, and it has the name of its file.
        comment: What the mesh file says about it besides.
        image: Image of its application, if a task definition or a workload beside it says so; else empty.
    """

    kind: ResourceKind
    name: str
    place: str
    spec: Any
    parent: str = ""
    mesh: str = ""
    name_is_guessed: bool = False
    comment: str = ""
    image: str = ""

    def __str__(self) -> str:
        return f"{self.kind.words} {self.name}"
