"""Which cell an identity is in, for a client that was given another one's credentials or region."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert import naming
from meshcert.errors import IdentityElsewhere, IdentityMissing, MeshcertError
from meshcert.mesh.cells.placing import cells_of_identities

if TYPE_CHECKING:
    from meshcert.cli.account import Account
    from meshcert.mesh import Mesh


def elsewhere(mesh: Mesh | None, account: Account, name: str, error: MeshcertError) -> MeshcertError | None:
    """
    What to tell of an identity that could not be fetched, if it may be in another account or region than was asked.

    Args:
        mesh: As its file declares it; None if none is at hand, as on a client's machine.
        name: Name of the identity.
        error: Why it could not be fetched.

    Returns:
        An error that says where it is, or where it is not; None if the error as it is says more.
    """
    try:
        caller = account.caller()
    except MeshcertError:
        return None
    holders = sorted(cells_of_identities(mesh)[name] & mesh.cells.keys()) if mesh and name in mesh.identities else []
    if not mesh or not holders:
        return _not_there(account, caller, error) if isinstance(error, IdentityMissing) else None
    if (caller, account.region) in {(mesh.cells[cell].account, mesh.cells[cell].region) for cell in holders}:
        return None
    cell, place = holders[0], mesh.cells[holders[0]]
    role = naming.role_arn(place.region, place.account, naming.client_role(mesh.name, place.region, name))
    who = f"one that assumes {role}" if mesh.identities[name].client else f"one of account {place.account}"
    return IdentityElsewhere(
        name,
        f"cell {cell} (account {place.account}, {place.region})",
        f"account {caller} in {account.region}",
        f"Set AWS_PROFILE to {who}, and AWS_REGION to {place.region}",
    )


def _not_there(account: Account, caller: str, error: IdentityMissing) -> IdentityMissing:
    remedy = f"{error.remedy}. If it is in another account, region or cell, set AWS_PROFILE and AWS_REGION to its own"
    return IdentityMissing(f"{error.resource}, of account {caller} in {account.region},", remedy)
