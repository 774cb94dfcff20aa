"""Checks of hierarchies and identities: what their CAs can sign, and for how long."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from meshcert.contract.lifetimes import CERTIFICATE_DAYS
from meshcert.identity import IssuerName
from meshcert.issuing.private_ca_lives import LONGEST_SHORT_LIVED, MOST_VERSIONS, shortest_life
from meshcert.mesh.issuance import KeyAlgorithm, Usage, family
from meshcert.mesh.part import life_text

if TYPE_CHECKING:
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.issuance import DeclaredIdentity, ExistingAuthority, Hierarchy, SharedAuthority
    from meshcert.mesh.mesh import Mesh

_YEAR = dt.timedelta(days=365)
_OF_MADE_ONES = frozenset({"tiers", "subject", "root_validity_years", "issuing_validity_years", "reissue"})
LONGEST_LIFE = _YEAR
"""Longest life that a general-purpose CA is asked for. Longer ones are ACM's, at no cost of renewals."""


def check_validity(mesh: Mesh, findings: Findings) -> None:
    """Report certificates that outlive the CA that signs them: AWS Private CA refuses to issue these."""
    for name, hierarchy in mesh.hierarchies.items():
        if hierarchy.tiers is not None and not hierarchy.existing:
            _check_validity(mesh, name, hierarchy, findings)


def check_existing_authorities(mesh: Mesh, findings: Findings) -> None:
    """Report hierarchies of which the file does not say who makes the CAs, or says more than it may of one of yours."""
    known: dict[str, str] = {}
    for name, hierarchy in mesh.hierarchies.items():
        place, existing = f"hierarchies.{name}", hierarchy.existing
        for key, named in (("existing", existing), ("authority", hierarchy.authority)):
            if named:
                _check_named(name, key, named, known, findings)
        if not existing:
            if hierarchy.tiers is None:
                remedy = "Add tiers, for example tiers: 2; or existing, with a CA of yours"
                findings.add(f"{place}.tiers", "it is missing", remedy)
            continue
        for key in sorted(hierarchy.model_fields_set & _OF_MADE_ONES):
            findings.add(
                f"{place}.{key}",
                "the CA is yours, and this says how to make one",
                "Remove it, or remove existing",
                given=(f"{place}.existing",),
            )
        _check_existing(name, existing, hierarchy, findings)


def _check_named(
    name: str, key: str, named: ExistingAuthority | SharedAuthority, known: dict[str, str], findings: Findings
) -> None:
    """
    Report a CA that two hierarchies name, or whose root is no file of the repository.

    Args:
        known: The hierarchy that names a CA, by the CA's ARN; this one is added.
    """
    place = f"hierarchies.{name}.{key}"
    if named.root.startswith("/") or ".." in named.root.split("/"):
        findings.add(f"{place}.root", f"{named.root} leads out of the repository", "Write a path below its root")
    if (other := known.setdefault(named.arn, name)) != name:
        findings.add(
            f"{place}.arn",
            f"hierarchy {other} names the same CA",
            f"Have its identities name {other}",
            given=(f"hierarchies.{other}.existing", f"hierarchies.{other}.authority"),
        )


_UNREAD = "without revocation nobody reads them", "Write revocation: crl, or remove them"


def _check_existing(name: str, existing: ExistingAuthority, hierarchy: Hierarchy, findings: Findings) -> None:
    place = f"hierarchies.{name}"
    if existing.permit_acm and hierarchy.usage is Usage.SHORT_LIVED:
        findings.add(
            f"{place}.existing.permit_acm",
            "the CA is short_lived, and ACM issues from general-purpose CAs only",
            "Remove it",
            given=(f"{place}.usage",),
        )
    if hierarchy.writes_lists and not existing.lists:
        findings.add(
            f"{place}.existing.lists",
            "the CA is yours, and the file does not say where its revocation lists lie",
            "Name those of all CAs of its chain, its own first, its root's last, for example "
            "s3://BUCKET/crl/ID.crl or http://HOST/root.crl; or remove revocation: nobody reads lists then",
            given=(f"{place}.revocation",),
        )
    if existing.lists and not hierarchy.writes_lists:
        findings.add(f"{place}.existing.lists", *_UNREAD, given=(f"{place}.revocation",))


def check_identities(mesh: Mesh, findings: Findings) -> None:
    """Report identities without a hierarchy, and what their issuer, or their CA, does not issue."""
    for name, identity in mesh.identities.items():
        place = f"identities.{name}"
        is_known = findings.require_known(mesh, f"{place}.hierarchy", "hierarchies", identity.hierarchy)
        hierarchy = mesh.hierarchies[identity.hierarchy] if is_known else None
        if identity.issuer is IssuerName.ACM:
            _check_acm(place, identity, hierarchy, findings)
        else:
            _check_life(place, identity, hierarchy, findings)


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


def _check_acm(place: str, identity: DeclaredIdentity, hierarchy: Hierarchy | None, findings: Findings) -> None:
    given = [f"{place}.issuer"]
    for key, problem in (
        ("spiffe_id", "ACM puts nothing but DNS names into a certificate"),
        ("validity", f"ACM's certificates live {CERTIFICATE_DAYS} days, whatever is asked"),
    ):
        if getattr(identity, key) is not None:
            findings.add(f"{place}.{key}", problem, "Write issuer: acm-pca, or remove it", given=given)
    if hierarchy is None:
        return
    given += [f"{place}.hierarchy", f"hierarchies.{identity.hierarchy}.usage"]
    if hierarchy.usage is Usage.SHORT_LIVED:
        findings.add(
            f"{place}.hierarchy",
            f"the CAs of hierarchy {identity.hierarchy} are short_lived, and ACM issues from general-purpose CAs only",
            "Write issuer: acm-pca, or name another hierarchy",
            given=given,
        )
        return
    authority = hierarchy.key_algorithm
    # Private CA itself signs keys of any family (acm-pca:IssueCertificate: SigningAlgorithm is the CA key's matter).
    if family(authority) != family(identity.key_algorithm):
        fitting = [algorithm for algorithm in KeyAlgorithm if family(algorithm) == family(authority)]
        findings.add(
            f"{place}.key_algorithm",
            f"hierarchy {identity.hierarchy} has {authority} keys and cannot sign {identity.key_algorithm}",
            f"Use {' or '.join(fitting)}, or another hierarchy",
            given=(*given, f"hierarchies.{identity.hierarchy}.key_algorithm"),
        )


def _check_life(place: str, identity: DeclaredIdentity, hierarchy: Hierarchy | None, findings: Findings) -> None:
    """Report a life that Secrets Manager cannot follow, or that the CA does not give."""
    given, shortest = [f"{place}.issuer"], shortest_life()
    if identity.life < shortest:
        findings.add(
            f"{place}.validity",
            f"{life_text(identity.life)} is too short: every certificate is a version of its secret, and Secrets "
            f"Manager keeps {MOST_VERSIONS} versions for 24 hours, which is enough for lives of {life_text(shortest)}",
            f"Use {life_text(shortest)} or more",
            given=given,
        )
    if hierarchy is None:
        return
    is_short = hierarchy.usage is Usage.SHORT_LIVED
    longest = LONGEST_SHORT_LIVED if is_short else LONGEST_LIFE
    if identity.life > longest:
        of_it = f"the CA of hierarchy {identity.hierarchy} is short_lived and gives" if is_short else "acm-pca gives"
        findings.add(
            f"{place}.validity",
            f"{of_it} {life_text(longest)} at most, and this is {life_text(identity.life)}",
            f"Use at most {life_text(longest)}" + (", or a hierarchy for general purpose" if is_short else ""),
            given=(*given, f"{place}.hierarchy", f"hierarchies.{identity.hierarchy}.usage"),
        )


def _longest_life(mesh: Mesh, name: str) -> dt.timedelta:
    """The longest life of a hierarchy's certificates; what it cannot give is told elsewhere."""
    is_short = mesh.hierarchies[name].usage is Usage.SHORT_LIVED
    lives = [
        min(identity.life, LONGEST_SHORT_LIVED if is_short else LONGEST_LIFE)
        for identity in mesh.identities.values()
        if identity.hierarchy == name and identity.issuer is IssuerName.PRIVATE_CA
    ]
    signs_for_acm = any(
        identity.hierarchy == name and identity.issuer is IssuerName.ACM for identity in mesh.identities.values()
    )
    if not is_short and (signs_for_acm or not lives):
        lives.append(dt.timedelta(days=CERTIFICATE_DAYS))
    return max(lives, default=LONGEST_SHORT_LIVED)


def _check_validity(mesh: Mesh, name: str, hierarchy: Hierarchy, findings: Findings) -> None:
    place = f"hierarchies.{name}"
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
    longest = _longest_life(mesh, name)
    least = longest // _YEAR + 1
    if hierarchy.signing_years < least:
        findings.add(
            root if hierarchy.tiers == 1 else issuing,
            f"certificates live {longest.days} days and outlive a CA of {hierarchy.signing_years} year",
            f"Use at least {least}; 5 leaves room for renewals",
            given=(
                *given,
                f"{place}.usage",
                *(
                    f"identities.{each}.{key}"
                    for each in mesh.identities
                    for key in ("hierarchy", "issuer", "validity")
                ),
            ),
        )
