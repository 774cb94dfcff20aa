"""Which cell an identity is in, for a client that was given another one's credentials or region."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert import naming
from meshcert.errors import IdentityElsewhere, MeshcertError
from meshcert.mesh.cells.placing import cells_of_identities

if TYPE_CHECKING:
    from meshcert.cli.account import Account
    from meshcert.mesh import Mesh


def elsewhere(mesh: Mesh | None, account: Account, name: str) -> IdentityElsewhere | None:
    """
    What to tell of an identity that could not be fetched, if another cell holds it; None if not, or nobody knows.

    Args:
        mesh: As its file declares it; None if none is at hand.
        name: Name of the identity.
    """
    if mesh is None or name not in mesh.identities:
        return None
    holders = sorted(cells_of_identities(mesh)[name] & mesh.cells.keys())
    try:
        caller = account.caller()
    except MeshcertError:
        return None
    if not holders or any(
        (mesh.cells[cell].account, mesh.cells[cell].region) == (caller, account.region) for cell in holders
    ):
        return None
    cell, place = holders[0], mesh.cells[holders[0]]
    role = naming.role_arn(place.region, place.account, naming.client_role(mesh.name, place.region, name))
    who = f"one that assumes {role}" if mesh.identities[name].client else f"one of account {place.account}"
    return IdentityElsewhere(
        name,
        f"cell {cell} (account {place.account}, {place.region})",
        f"account {caller or 'of these credentials'} in {account.region}",
        f"Set AWS_PROFILE to {who}, and AWS_REGION to {place.region}",
    )
