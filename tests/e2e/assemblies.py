"""
Mesh files' cloud assemblies without the CDK CLI: each is what ``cdk synth`` writes, to the byte.

The CLI starts Python and node for each of them, which is most of a synthesis.

``python -m tests.e2e.assemblies FOLDER MESH-FILE...`` writes several, for whoever must not know the CDK.
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


def synthesise(mesh: Path, assembly: Path) -> Path:
    """
    Write a mesh file's cloud assembly.

    Args:
        assembly: Folder to write to.

    Returns:
        ``assembly``.
    """
    context = json.loads((ROOT / "cdk.json").read_text())["context"] | AS_THE_CLI_SAYS
    build(App(outdir=str(assembly), context=context | app_context(mesh))).synth()
    return assembly


if __name__ == "__main__":
    for name in sys.argv[2:]:
        synthesise(Path(name), Path(sys.argv[1]) / Path(name).stem)
