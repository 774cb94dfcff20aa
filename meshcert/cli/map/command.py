"""``meshcert map``: the page of a mesh file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from meshcert.bounded_json import JsonInvalid, read_json
from meshcert.cli import exit_codes
from meshcert.cli.map.page import Shown, StatusUnreadable, page
from meshcert.cli.mesh_file import read_for
from meshcert.cli.options import mesh_option
from meshcert.cli.terminal import tell

if TYPE_CHECKING:
    from meshcert.cli.options import ChosenMesh

_MOST_BYTES = 1 << 24
"""Of a status: that of a thousand identities has four million."""
_MAP = """\b
  meshcert map --output map.html          from ./mesh.yaml alone
  meshcert status --live --json > status.json
  meshcert map --status status.json --output map.html

Exit codes: 0 the page is written, 64 the mesh file or the status cannot be read, or has faults.
"""


@click.command("map", short_help="Draw a mesh file: who calls whom, and who is refused.", epilog=_MAP)
@click.option("--output", "output", type=click.Path(path_type=Path), required=True, help="The HTML file to write.")
@click.option("--status", "status", type=click.Path(path_type=Path), help="What `meshcert status --json` has written.")
@mesh_option
@click.pass_obj
def draw(chosen: ChosenMesh, output: Path, status: Path | None) -> None:
    """
    Write one HTML page that shows a mesh: services, who calls whom, how, and who is refused and why.

    Everything is in the one file; it asks no network for anything. Nothing is sent anywhere; AWS is not asked.
    """
    file = chosen.file()
    reading = read_for(file)
    if reading is None or reading.mesh is None:
        sys.exit(exit_codes.USAGE)
    seen = _status(status, reading.mesh.name) if status else None
    try:
        drawn = page(Shown(reading.mesh, file.name, reading.source.line, seen))
    except StatusUnreadable as error:
        raise click.UsageError(f"{status}: {error}") from error
    try:
        output.write_text(drawn.text, encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"{output} cannot be written: {error.strerror}") from error
    tell(f"{output}: {drawn.told}; open it in a browser")


def _status(path: Path, mesh: str) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            seen = read_json(file.read(_MOST_BYTES + 1), _MOST_BYTES)
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}") from error
    except JsonInvalid as error:
        raise click.UsageError(f"{path}: {error}. Write it with `meshcert status --json`") from error
    if not isinstance(seen, dict) or seen.get("mesh") != mesh:
        raise click.UsageError(
            f"{path} is no status of mesh {mesh}. Write it with `meshcert status --mesh {mesh} --json`"
        )
    return seen
