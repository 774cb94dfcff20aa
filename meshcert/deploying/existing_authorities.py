"""
What a deploy asks of a CA of the user's, before it has anything requested or published.

The custom resource of its hierarchy's trust bundle says in ``Existing`` what the mesh file says of it: ``Arn``,
``KeyAlgorithm``, ``UsageMode``, ``LifeS`` and ``ForAcm``; in ``DeclaredRoots``, the digest of each root by CA.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from meshcert.deploying.refused_changes import known_row
from meshcert.errors import AuthorityUnfit, Fault, MeshcertError, RequestInvalid, RootInUse
from meshcert.identity import IssuerName
from meshcert.issuing.existing_authority import (
    WantedAuthority,
    authority_faults,
    is_denied_at_home,
    place_faults,
    unshared_fault,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from meshcert.clock import Clock
    from meshcert.errors import AccessDenied
    from meshcert.identity import Identity, IdentityTable
    from meshcert.issuing.existing_authority import SeenAuthority


class ExistingAuthorities(Protocol):
    """AWS Private CA, for CAs of the user's."""

    def seen(self, certificate_authority_arn: str) -> SeenAuthority:
        """
        A CA as its owner keeps it.

        Raises:
            IdentityMissing: If there is no such CA.
            AccessDenied: If it is another account's that does not share it.
        """
        ...


def existing_properties(wanted: WantedAuthority) -> dict[str, str]:
    """``Existing``, as the stacks write it."""
    return {
        "Arn": wanted.arn,
        "KeyAlgorithm": wanted.key_algorithm,
        "UsageMode": wanted.usage_mode,
        "LifeS": f"{wanted.life.total_seconds():.0f}",
        "ForAcm": str(wanted.for_acm).lower(),
    }


def read_existing(properties: Mapping[str, Any]) -> WantedAuthority | None:
    """
    What a trust bundle's request says of a CA of the user's; None if it says nothing.

    Raises:
        RequestInvalid: If what it says makes no sense.
    """
    said = properties.get("Existing")
    if said is None:
        return None
    try:
        return WantedAuthority(
            str(properties["Hierarchy"]),
            str(said["Arn"]),
            str(said["KeyAlgorithm"]),
            str(said["UsageMode"]),
            dt.timedelta(seconds=float(said["LifeS"])),
            said["ForAcm"] == "true",
        )
    except (KeyError, OverflowError, TypeError, ValueError):
        fault = Fault("Existing", "it does not say what a CA has to be", "Deploy with the stacks of this version")
        raise RequestInvalid(f"trust bundle {properties.get('Hierarchy', '')}", (fault,)) from None


def begins_with(
    wanted: WantedAuthority,
    event: Mapping[str, Any],
    table: IdentityTable,
    was_published: Callable[[], bool],
    had_of_acm: Callable[[Identity], bool],
) -> bool:
    """
    Whether a trust bundle's request has a hierarchy begin with a CA, or with ACM renewing under it.

    When CloudFormation takes back an update, refused or not, what was before it comes as if it were new; what the CA
    has signed shows that it is not, or that its bundle was published. Two CAs under one root have the same bundle, and
    then it shows nothing.

    Args:
        was_published: Whether the bundle that is asked for is current, or was before the current one.
        had_of_acm: Whether ACM has had the CA sign what an identity served before.
    """
    old = event.get("OldResourceProperties", {})
    before = old.get("Existing") or {}
    is_same = before.get("Arn") == wanted.arn
    if is_same and (not wanted.for_acm or before.get("ForAcm") == "true"):
        return False
    names = dict.fromkeys(
        str(name) for each in (old, event.get("ResourceProperties", {})) for name in each.get("Identities", ())
    )
    rows = [row for name in names if (row := known_row(name, table))]
    if any(
        row.root_certificate_authority_arn == wanted.arn and (not wanted.for_acm or row.issuer is IssuerName.ACM)
        for row in rows
    ):
        return False
    if is_same:
        return not any(map(had_of_acm, rows))
    return _have_one_root(before.get("Arn"), wanted.arn, event) or not was_published()


def _have_one_root(before: str | None, now: str, event: Mapping[str, Any]) -> bool:
    old, new = (event.get(key, {}).get("DeclaredRoots", {}) for key in ("OldResourceProperties", "ResourceProperties"))
    return before in old and old[before] == new.get(now)


def require_fit(wanted: WantedAuthority, secret_id: str, authorities: ExistingAuthorities, clock: Clock) -> None:
    """
    Refuse a CA that cannot sign what the mesh file declares.

    Args:
        secret_id: ARN of a secret of the mesh, so it lies in the mesh's own account and region.

    Raises:
        AuthorityUnfit: With all faults.
        MeshcertError: If AWS does not answer, or refuses.
    """
    region, account = secret_id.split(":")[3:5]
    # A CA of another region is not found here, and "not found" would not say why.
    faults = tuple(place_faults(wanted, region)) or tuple(
        authority_faults(wanted, authorities.seen(wanted.arn), account, clock.now())
    )
    if faults:
        raise AuthorityUnfit(f"the CA {wanted.arn}", faults)


def still_fit(wanted: WantedAuthority, secret_id: str, authorities: ExistingAuthorities, clock: Clock) -> Iterator[str]:
    """
    What is wrong by now with a CA that a hierarchy has begun with, or that nobody says; told, for it refuses nothing.

    A deploy and its way back would else depend on what the CA's owner does meanwhile. What needs its signature fails by
    itself. That the mesh file says something else of it than before is no doing of the owner's: a CA keeps its key and
    its usage.

    Args:
        secret_id: As :func:`require_fit`.

    Raises:
        AuthorityUnfit: If it has another key or usage than the mesh file says.
    """
    account = secret_id.split(":")[4]
    try:
        seen = authorities.seen(wanted.arn)
    except MeshcertError as error:
        yield str(error)
        return
    faults = list(authority_faults(wanted, seen, account, clock.now(), is_new=False))
    if unfit := tuple(fault for fault in faults if fault.place.endswith((".key_algorithm", ".usage"))):
        raise AuthorityUnfit(f"the CA {wanted.arn}", unfit)
    yield from (f"{fault.place}: {fault.problem}. {fault.remedy}" for fault in faults)


def refuse_unshared(place: str, arn: str, secret_id: str, denied: AccessDenied) -> NoReturn:
    """
    Say what to do about a CA of another account that this one may not even look at.

    Args:
        place: What needs it, as the mesh file names it.
        arn: The CA's.
        secret_id: ARN of a secret of the mesh, so it lies in the mesh's own account and region.
        denied: What AWS said.

    Raises:
        AuthorityUnfit: If the CA is another account's.
        AccessDenied: ``denied``, if it is this account's own, or a policy of this account's denied it.
    """
    region, account = secret_id.split(":")[3:5]
    owner = arn.split(":")[4]
    if owner == account or is_denied_at_home(str(denied)):
        raise denied
    raise AuthorityUnfit(f"the CA {arn}", (unshared_fault(place, arn, account, region),)) from denied


def refuse_exchanged_root(hierarchy: str, event: Mapping[str, Any], table: IdentityTable) -> None:
    """
    Refuse another root under the same CA while a certificate leads to the earlier one.

    Peers take the new root and forget the old one at once, and tasks go on serving the old chain.

    Raises:
        RootInUse: If an identity that is checked against the bundle is signed by that CA.
    """
    before, now = (
        event.get(key, {}).get("DeclaredRoots", {}) for key in ("OldResourceProperties", "ResourceProperties")
    )
    exchanged = {arn for arn, digest in before.items() if now.get(arn, digest) != digest}
    for name in event.get("OldResourceProperties", {}).get("Identities", ()) if exchanged else ():
        row = known_row(str(name), table)
        if row and row.root_certificate_authority_arn in exchanged:
            raise RootInUse(hierarchy, row.name, f"the root of {row.root_certificate_authority_arn}")
