"""The audit log of a running mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert import naming

if TYPE_CHECKING:
    from local.running_mesh import RunningMesh


def audit(mesh: RunningMesh, identity: str) -> list[dict[str, str]]:
    """The audit log's lines about an identity, the oldest first."""
    lines = [line for line in mesh.log_lines(naming.AUDIT) if line["identity"] == identity]
    return sorted(lines, key=lambda line: line["at"])


def actions(lines: list[dict[str, str]]) -> list[str]:
    """What was done, in order."""
    return [line["action"] for line in lines]
