"""What the mesh file wants of CAs of the user's."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from meshcert.identity import IssuerName
from meshcert.issuing.existing_authority import WantedAuthority
from meshcert.mesh.issuance import Usage

if TYPE_CHECKING:
    from meshcert.mesh.mesh import Mesh

USAGE_MODES = {Usage.GENERAL_PURPOSE: "GENERAL_PURPOSE", Usage.SHORT_LIVED: "SHORT_LIVED_CERTIFICATE"}
"""By AWS Private CA's names (CreateCertificateAuthority, UsageMode)."""


def wanted_authority(mesh: Mesh, hierarchy: str) -> WantedAuthority | None:
    """
    What the CA of a hierarchy has to be, if it is the user's; None if a deploy makes it.

    Raises:
        KeyError: If there is no such hierarchy.
    """
    declared = mesh.hierarchies[hierarchy]
    if not declared.existing:
        return None
    signed = [identity for identity in mesh.identities.values() if identity.hierarchy == hierarchy]
    return WantedAuthority(
        hierarchy,
        declared.existing.arn,
        declared.key_algorithm.value,
        USAGE_MODES[declared.usage],
        max((identity.life for identity in signed), default=dt.timedelta()),
        any(identity.issuer is IssuerName.ACM for identity in signed),
    )
