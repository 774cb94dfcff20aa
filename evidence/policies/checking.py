"""What ``meshcert check`` says of a cell's mesh file, against what becomes of its requests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from evidence.policies.matrix import Result, Source, expected
from evidence.policies.meshes import PolicyMeshes
from meshcert.mesh import read_mesh

if TYPE_CHECKING:
    from evidence.policies.matrix import Cell

_MESHES = PolicyMeshes(Path("/keys"))


def misjudged(cell: Cell) -> str:
    """
    What is wrong with the answer; empty if it is right.

    A call that can never succeed is a fault of the file, as far as the file shows it: not what is in a certificate that
    comes from a file or an agent.
    """
    result = expected(cell)
    of_names = result in {Result.WRONG_SERVER, Result.WRONG_CLIENT}
    is_shown = result is Result.WRONG_SERVER and cell.source is Source.ACM if of_names else not result.is_answered
    faults = read_mesh(json.dumps(_MESHES.values(cell)).encode()).faults
    return "" if bool(faults) == is_shown else f"{result}; faults: {', '.join(map(str, faults)) or 'none'}"
