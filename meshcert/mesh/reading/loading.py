"""Read a mesh file: the result is a :class:`~meshcert.mesh.mesh.Mesh`, or every fault of the file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import ValidationError

from meshcert.errors import Fault, MeshInvalid
from meshcert.mesh.cells.checks import check_crossings
from meshcert.mesh.checks import check
from meshcert.mesh.checks.limits import check_limits_of_cells
from meshcert.mesh.checks.rendered import check_rendered
from meshcert.mesh.checks.renewals import check_rollouts
from meshcert.mesh.checks.stacks.logical_ids import check_logical_ids
from meshcert.mesh.findings import Findings
from meshcert.mesh.mesh import Mesh
from meshcert.mesh.reading.app_mesh_keys import PlainKeys, plain_keys
from meshcert.mesh.reading.mending import mend
from meshcert.mesh.reading.source import MOST_BYTES, WHOLE_FILE, Source, read_yaml
from meshcert.mesh.reading.translation import translate

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic_core import ErrorDetails


MOST_FAULTS = 100
"""Of one file that are told at once."""


@dataclass(frozen=True)
class Reading:
    """
    The result of reading a mesh file.

    Args:
        mesh: The mesh; None if there are faults.
        faults: Every fault, in the file's order, but no more than :data:`MOST_FAULTS`, and then how many there are.
        source: The text, with the line of each place.
        keys: Where the file has the places of its values.
    """

    mesh: Mesh | None
    faults: tuple[Fault, ...]
    source: Source
    keys: PlainKeys = field(default_factory=PlainKeys)


def load_mesh(path: Path) -> Mesh:
    """
    The mesh that a file describes, complete and free of contradictions.

    Not checked: whether the applications' folders exist, or what is deployed already.

    Raises:
        MeshInvalid: If it cannot be read or deployed; it lists all faults at once.
    """
    try:
        text = read_bounded(path)
    except OSError as error:
        problem = f"it cannot be read: {error.strerror}"
        raise MeshInvalid(
            str(path), (Fault(WHOLE_FILE, problem, "Name a mesh file, for example mesh.yaml"),)
        ) from error
    reading = read_mesh(text)
    if reading.mesh is None:
        raise MeshInvalid(str(path), reading.faults)
    return reading.mesh


def read_bounded(path: Path) -> bytes:
    """
    The content of a mesh file, of one that is too long only a part: :func:`read_mesh` says so.

    Raises:
        OSError: If it cannot be read.
    """
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)


def read_mesh(text: bytes) -> Reading:
    """The mesh that a YAML text describes, or its faults; never raises."""
    source = read_yaml(text)
    if source.values is None:
        return Reading(None, tuple(source.faults), source)
    plain = plain_keys(source.values, Mesh)
    faults = [*source.faults, *plain.faults]
    mesh, errors = _validate(plain.values)
    found = [translate(error, Mesh) for error in errors[:MOST_FAULTS]]
    doubtful: frozenset[str] = frozenset()
    draft = mesh
    if draft is None and len(errors) <= MOST_FAULTS:
        mended, doubtful = mend(plain.values, errors, Mesh)
        draft, _ = _validate(mended)
    if draft is not None:
        findings = Findings(doubtful)
        check(draft, findings)
        if mesh and not (findings.faults or source.faults or plain.faults):
            check_crossings(mesh, findings)
            check_limits_of_cells(mesh, findings)
            check_rendered(mesh, findings)
            check_logical_ids(mesh, findings)
            check_rollouts(mesh, findings)
        found += findings.faults
    faults += map(plain.as_written, found)
    ordered = tuple(sorted(faults, key=lambda fault: source.line(fault.place)))
    ordered = tuple(fault.without_keys() for fault in ordered)
    more = len(ordered) + max(len(errors) - MOST_FAULTS, 0) - MOST_FAULTS
    if more > 0:
        problem = f"there are {more} more faults"
        ordered = (*ordered[:MOST_FAULTS], Fault(WHOLE_FILE, problem, "Mend the others first"))
    return Reading(None if ordered else mesh, ordered, source, plain)


def _validate(values: object) -> tuple[Mesh | None, list[ErrorDetails]]:
    try:
        return Mesh.model_validate(values), []
    except ValidationError as error:
        errors = error.errors(include_url=False)
        # Pydantic does not count wrong items; but a list of one wrong item is not an empty list.
        return None, [each for each in errors if each["type"] != "too_short" or not each["input"]]
