"""``meshcert check`` and ``meshcert schema``, which work on a mesh file without AWS."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from meshcert.cli.terminal import tell_aside, tell_json, tell_lines
from meshcert.mesh.loading import read_mesh
from meshcert.mesh.schema import json_schema

if TYPE_CHECKING:
    from meshcert.mesh import Reading

FAULTS = 1
UNREADABLE = 2

_CHECK = """\b
  meshcert check                          checks ./mesh.yaml
  meshcert check examples/color/one-way.yaml
  meshcert check --json | jq '.faults[]'  for editors and CI

Exit codes: 0 no fault, 1 faults, 2 the file cannot be read.
"""
_SCHEMA = """\b
  meshcert schema > mesh.schema.json

Then write as the first line of the mesh file, for the YAML language server:

\b
  # yaml-language-server: $schema=mesh.schema.json
"""


@click.command(short_help="Report every fault of a mesh file.", epilog=_CHECK)
@click.argument("file", type=click.Path(path_type=Path), default="mesh.yaml")
@click.option("--json", "as_document", is_flag=True, help="The faults as JSON: line, place, problem, remedy.")
def check(file: Path, *, as_document: bool) -> None:
    """
    Report every fault of a mesh file at once.

    It is read as a deploy would read it: each fault comes with its line, its place, what is wrong and what to do.
    Nothing is sent anywhere; AWS is not asked.
    """
    try:
        reading = read_mesh(file.read_bytes())
    except OSError as error:
        problem = f"{file} cannot be read: {error.strerror}. Name a mesh file, for example mesh.yaml"
        tell_aside(f"meshcert: {problem}")
        sys.exit(UNREADABLE)
    if as_document:
        tell_json(_as_document(file, reading))
    else:
        tell_lines(_as_text(file, reading))
    sys.exit(FAULTS if reading.faults else 0)


@click.command(short_help="Print the mesh file's JSON Schema for editors.", epilog=_SCHEMA)
def schema() -> None:
    """
    Print the JSON Schema, so that an editor completes keys and explains them.

    The schema knows what may be written where. What must fit together (a key its CA can sign, a name the peer accepts),
    only `check` knows.
    """
    tell_json(json_schema())


def _as_document(path: Path, reading: Reading) -> dict[str, Any]:
    faults = [
        {
            "line": reading.source.line(fault.place),
            "place": fault.place,
            "problem": fault.problem,
            "remedy": fault.remedy,
        }
        for fault in reading.faults
    ]
    return {"file": str(path), "faults": faults}


def _as_text(path: Path, reading: Reading) -> list[str]:
    if reading.mesh is None:
        lines = [f"{path}:{reading.source.line(fault.place)}: {fault}" for fault in reading.faults]
        return [*lines, f"{len(lines)} fault{'s' if len(lines) > 1 else ''}"]
    mesh = reading.mesh
    counts = {
        "hierarchies": len(mesh.hierarchies),
        "identities": len(mesh.identities),
        "proxies": len(mesh.virtual_gateways) + len(mesh.virtual_nodes),
        "services": len(mesh.services),
    }
    return [f"{path}: mesh {mesh.name}: {', '.join(f'{n} {name}' for name, n in counts.items())}; no fault"]
