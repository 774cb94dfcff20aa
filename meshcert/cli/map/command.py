"""``meshcert map``: the page of a mesh file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from meshcert.cli import exit_codes
from meshcert.cli.map.page import Shown, page
from meshcert.cli.mesh_file import read_for
from meshcert.cli.options import mesh_option
from meshcert.cli.terminal import tell

if TYPE_CHECKING:
    from meshcert.cli.options import ChosenMesh

_MAP = """\b
  meshcert map --output map.html          from ./mesh.yaml alone
  meshcert status --json > status.json
  meshcert map --status status.json --output map.html

Exit codes: 0 the page is written, 64 the mesh file or the status cannot be read, or has faults.
"""


@click.command("map", short_help="Draw a mesh file: who calls whom, and who is refused.", epilog=_MAP)
@click.option("--output", "output", type=click.Path(path_type=Path), required=True, help="The HTML file to write.")
@mesh_option
@click.pass_obj
def draw(chosen: ChosenMesh, output: Path) -> None:
    """
    Write one HTML page that shows a mesh: services, who calls whom, how, and who is refused and why.

    Everything is in the one file; it asks no network for anything. Nothing is sent anywhere; AWS is not asked.
    """
    file = chosen.file()
    reading = read_for(file)
    if reading is None or reading.mesh is None:
        sys.exit(exit_codes.USAGE)
    drawn = page(Shown(reading.mesh, file.name, reading.source.line))
    try:
        output.write_text(drawn.text, encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"{output} cannot be written: {error.strerror}") from error
    tell(f"{output}: {drawn.told}; open it in a browser")
