"""What the allow rules of a listener let a caller ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection

    from meshcert.mesh.mesh import Mesh
    from meshcert.proxy import Listener


class AllowedPaths(NamedTuple):
    """
    What a caller may ask for, by the rules' paths: one with ``*`` at its end is a prefix, and the longest decides.

    Args:
        allowed: Paths of the rules that admit it.
        refused: Paths of the others.
    """

    allowed: tuple[str, ...]
    refused: tuple[str, ...]

    def __str__(self) -> str:
        if not self.allowed:
            return f"none; {' and '.join(self.refused)} are for others"
        others = f", not {' or '.join(self.refused)}" if self.refused else ""
        return f"{' and '.join(self.allowed)}{others}"


def allowed_paths(mesh: Mesh, listener: Listener, presented: Collection[str]) -> AllowedPaths | None:
    """
    What a caller may ask for at a listener.

    Args:
        presented: The identities that it may present, none if its certificates are the user's.

    Returns:
        None if the listener has no rules, or nobody knows the caller's names.
    """
    if not listener.allow or not presented:
        return None
    names = [name for identity in presented for name in mesh.identities[identity].names]
    admits = {str(rule): rule.admits(names) for rule in listener.allow}
    return AllowedPaths(
        tuple(path for path, admitted in admits.items() if admitted),
        tuple(path for path, admitted in admits.items() if not admitted),
    )
