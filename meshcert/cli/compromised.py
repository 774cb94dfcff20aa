"""What an order about a compromised key takes with it, and for how long the old key is still accepted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshcert.cli.screen import SHORT, duration, short
from meshcert.errors import MeshcertError
from meshcert.lifecycle.observing.observe import remembered
from meshcert.lifecycle.orders import COMPROMISED, Order

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from meshcert.cli.account import Account
    from meshcert.cli.sights import Sight
    from meshcert.lifecycle.compromise import CompromisedCertificate
    from meshcert.mesh import Mesh

LISTED_WITHIN = "about 30 minutes"
"""Until a revoked certificate is in its CA's list (acm-pca:RevokeCertificate)."""
CLOSES_NOW = (
    "what closes the door now: `revocation: crl` of its hierarchy, deployed before this order; or the root that signed "
    'it dropped, in three deploys (docs/trust.md, "Replace a CA in three deploys"). Until then give the identity '
    "another name, and let its peers accept no other. PERMISSIVE is no answer: it lets in who has no key at all"
)
"""What can be done if no list tells peers of a revocation."""
CLOSES_YOURS_NOW = (
    'what closes the door now: the root that signed it dropped, in three deploys (docs/trust.md, "Replace a CA in '
    'three deploys"). Until then give the identity another name, and let its peers accept no other. From then on: '
    "lives of hours, or `revocation: crl` with its CA's `lists`"
)
"""The same under a CA of the user's whose lists no proxy reads."""


def has_lists(account: Account, looked: Sight, declared: Mesh | None) -> bool | None:
    """
    Whether proxies read a revocation list of the CA that signs for the identity; None if nobody says so.

    Args:
        declared: The mesh file, which alone knows of lists that CAs of others write; None without one.
    """
    identity = looked.seen.identity
    if identity.has_existing_authority:
        signing = declared and declared.identities.get(identity.name)
        hierarchy = declared.hierarchies.get(signing.hierarchy) if declared and signing else None
        return hierarchy.writes_lists if hierarchy else None
    try:
        return account.has_list(looked.seen.identity.certificate_authority_arns[0])
    except (IndexError, MeshcertError):
        return None


def announced(looked: Sight, reason: str, *, lists: bool | None) -> Iterator[str]:
    """
    Lines that say what an order would have revoked, and for how long the old key is accepted.

    Args:
        reason: In the operator's own words.
        lists: From :func:`has_lists`.
    """
    given_up, now, identity = _given_up(looked, reason), looked.seen.now, looked.seen.identity
    ours = not identity.has_existing_authority
    its_owner = () if ours else tuple(each for each in given_up if not each.can_be_revoked)
    revoked = [each for each in given_up if each not in its_owner]
    yield f"{looked.name} gets another key." + (
        " Once every task serves it, and those with the old key have ended, these are revoked for good:"
        if revoked
        else ""
    )
    for each in revoked:
        by_hand = "" if each.can_be_revoked else "; revoke it by hand, too little is known of it"
        yield f"  {_facts(each, now)}{by_hand}"
    if its_owner:
        yield (
            "Its CA is yours, and nobody of the mesh may revoke there. Once every task serves another key, have the "
            "CA's owner do it:"
        )
    for each in its_owner:
        yield f"  {_facts(each, now)}"
        if each.serial_number:
            yield f"    {_by_its_owner(each, identity.certificate_authority_arns[0])}"
    latest = max((each.not_after for each in given_up if each.not_after), default=None)
    listed = (
        f"it stands in its CA's revocation list {LISTED_WITHIN} after its revocation; proxies then refuse it within "
        "their poll_interval_s, and what is open ends within max_connection_duration_s"
    )
    until = f"until {_span(latest, now)}" if latest else "until it ends"
    nothing = "its CA writes no revocation list" if ours else "proxies read no revocation list of its CA"
    unlisted = f"{nothing}, so peers accept the old key {until}, revoked or not"
    if lists is None:
        yield f"whether its CA writes a revocation list is not known. If it does, {listed}. If not, {unlisted}"
    else:
        yield listed if lists else unlisted
    if not lists:
        yield CLOSES_NOW if ours else CLOSES_YOURS_NOW


def left_to_its_owner(looked: Sight) -> str:
    """What is left to do when an order has been carried out; empty if that is nothing."""
    compromise = looked.memory.compromise
    if not looked.seen.identity.has_existing_authority or compromise is None:
        return ""
    left = [each for each in compromise.certificates if not each.can_be_revoked and not each.has_ended(looked.seen.now)]
    return "now have the CA's owner revoke what is listed above for it" if left else ""


def _facts(each: CompromisedCertificate, now: dt.datetime) -> str:
    serial = f"serial …{each.serial_number[-SHORT:]}" if each.serial_number else "serial number not known"
    until = f"until {_span(each.not_after, now)}" if each.not_after else "its end is not known"
    return f"{short(each.version)}  {serial}, {until}"


def _by_its_owner(each: CompromisedCertificate, authority: str) -> str:
    """The command for the owner of a CA."""
    return (
        f"aws acm-pca revoke-certificate --certificate-authority-arn {authority} --certificate-serial "
        f"{bytes.fromhex(each.serial_number).hex(':')} --revocation-reason KEY_COMPROMISE"
    )


def _given_up(looked: Sight, reason: str) -> tuple[CompromisedCertificate, ...]:
    """The certificates that go with the published key, as far as they are not revoked already."""
    order = Order(COMPROMISED, "you", reason, looked.seen.now, looked.seen.current)
    compromise = remembered(replace(looked.memory, order=order), looked.seen).compromise
    return tuple(each for each in compromise.certificates if each.revoked_at is None) if compromise else ()


def _span(end: dt.datetime, now: dt.datetime) -> str:
    return f"{end:%Y-%m-%d %H:%M} UTC, {duration((end - now).total_seconds())} from now"
