"""Import: sources in, a mesh file and a report out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshcert.appmesh.converting.conversion import convert
from meshcert.appmesh.reading.sources import read_sources, resources_in
from meshcert.appmesh.report import ImportReport
from meshcert.appmesh.resources import ResourceKind
from meshcert.appmesh.writing import as_yaml
from meshcert.mesh.reading.loading import read_mesh

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from meshcert.appmesh.converting.draft import Answers
    from meshcert.appmesh.resources import MeshResource
    from meshcert.errors import Fault

_PLURALS = {ResourceKind.MESH.words: "meshes"}
_HEAD = (
    "Imported from definitions of AWS App Mesh: {}.",
    "Lines with ? are questions; docs/from-app-mesh.md says what became of each field.",
    "All faults at once: meshcert check FILE",
)


@dataclass(frozen=True)
class Imported:
    """
    The result of an import.

    Args:
        text: The mesh file; empty if the sources define nothing.
        report: What became of everything.
        faults: What ``meshcert check`` says of the file.
        counts: The number of resources, by kind, in words.
    """

    text: str
    report: ImportReport
    faults: tuple[Fault, ...]
    counts: dict[str, int]

    @property
    def is_complete(self) -> bool:
        """True if nothing is lost, nothing is left to decide, and the file has no fault."""
        return bool(self.text) and not self.faults and self.report.is_complete


def import_sources(paths: Sequence[Path], answers: Answers, say: Callable[[str], object] = lambda _: None) -> Imported:
    """
    A mesh file of what some files define.

    Args:
        paths: Files and folders.
        answers: What a person says besides.
        say: Takes a line about each step.

    Returns:
        The result; whatever the files hold, nothing is raised.
    """
    report = ImportReport()
    say(f"reading {', '.join(map(str, paths))}")
    return _import(read_sources(paths, answers.parameters, report), answers, report, say)


def import_text(content: bytes, name: str, answers: Answers) -> Imported:
    """A mesh file of what one text defines, which is called like a file; nothing is raised."""
    report = ImportReport()
    return _import(resources_in(content, name, answers.parameters, report), answers, report, lambda _: None)


def _import(
    resources: Sequence[MeshResource], answers: Answers, report: ImportReport, say: Callable[[str], object]
) -> Imported:
    counts: dict[str, int] = {}
    for resource in resources:
        counts[resource.kind.words] = counts.get(resource.kind.words, 0) + 1
    found = ", ".join(
        f"{number} {kind if number == 1 else _PLURALS.get(kind, f'{kind}s')}" for kind, number in counts.items()
    )
    if not resources:
        return Imported("", report, (), counts)
    say(f"converting {found}")
    draft = convert(resources, answers, report)
    draft.comments[""] = [line.format(found) for line in _HEAD]
    text = as_yaml(draft.values, draft.comments)
    say("checking the mesh file")
    return Imported(text, report, read_mesh(text.encode()).faults, counts)
