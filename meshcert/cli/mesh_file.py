"""``meshcert check`` and ``meshcert schema``, which work on a mesh file without AWS."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import meshcert
from meshcert.cli import exit_codes
from meshcert.cli.costs.offline import offline_plan
from meshcert.cli.options import DEFAULT_MESH_FILE, ChosenMesh, mesh_option
from meshcert.cli.screen import Screen, show_costs, show_issuing, show_lines
from meshcert.cli.terminal import SCHEMA, counted, tell_aside, tell_json, tell_lines
from meshcert.errors import MeshInvalid
from meshcert.mesh.checks.federation.files import bundles_in_files
from meshcert.mesh.checks.findings import findings_of
from meshcert.mesh.checks.limits import MOST_RESOURCES
from meshcert.mesh.existing import roots_in_files
from meshcert.mesh.reading.loading import read_bounded, read_mesh
from meshcert.mesh.reading.schema import json_schema

if TYPE_CHECKING:
    from meshcert.errors import Fault
    from meshcert.mesh import Reading

REPOSITORY = Path(meshcert.__file__).resolve().parents[1]
"""The folder from which a mesh file names its applications' folders."""
FAULTS = 1
UNREADABLE = 2

_CHECK = """\b
  meshcert check                          checks ./mesh.yaml
  meshcert check examples/color/one-way.yaml
  meshcert check --json | jq '.faults[]'  for editors and CI

Exit codes: 0 no fault (findings are none), 1 faults, 2 the file cannot be read.
"""
_SCHEMA = """\b
  meshcert schema > mesh.schema.json

Then write as the first line of the mesh file, for the YAML language server:

\b
  # yaml-language-server: $schema=mesh.schema.json
"""


@click.command(short_help="Report every fault of a mesh file.", epilog=_CHECK)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--json", "as_document", is_flag=True, help="The faults as JSON: line, place, problem, remedy.")
@mesh_option
@click.pass_obj
def check(chosen: ChosenMesh, file: Path | None, *, as_document: bool) -> None:
    """
    Report every fault of a mesh file at once.

    It is read as a deploy would read it: each fault comes with its line, its place, what is wrong and what to do.
    Findings are what a deploy would take, and nobody can have meant: a node that nobody calls, for example.
    Nothing is sent anywhere; AWS is not asked.
    """
    path = file or (chosen.file() if chosen.said else DEFAULT_MESH_FILE)
    reading = _read(path)
    if reading is None:
        sys.exit(UNREADABLE)
    if as_document:
        tell_json(_document(path, reading))
    else:
        tell_lines(_as_text(path, reading))
    sys.exit(FAULTS if _faults(reading) else 0)


def show_offline(path: Path, *, as_document: bool) -> int:
    """
    Check a mesh file, and show what it would cost.

    Returns:
        The exit code: that of a wrong command line if the file has faults or cannot be read.
    """
    reading = _read(path)
    if reading is None:
        return exit_codes.USAGE
    if reading.mesh is None:
        if as_document:
            tell_json(_document(path, reading))
        else:
            tell_lines(_as_text(path, reading), aside=True)
        return exit_codes.USAGE
    planned = offline_plan(reading.mesh)
    if as_document:
        head = {"schema": SCHEMA, "mesh": reading.mesh.name, **_document(path, reading)}
        tell_json(head | planned.document())
        return exit_codes.SETTLED
    tell_lines(_as_text(path, reading))
    screen = Screen()
    show_costs(screen, planned.month)
    show_issuing(screen, planned.issuing)
    screen.line()
    dollars = f"About ${planned.workload_dollars:,.2f} a month"
    screen.line((dollars, "bold"), " for what runs anyway, without traffic and logs")
    show_lines(screen, planned.workload)
    sizes = ", ".join(f"{stack} {count}" for stack, count in planned.resources.items())
    screen.line()
    screen.line(("Resources", "bold"), f" of {MOST_RESOURCES} that a stack may have: {sizes}")
    return exit_codes.SETTLED


def read_for(path: Path) -> Reading | None:
    """A mesh file's content, its faults told on standard error; None if it cannot be read, which is told as well."""
    reading = _read(path)
    if reading is not None and reading.mesh is None:
        tell_lines(_as_text(path, reading), aside=True)
    return reading


def _read(path: Path) -> Reading | None:
    try:
        return read_mesh(read_bounded(path))
    except OSError as error:
        problem = f"{path} cannot be read: {error.strerror}. Name a mesh file, for example mesh.yaml"
        tell_aside(f"meshcert: {problem}")
        return None


@click.command(short_help="Print the mesh file's JSON Schema for editors.", epilog=_SCHEMA)
def schema() -> None:
    """
    Print the JSON Schema, so that an editor completes keys and explains them.

    The schema knows what may be written where. What must fit together (a key its CA can sign, a name the peer accepts),
    only `check` knows.
    """
    tell_json(json_schema())


def _document(path: Path, reading: Reading) -> dict[str, Any]:
    return {
        "file": str(path),
        "faults": [_placed(reading, fault) for fault in _faults(reading)],
        "findings": [_placed(reading, finding) for finding in _findings(reading)],
    }


def _placed(reading: Reading, fault: Fault) -> dict[str, Any]:
    return {
        "line": reading.source.line(fault.place),
        "place": fault.place,
        "problem": fault.problem,
        "remedy": fault.remedy,
    }


def _faults(reading: Reading) -> tuple[Fault, ...]:
    """Those of the mesh file, or of the files that it names: a deploy refuses either."""
    if reading.mesh is None:
        return reading.faults
    faults: list[Fault] = []
    for read in (bundles_in_files, roots_in_files):
        try:
            read(reading.mesh, REPOSITORY)
        except MeshInvalid as error:
            faults += (reading.keys.as_written(fault.without_keys()) for fault in error.faults)
    return tuple(faults)


def _findings(reading: Reading) -> tuple[Fault, ...]:
    found = map(reading.keys.as_written, findings_of(reading.mesh, REPOSITORY) if reading.mesh else ())
    refused = _faults(reading)
    return tuple(each for each in found if each not in refused)


def _as_text(path: Path, reading: Reading) -> list[str]:
    faults = _faults(reading)
    found = faults or _findings(reading)
    lines = [f"{path}:{reading.source.line(each.place)}: {each}" for each in found]
    if reading.mesh is None or faults:
        return [*lines, counted(len(lines), "fault")]
    mesh = reading.mesh
    counts = {
        "hierarchies": len(mesh.hierarchies),
        "identities": len(mesh.identities),
        "proxies": len(mesh.virtual_gateways) + len(mesh.virtual_nodes),
        "services": len(mesh.services),
    }
    told = f", {counted(len(lines), 'finding')}" if lines else ""
    summary = f"{path}: mesh {mesh.name}: {', '.join(f'{n} {name}' for name, n in counts.items())}; no fault{told}"
    return [*lines, summary]
