"""
Changes that a deploy refuses to make in one step, before anything is touched, because running tasks need two or three.

Certificates, lists of names and trust bundles reach tasks one after the other. What passes here forwards passes as well
when CloudFormation rolls it back: refusing that would leave the stack stuck.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from meshcert.deploying.properties import trusted_by_peers, trusted_roots
from meshcert.errors import AcceptedNamesReplaced, IdentityUnreadable, NamesReplaced, RootInUse, RootReplaced
from meshcert.san import san_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshcert.identity import Identity, IdentityTable
    from meshcert.publishing.trust_bundles import TrustBundleRequest

    Event = Mapping[str, Any]

logger = logging.getLogger(__name__)


def refuse_replaced_names(identity: Identity, event: Event, row: Identity | None) -> None:
    """
    Refuse a one-step change of names, before anything is touched.

    The earlier names are read from the row and not from the request: after a refused update, CloudFormation rolls back
    with an update from the refused names to the published ones, and that must pass.

    Args:
        row: The identity's, from :func:`known_row`; so below.
    """
    old = event.get("OldResourceProperties", {})
    if row:
        before = frozenset(row.names)
    elif old.get("Identity") == identity.name:
        before = frozenset(san_of(str(name)) for name in old.get("Names", ()))
    else:
        return
    added, removed = frozenset(identity.names) - before, before - frozenset(identity.names)
    if added and removed:
        raise NamesReplaced(identity.name, added, removed)


def refuse_replaced_lists(identity: Identity, event: Event, row: Identity | None) -> None:
    """
    Refuse lists of names that the certificate of before meets in none, or that leave none for the new certificate.

    Peers that list no names accept any; so a first list is held against the certificate of before as well. Lists of
    several peers are taken together: a name that one of them goes on accepting lets the others through.
    """
    if row is None or not row.services:
        return
    before, now = (frozenset(name for rule in each.peer_rules for name in rule) for each in (row, identity))
    properties, old = event.get("ResourceProperties", {}), event.get("OldResourceProperties")
    had_peers = bool(trusted_by_peers(old) if old else before)
    if now and had_peers and now.isdisjoint(row.names):
        raise AcceptedNamesReplaced(identity.name, now, by_running=False)
    if before and trusted_by_peers(properties) and before.isdisjoint(identity.names):
        raise AcceptedNamesReplaced(identity.name, before, by_running=True)


def refuse_replaced_root(identity: Identity, event: Event, row: Identity | None) -> None:
    """
    Refuse a move to another root CA that peers did not trust before this deploy, or that drops the old one with it.

    Bundles are published first, but a running task learns of a new root a poll interval later, or only when the
    services stack replaces the task. CloudFormation says which roots peers trusted before; the row says which root the
    identity had.
    """
    old = event.get("OldResourceProperties", {})
    if row is None or row.root_certificate_authority_arn == identity.root_certificate_authority_arn:
        return
    before, now = trusted_by_peers(old), trusted_by_peers(event.get("ResourceProperties", {}))
    for trusted in (before, now):
        for root in (identity.root_certificate_authority_arn, row.root_certificate_authority_arn):
            if trusted and root not in trusted:
                raise RootReplaced(identity.name, root)


def refuse_dropped_root(order: TrustBundleRequest, event: Event, table: IdentityTable) -> None:
    """
    Refuse to remove a root from a bundle while running tasks need it to verify a certificate.

    CloudFormation says which identities were checked against the bundle before this deploy; their rows say which root
    their certificates lead to. The rollback of a refused move passes: its identity's row still names the old root.
    """
    before = event.get("OldResourceProperties", {})
    dropped = trusted_roots(before) - frozenset(order.root_certificate_authority_arns)
    for name in before.get("Identities", ()) if dropped else ():
        row = known_row(str(name), table)
        if row and row.root_certificate_authority_arn in dropped:
            raise RootInUse(order.hierarchy, row.name, row.root_certificate_authority_arn)


def known_row(name: str, table: IdentityTable) -> Identity | None:
    """An identity's row; None also for one that makes no sense: a deploy is what writes it again."""
    try:
        return table.find(name)
    except IdentityUnreadable as error:
        logger.warning("%s", error)
        return None
