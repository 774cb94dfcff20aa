"""``python -m meshcert.mesh``: check a mesh file, print its JSON Schema."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from meshcert.mesh.loading import Reading, read_mesh
from meshcert.mesh.schema import json_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

_ABOUT = """\
The mesh file declares who signs (hierarchies), who is signed (identities), what the Envoys do
(virtual_gateways, virtual_nodes, in App Mesh's nesting) and where they run (services).
"""

_CHECK = """\
Reads the file as a deploy would and reports every fault at once: its line, its place, what is wrong and
what to do. Nothing is sent anywhere; AWS is not asked.

  python -m meshcert.mesh check                          check ./mesh.yaml
  python -m meshcert.mesh check examples/color/one-way.yaml
  python -m meshcert.mesh check --json | jq '.faults[]'  for editors and CI

Exit code: 0 no fault, 1 faults, 2 the file cannot be read or the command is wrong.
"""

_SCHEMA = """\
Prints the JSON Schema, so that an editor completes keys and explains them:

  python -m meshcert.mesh schema > mesh.schema.json

then write as the first line of the mesh file, for the YAML language server:

  # yaml-language-server: $schema=mesh.schema.json

The schema knows what may be written where. What must fit together (a key its CA can sign, a name the
peer accepts), only `check` knows.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command line.

    Args:
        arguments: Its arguments; None takes the program's own.

    Returns:
        The exit code: 0 no fault, 1 faults.

    Raises:
        SystemExit: With 2 if the command is wrong or the file cannot be read.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command == "schema":
        sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
        return 0
    try:
        reading = read_mesh(options.file.read_bytes())
    except OSError as error:
        parser.error(f"{options.file} cannot be read: {error.strerror}. Name a mesh file, for example mesh.yaml")
    sys.stdout.write(_as_json(options.file, reading) if options.json else _as_text(options.file, reading))
    return 1 if reading.faults else 0


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m meshcert.mesh", description=_ABOUT, formatter_class=layout)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    check = commands.add_parser("check", help="report every fault of a mesh file", description=_CHECK)
    check.formatter_class = layout
    check.add_argument("file", nargs="?", type=Path, default=Path("mesh.yaml"), help="the mesh file (mesh.yaml)")
    check.add_argument("--json", action="store_true", help="print the faults as JSON: line, place, problem, remedy")
    schema = commands.add_parser("schema", help="print the JSON Schema for editors", description=_SCHEMA)
    schema.formatter_class = layout
    return parser


def _as_json(path: Path, reading: Reading) -> str:
    faults = [
        {
            "line": reading.source.line(fault.place),
            "place": fault.place,
            "problem": fault.problem,
            "remedy": fault.remedy,
        }
        for fault in reading.faults
    ]
    return json.dumps({"file": str(path), "faults": faults}, indent=2) + "\n"


def _as_text(path: Path, reading: Reading) -> str:
    if reading.mesh is None:
        lines = [f"{path}:{reading.source.line(fault.place)}: {fault}" for fault in reading.faults]
        return "\n".join([*lines, f"{len(lines)} fault{'s' if len(lines) > 1 else ''}"]) + "\n"
    mesh = reading.mesh
    counts = {
        "hierarchies": len(mesh.hierarchies),
        "identities": len(mesh.identities),
        "proxies": len(mesh.virtual_gateways) + len(mesh.virtual_nodes),
        "services": len(mesh.services),
    }
    return f"{path}: mesh {mesh.mesh.name}: {', '.join(f'{n} {name}' for name, n in counts.items())}; no fault\n"


if __name__ == "__main__":
    sys.exit(main())
