"""Read a mesh file: the result is a :class:`~meshcert.mesh.mesh.Mesh`, or every fault of the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from meshcert.errors import Fault, MeshInvalid
from meshcert.mesh.checks import check
from meshcert.mesh.findings import Findings
from meshcert.mesh.mending import mend
from meshcert.mesh.mesh import Mesh
from meshcert.mesh.source import WHOLE_FILE, Source, read_yaml
from meshcert.mesh.translation import translate

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic_core import ErrorDetails


@dataclass(frozen=True)
class Reading:
    """
    The result of reading a mesh file.

    Args:
        mesh: The mesh; None if there are faults.
        faults: Every fault, in the file's order.
        source: The text, with the line of each place.
    """

    mesh: Mesh | None
    faults: tuple[Fault, ...]
    source: Source


def load_mesh(path: Path) -> Mesh:
    """
    The mesh that a file describes, complete and free of contradictions.

    Not checked: whether the applications' folders exist, or what is deployed already.

    Raises:
        MeshInvalid: If it cannot be read or deployed; it lists all faults at once.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        problem = f"it cannot be read: {error.strerror}"
        raise MeshInvalid(
            str(path), (Fault(WHOLE_FILE, problem, "Name a mesh file, for example mesh.yaml"),)
        ) from error
    reading = read_mesh(text)
    if reading.mesh is None:
        raise MeshInvalid(str(path), reading.faults)
    return reading.mesh


def read_mesh(text: bytes) -> Reading:
    """The mesh that a YAML text describes, or its faults; never raises."""
    source = read_yaml(text)
    if source.values is None:
        return Reading(None, tuple(source.faults), source)
    faults = list(source.faults)
    mesh, errors = _validate(source.values)
    faults += [translate(error, Mesh) for error in errors]
    doubtful: frozenset[str] = frozenset()
    draft = mesh
    if draft is None:
        mended, doubtful = mend(source.values, errors, Mesh)
        draft, _ = _validate(mended)
    if draft is not None:
        findings = Findings(doubtful)
        check(draft, findings)
        faults += findings.faults
    ordered = tuple(sorted(faults, key=lambda fault: source.line(fault.place)))
    return Reading(None if ordered else mesh, ordered, source)


def _validate(values: object) -> tuple[Mesh | None, list[ErrorDetails]]:
    try:
        return Mesh.model_validate(values), []
    except ValidationError as error:
        errors = error.errors(include_url=False)
        # Pydantic does not count wrong items; but a list of one wrong item is not an empty list.
        return None, [each for each in errors if each["type"] != "too_short" or not each["input"]]
