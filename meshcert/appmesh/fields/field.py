"""What is said of one field of App Mesh."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from meshcert.appmesh.report import Fate


class ValueKind(StrEnum):
    """What a field holds."""

    TEXT = "a text of 2048 characters at most"
    WHOLE = "a whole number"
    FLAG = "true or false"
    DURATION = "duration"
    TREE = "anything"
    """A part that is told as a whole."""


class AppMeshField(NamedTuple):
    """
    A field of the App Mesh API.

    Args:
        path: From the specification down, ``[]`` for the items of a list.
        kind: What it holds.
        fate: What becomes of it.
        becomes: Its place in the mesh file; empty if it is lost.
        note: How it changes, or why it is lost.
    """

    path: str
    kind: ValueKind
    fate: Fate
    becomes: str = ""
    note: str = ""


def kept(path: str, kind: ValueKind, becomes: str) -> AppMeshField:
    """A field whose value the mesh file has in the same words."""
    return AppMeshField(path, kind, Fate.KEPT, becomes)


def changed(path: str, kind: ValueKind, becomes: str, note: str) -> AppMeshField:
    """A field that has an effect in the mesh file, in other words."""
    return AppMeshField(path, kind, Fate.CHANGED, becomes, note)


def lost(path: str, note: str) -> AppMeshField:
    """A field, or a part with all of its fields, that the mesh file has nothing for."""
    return AppMeshField(path, ValueKind.TREE, Fate.LOST, note=note)
