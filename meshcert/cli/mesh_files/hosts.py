"""The answer of ``meshcert why A B`` where B is a host outside the mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshcert.mesh import Mesh
    from meshcert.mesh.edges.hosts import HostPermission


def host_facts(mesh: Mesh, one: HostPermission, where: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """Label and text of each line below the answer. ``where``: a place with its line."""
    client = one.edge.client if one.edge else None
    presented = one.edge.presented if one.edge else ""
    yield "because", one.reason
    yield "declared", ", ".join(map(where, one.edge.places)) if one.edge else "no"
    yield "group", one.group
    if one.edge:
        yield (
            "A proves",
            f"{presented} ({', '.join(map(str, mesh.identities[presented].names))})" if presented else "nothing",
        )
        if client is None:
            yield "B proves", "nothing: it is called in plain text"
        else:
            names = " or ".join(map(str, client.subject_alternative_names)) or mesh.host(one.node)
            signers = (
                f"hierarchy {' or '.join(mesh.trusted(client.hierarchy))}" if client.hierarchy else str(client.trust)
            )
            yield "B proves", f"A demands the name {names}, signed by {signers}"


def host_document(one: HostPermission, placed: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """The answer for scripts. ``placed``: a place with its line, as JSON."""
    client = one.edge.client if one.edge else None
    return {
        "caller": one.caller,
        "callee": one.node,
        "host": one.host,
        "allowed": one.allowed,
        "reason": one.reason,
        "declared": [placed(place) for place in one.edge.places] if one.edge else [],
        "manner": str(one.edge.manner) if one.edge else None,
        "security_group": one.group,
        "presented": one.edge.presented or None if one.edge else None,
        "trust": (client.hierarchy or str(client.trust)) if client else None,
        "changes": [placed(change.place) | {"value": change.value} for change in one.changes],
    }
