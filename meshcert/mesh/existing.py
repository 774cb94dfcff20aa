"""CAs of the user's: what the mesh file wants of them, and the roots that it names as files."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from cryptography import x509

from meshcert.errors import Fault, MeshInvalid
from meshcert.identity import IssuerName
from meshcert.issuing.existing_authority import WantedAuthority
from meshcert.material import ListSource
from meshcert.material.certificate_facts import extension_of, load_certificates
from meshcert.mesh.issuance import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from meshcert.mesh.mesh import Mesh

MOST_BYTES = 65_536
"""Of a file: certificates have a few thousand."""
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


def named_lists(mesh: Mesh, hierarchies: Iterable[str]) -> tuple[ListSource, ...]:
    """
    The revocation lists of CAs of the user's that proxies read, each once, without the CAs that sign them.

    Args:
        hierarchies: Names of hierarchies; those whose CAs a deploy makes, or whose lists nobody reads, have none.
    """
    declared = (mesh.hierarchies[name] for name in hierarchies)
    return tuple(
        dict.fromkeys(
            ListSource.at(location)
            for each in declared
            if each.existing and each.writes_lists
            for location in each.existing.lists
        )
    )


def roots_in_files(mesh: Mesh, root: Path) -> dict[str, str]:
    """
    The root of each CA of the user's, by its ARN: a certificate, PEM.

    Args:
        root: The folder from which files are named.

    Raises:
        MeshInvalid: With every file that cannot be read or holds no root certificate.
    """
    roots: dict[str, str] = {}
    faults = tuple(_read(mesh, root, roots))
    if faults:
        raise MeshInvalid("roots of existing CAs", faults)
    return roots


def _read(mesh: Mesh, root: Path, roots: dict[str, str]) -> Iterator[Fault]:
    for name, hierarchy in mesh.hierarchies.items():
        if not hierarchy.existing:
            continue
        place, file = f"hierarchies.{name}.existing.root", hierarchy.existing.root
        how = (
            "aws acm-pca get-certificate-authority-certificate --certificate-authority-arn "
            f"{hierarchy.existing.arn} prints the chain: the root is its last certificate, or a root CA's own"
        )
        try:
            with (root / file).open("rb") as opened:
                text = opened.read(MOST_BYTES).decode("ascii", "replace")
        except OSError as error:
            yield Fault(place, f"{file} cannot be read: {error.strerror}", f"Correct the path, or make it: {how}")
            continue
        if problem := _no_root(text):
            yield Fault(place, f"{file} {problem}", f"Put the root certificate into it, and no other: {how}")
        else:
            roots[hierarchy.existing.arn] = text.strip() + "\n"


def _no_root(text: str) -> str:
    """Why a file does not hold a root certificate; empty if it does."""
    try:
        found = load_certificates(text)
    except ValueError:
        return "holds no certificate as PEM"
    if len(found) != 1:
        return f"holds {len(found)} certificates"
    constraints = extension_of(found[0], x509.BasicConstraints)
    if found[0].issuer != found[0].subject or constraints is None or not constraints.ca:
        return f"holds a certificate of {found[0].subject.rfc4514_string()}, which is no root CA's"
    return ""
