"""
``python -m tests.e2e.assemblies FOLDER MESH-FILE...``: several mesh files' cloud assemblies, from one process.

Each is what ``cdk synth`` writes, to the byte; that starts Python and node and bundles the functions for each of them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from aws_cdk import App

from app import build
from local.cdk import ROOT, app_context

AS_THE_CLI_SAYS = {
    "aws:cdk:enable-path-metadata": True,
    "aws:cdk:enable-asset-metadata": True,
    "aws:cdk:version-reporting": True,
    "aws:cdk:bundling-stacks": ["**"],
}


def main(folder: Path, meshes: list[Path]) -> None:
    """Write each assembly into a folder of its mesh file's name."""
    context = json.loads((ROOT / "cdk.json").read_text())["context"] | AS_THE_CLI_SAYS
    for mesh in meshes:
        build(App(outdir=str(folder / mesh.stem), context=context | app_context(mesh))).synth()


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
