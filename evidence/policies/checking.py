"""What ``meshcert check`` says of a cell's mesh file, against what becomes of its requests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from evidence.policies.matrix import Client, Result, Server, Source, expected
from evidence.policies.meshes import PolicyMeshes
from meshcert.mesh import read_mesh

if TYPE_CHECKING:
    from evidence.policies.matrix import Cell

_MESHES = PolicyMeshes(Path("/keys"))


def misjudged(cell: Cell) -> str:
    """
    What is wrong with the answer; empty if it is right.

    A call that can never succeed is a fault of the file, as far as the file shows it: it has the names of identities,
    and not those in certificates from a file or an agent.
    """
    result = expected(cell)
    match result:
        case Result.WRONG_SERVER:
            # That the caller would have been refused as well is shown in any case.
            is_shown = cell.source is Source.ACM or (cell.server is Server.MUTUAL and cell.client is Client.NONE)
        case Result.WRONG_CLIENT:
            is_shown = cell.source is Source.ACM and cell.client is Client.ACM
        case _:
            is_shown = not result.is_answered
    faults = read_mesh(json.dumps(_MESHES.values(cell)).encode()).faults
    return "" if bool(faults) == is_shown else f"{result}; faults: {', '.join(map(str, faults)) or 'none'}"
