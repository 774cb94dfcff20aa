"""CAs of the user's: what the mesh file wants of them, and the roots that it names as files."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from meshcert.errors import Fault, MeshInvalid
from meshcert.identity import IssuerName
from meshcert.issuing.existing_authority import WantedAuthority
from meshcert.material import ListSource
from meshcert.material.certificate_facts import UNREADABLE, extension_of, load_certificates
from meshcert.mesh.issuance import Usage
from meshcert.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from meshcert.mesh.issuance import ExistingAuthority, SharedAuthority
    from meshcert.mesh.mesh import Mesh

MOST_BYTES = 65_536
"""Of a file: certificates have a few thousand."""
_PRIVATE_KEY = re.compile("BEGIN [A-Z0-9 ]*PRIVATE KEY")
USAGE_MODES = {Usage.GENERAL_PURPOSE: "GENERAL_PURPOSE", Usage.SHORT_LIVED: "SHORT_LIVED_CERTIFICATE"}
"""By AWS Private CA's names (CreateCertificateAuthority, UsageMode)."""


def wanted_authority(mesh: Mesh, hierarchy: str) -> WantedAuthority | None:
    """
    What the CA of a hierarchy has to be, if it is the user's; None if a deploy makes it, or if it signs nothing here.

    Raises:
        KeyError: If there is no such hierarchy.
    """
    declared = mesh.hierarchies[hierarchy]
    if not declared.existing or declared.is_remote:
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


def doubtful_roots(mesh: Mesh, root: Path, now: dt.datetime) -> Iterator[Fault]:
    """
    What is amiss with the files that name roots of CAs, those that cells share among them.

    A deploy takes a root that is not valid now: the CA's chain may end in one that was reissued on the same key.

    Args:
        root: The folder from which files are named.
        now: The time, UTC.
    """
    for place, named in _named(mesh):
        try:
            certificate = load_certificates(_root_in(place, named, root))[0]
        except MeshInvalid as error:
            yield from error.faults
            continue
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if not begins <= now <= ends:
            when = f"ended on {ends:%Y-%m-%d}" if ends < now else f"begins on {begins:%Y-%m-%d}"
            yield Fault(
                place,
                f"{named.root} holds a root certificate that {when}, and peers believe nothing under such a one",
                f"Put the one that is valid today into it: {_how(named.arn)}",
            )


def _named(mesh: Mesh) -> Iterator[tuple[str, ExistingAuthority | SharedAuthority]]:
    """The CAs that name a root as a file, each with its place: of a cell's part, it is that of the whole file."""
    for name, hierarchy in mesh.hierarchies.items():
        # A cell sees another's CA as an existing one.
        if named := hierarchy.authority or hierarchy.existing:
            yield f"hierarchies.{name}.{'authority' if hierarchy.authority else 'existing'}.root", named


def _read(mesh: Mesh, root: Path, roots: dict[str, str]) -> Iterator[Fault]:
    existing = {each.existing.arn for each in mesh.hierarchies.values() if each.existing}
    for place, named in _named(mesh):
        if named.arn in existing:
            try:
                roots[named.arn] = _root_in(place, named, root)
            except MeshInvalid as error:
                yield from error.faults


def _how(arn: str) -> str:
    return (
        f"aws acm-pca get-certificate-authority-certificate --certificate-authority-arn {arn} prints the chain: the "
        "root is its last certificate, or a root CA's own"
    )


def _root_in(place: str, named: ExistingAuthority | SharedAuthority, root: Path) -> str:
    """
    The root certificate in a file, PEM.

    Raises:
        MeshInvalid: If it cannot be read, or holds anything else. Nothing of it is quoted but names of certificates.
    """
    try:
        with (root / named.root).open("rb") as opened:
            text = opened.read(MOST_BYTES).decode("ascii", "replace")
    except OSError as error:
        problem, remedy = f"cannot be read: {error.strerror}", f"Correct the path, or make it: {_how(named.arn)}"
    else:
        problem, remedy = _no_root(text), f"Put the root certificate into it, and no other: {_how(named.arn)}"
        if _PRIVATE_KEY.search(text):
            problem = "holds a private key"
            remedy = f"Take it out, of the repository's history too, and trust it no longer. {remedy}"
        if not problem:
            return text.strip() + "\n"
    raise MeshInvalid("roots of existing CAs", (Fault(place, f"{named.root} {problem}", remedy),))


def _no_root(text: str) -> str:
    """Why a file does not hold a root certificate; empty if it does."""
    try:
        found = load_certificates(text)
    except ValueError:
        found = []
    if len(found) != 1:
        return f"holds {len(found) or 'no'} certificate{'s' * (len(found) > 1)} as PEM"
    constraints = extension_of(found[0], x509.BasicConstraints)
    of = f"holds a certificate of {printable(found[0].subject.rfc4514_string())}, which is"
    if found[0].issuer != found[0].subject or constraints is None or not constraints.ca:
        return f"{of} no root CA's"
    try:
        found[0].verify_directly_issued_by(found[0])
    except (*UNREADABLE, InvalidSignature):
        return f"{of} not signed with its own key"
    return ""
