"""Checks of hierarchies and identities: what their CAs can sign, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.contract.lifetimes import CERTIFICATE_DAYS
from meshcert.mesh.issuance import KeyAlgorithm, family

if TYPE_CHECKING:
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.issuance import Hierarchy
    from meshcert.mesh.mesh import Mesh

_DAYS_IN_A_YEAR = 365
_LEAST_SIGNING_YEARS = CERTIFICATE_DAYS // _DAYS_IN_A_YEAR + 1


def check_validity(mesh: Mesh, findings: Findings) -> None:
    """Report certificates that outlive the CA that signs them: AWS Private CA refuses to issue these."""
    for name, hierarchy in mesh.hierarchies.items():
        _check_validity(f"hierarchies.{name}", hierarchy, findings)


def check_identities(mesh: Mesh, findings: Findings) -> None:
    """Report identities without a hierarchy, or with a key that their CA cannot sign."""
    for name, identity in mesh.identities.items():
        place = f"identities.{name}"
        if not findings.require_known(mesh, f"{place}.hierarchy", "hierarchies", identity.hierarchy):
            continue
        authority = mesh.hierarchies[identity.hierarchy].key_algorithm
        if family(authority) != family(identity.key_algorithm):
            fitting = [algorithm for algorithm in KeyAlgorithm if family(algorithm) == family(authority)]
            findings.add(
                f"{place}.key_algorithm",
                f"hierarchy {identity.hierarchy} has {authority} keys and cannot sign {identity.key_algorithm}",
                f"Use {' or '.join(fitting)}, or another hierarchy",
                given=(f"{place}.hierarchy", f"hierarchies.{identity.hierarchy}.key_algorithm"),
            )


def check_trust(mesh: Mesh, findings: Findings) -> None:
    """Report entries of ``also_trust`` that are not other hierarchies of the file, or are listed twice."""
    for name, hierarchy in mesh.hierarchies.items():
        for index, other in enumerate(hierarchy.also_trust):
            place = f"hierarchies.{name}.also_trust[{index}]"
            if not findings.require_known(mesh, place, "hierarchies", other):
                continue
            if other == name:
                findings.add(place, "a hierarchy is trusted together with itself", "Remove it")
            elif other in hierarchy.also_trust[:index]:
                findings.add(place, f"{other} is written twice", "Remove one of them")
            else:
                _check_same_revocation(mesh, (name, other), place, findings)


def check_revocation(mesh: Mesh, findings: Findings) -> None:
    """Report ``stale_lists`` where no revocation lists are written."""
    for name, hierarchy in mesh.hierarchies.items():
        if not hierarchy.writes_lists and "stale_lists" in hierarchy.model_fields_set:
            place = f"hierarchies.{name}.stale_lists"
            remedy = "Remove the key, or write revocation: crl"
            findings.add(place, "no lists are made, so none can be stale", remedy, given=(f"hierarchies.{name}",))


def _check_same_revocation(mesh: Mesh, names: tuple[str, str], place: str, findings: Findings) -> None:
    """
    Report hierarchies trusted together of which only some write revocation lists.

    Envoy checks revocation for all peers or for none, and would refuse the peers of a hierarchy without lists.
    """
    one, other = (mesh.hierarchies[name].revocation_policy for name in names)
    if one is not other:
        findings.add(
            place,
            f"{names[0]} has revocation {one} and {names[1]} has {other}, and they are trusted together",
            "Give both the same revocation and stale_lists",
            given=[f"hierarchies.{name}.{key}" for name in names for key in ("revocation", "stale_lists")],
        )


def _check_validity(place: str, hierarchy: Hierarchy, findings: Findings) -> None:
    root, issuing = f"{place}.root_validity_years", f"{place}.issuing_validity_years"
    given = (f"{place}.tiers", root, issuing)
    if hierarchy.tiers == 1 and "issuing_validity_years" in hierarchy.model_fields_set:
        findings.add(
            issuing,
            "a hierarchy of one tier has no issuing CA",
            "Remove the key, or write tiers: 2",
            given=given,
        )
    if hierarchy.tiers == 2 and hierarchy.issuing_validity_years >= hierarchy.root_validity_years:  # noqa: PLR2004 - the file's own word
        findings.add(
            issuing,
            f"an issuing CA of {hierarchy.issuing_validity_years} years outlives its root of "
            f"{hierarchy.root_validity_years} years, which was signed first",
            "Give it at least a year less than root_validity_years",
            given=given,
        )
    if hierarchy.signing_years < _LEAST_SIGNING_YEARS:
        findings.add(
            root if hierarchy.tiers == 1 else issuing,
            f"certificates live {CERTIFICATE_DAYS} days and outlive a CA of {hierarchy.signing_years} year",
            f"Use at least {_LEAST_SIGNING_YEARS}; 5 leaves room for renewals",
            given=given,
        )
