"""Checks of CAs of yours: asked before a deploy makes anything, and at any time later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from meshcert.errors import AccessDenied, MeshInvalid, RootNotDeclared
from meshcert.issuing.existing_authority import (
    authority_faults,
    is_denied_at_home,
    place_faults,
    seen_authority,
    unshared_fault,
)
from meshcert.mesh.existing import roots_in_files, wanted_authority
from meshcert.publishing.declared_roots import DeclaredRoots, roots_entry
from stacks.bundling import ROOT
from tools.aws_checks.verdicts import Check, Judgement, confirmed, contradicted, undecided

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from meshcert.errors import Fault
    from meshcert.issuing.existing_authority import SeenAuthority, WantedAuthority
    from tools.aws_checks.deployment import Deployment


_ASKED = "acm-pca:DescribeCertificateAuthority"


class AuthoritySeen(NamedTuple):
    """
    A CA of yours.

    Args:
        wanted: What the mesh file says of it.
        seen: What AWS says; None if it is in another region, where nobody asks.
        region: The mesh's own.
        account: Likewise.
        denied: What AWS says if the CA is another account's, and these credentials may not look at it; or empty.
        is_permitted_by_deploy: Whether the deploy that comes next gives ACM its permission.
        now: The time, UTC.
    """

    wanted: WantedAuthority
    seen: SeenAuthority | None
    region: str
    account: str
    is_permitted_by_deploy: bool
    now: dt.datetime
    denied: str = ""


class RootSeen(NamedTuple):
    """
    The root of a CA of yours.

    Args:
        file: Where the mesh file says that it is.
        problem: What is wrong with it, or empty.
    """

    file: str
    problem: str


def _yours(deployment: Deployment) -> Iterable[str]:
    return [name for name, each in deployment.mesh.hierarchies.items() if each.existing and not each.is_remote]


def _wanted(deployment: Deployment, hierarchy: str) -> WantedAuthority:
    """
    What the mesh file says of a CA.

    Raises:
        LookupError: If a deploy makes it.
    """
    wanted = wanted_authority(deployment.mesh, hierarchy)
    if wanted is None:
        raise LookupError(hierarchy)
    return wanted


def _authority(deployment: Deployment, hierarchy: str) -> AuthoritySeen:
    wanted, seen, denied = _wanted(deployment, hierarchy), None, ""
    if not any(place_faults(wanted, deployment.region)):
        try:
            seen = _seen(deployment, wanted.arn)
        except AccessDenied as error:
            # A right that these credentials lack says nothing about a CA of this account.
            if wanted.arn.split(":")[4] == deployment.account_id:
                raise
            denied = str(error)
    existing = deployment.mesh.hierarchies[hierarchy].existing
    return AuthoritySeen(
        wanted,
        seen,
        deployment.region,
        deployment.account_id,
        bool(existing and existing.permit_acm and deployment.is_planned),
        deployment.now,
        denied,
    )


def _seen(deployment: Deployment, arn: str) -> SeenAuthority:
    read = deployment.account.read
    authority = read(_ASKED, CertificateAuthorityArn=arn)["CertificateAuthority"]
    permissions = read("acm-pca:ListPermissions", CertificateAuthorityArn=arn)["Permissions"]
    chain = deployment.chain(arn) if authority["Status"] == "ACTIVE" else []
    return seen_authority(authority, permissions, chain)


def _root(deployment: Deployment, hierarchy: str) -> RootSeen:
    named = deployment.mesh.hierarchies[hierarchy]
    file = named.existing.root if named.existing else ""
    try:
        declared = roots_in_files(deployment.mesh.part(hierarchies={hierarchy: named}), ROOT)
    except MeshInvalid as error:
        return RootSeen(file, "; ".join(f"{fault.problem}. {fault.remedy}" for fault in error.faults))
    arn = _wanted(deployment, hierarchy).arn
    try:
        DeclaredRoots(roots_entry(arn, declared[arn])).require(arn, deployment.root_certificate(hierarchy))
    except RootNotDeclared as error:
        return RootSeen(file, str(error))
    return RootSeen(file, "")


def judge_authority(look: AuthoritySeen) -> Judgement:
    """Judge whether the CA can sign what the mesh file declares, and whether ACM can renew it."""
    if is_denied_at_home(look.denied):
        return undecided(look.denied, f"Run this with credentials that may {_ASKED}; it only reads")
    if look.denied:
        fault = unshared_fault(f"hierarchies.{look.wanted.hierarchy}", look.wanted.arn, look.account, look.region)
        return contradicted(
            f"{fault.problem} ({look.denied})",
            f"{fault.remedy}. If it is shared: deploy with credentials that may {_ASKED}",
        )
    faults: list[Fault] = list(place_faults(look.wanted, look.region))
    text = look.wanted.arn
    if look.seen:
        text = f"it is {look.seen.status}, {look.seen.key_algorithm}, {look.seen.usage_mode}"
        faults += authority_faults(look.wanted, look.seen, look.account, look.now)
    # A permission that is there already cannot be made; one that is missing comes with the deploy.
    if look.is_permitted_by_deploy and look.seen and look.seen.acm_actions:
        return contradicted(f"{text}; ACM is permitted already", "Remove permit_acm: AWS makes no permission twice")
    if look.is_permitted_by_deploy:
        faults = [fault for fault in faults if not fault.place.endswith(".permit_acm")]
    if look.is_permitted_by_deploy and look.wanted.arn.split(":")[4] != look.account:
        return contradicted(text, "Remove permit_acm: in an account that shares it, ACM needs no permission")
    if faults:
        problems = "; ".join(fault.problem for fault in faults)
        return contradicted(f"{text}; {problems}", ". ".join(fault.remedy for fault in faults))
    return confirmed(text)


def judge_root(look: RootSeen) -> Judgement:
    """Judge whether the CA's chain ends in the root that peers trust."""
    if look.problem:
        return contradicted(look.problem, f"Put the root of its chain into {look.file}, or name another CA")
    return confirmed(f"its chain ends in the root of {look.file}")


CHECKS: tuple[Check[Any], ...] = (
    Check(
        "ca-existing",
        "The CA of yours signs what the file declares",
        _yours,
        _authority,
        judge_authority,
        "Name a CA that is there: hierarchies.NAME.existing.arn",
    ),
    Check("ca-existing-root", "The CA of yours leads to the root of the file", _yours, _root, judge_root),
)
