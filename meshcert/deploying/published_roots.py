"""
Roots that partners must know before a certificate hangs under them: those in this mesh's published SPIFFE bundle.

A partner asks for the bundle at its refresh hint, and refuses meanwhile what hangs under a root that it does not know.
So a deploy that comes too early is refused before anything is issued. As with other changes, what passes here forwards
passes as well when CloudFormation rolls it back.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshcert.errors import BundleInvalid, RootNotPublished
from meshcert.federation.own_bundle import key_of, read_own_bundle
from meshcert.san import Uri

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from meshcert.federation.ports import FoundBundle
    from meshcert.identity import Identity
    from meshcert.publishing.declared_bundles import DeclaredBundle
    from meshcert.publishing.export import Sources

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PublishedRoots:
    """
    The roots of the mesh's own bundle.

    Args:
        trust_domain: The mesh's own.
        hierarchies: Those whose trust bundles are published.
        place: Where partners fetch the bundle.
    """

    trust_domain: str
    hierarchies: tuple[str, ...]
    place: FoundBundle

    def declared(self, bundles: Mapping[str, DeclaredBundle]) -> frozenset[str]:
        """Ids of the root CAs that the stacks declare for it."""
        return frozenset(root for name in self.hierarchies if name in bundles for root in bundles[name].roots)

    def usable(self, now: dt.datetime) -> Mapping[str, dt.datetime] | None:
        """From when on each root can be used, by its key; None if there is no bundle yet."""
        stored = self.place.find()
        if stored is None:
            return None
        try:
            return read_own_bundle(stored.document, stored.notes, self.trust_domain, now).usable
        except BundleInvalid as error:
            logger.warning("what partners get is no bundle of ours: %s", error)
            return {}


def refuse_unpublished_root(
    identity: Identity,
    row: Identity | None,
    published: PublishedRoots | None,
    bundles: Mapping[str, DeclaredBundle],
    sources: Sources,
) -> None:
    """
    Refuse a first certificate with a SPIFFE ID under a root that partners may not know yet, and a move to or from one.

    Args:
        row: The identity's, as the table has it; None if it is new.
        published: None if the mesh publishes no bundle.
        bundles: The CAs of each trust bundle, as the stacks declare them.

    Raises:
        RootNotPublished: If a root that is involved is not in the bundle for long enough.
        MeshcertError: If AWS does not answer, or refuses.
    """
    if published is None or not _has_spiffe_id(identity):
        return
    roots = {identity.root_certificate_authority_arn}
    if row is not None and _has_spiffe_id(row):
        roots.add(row.root_certificate_authority_arn)
        if len(roots) == 1:
            return
    declared = published.declared(bundles)
    if not any(_id(root) in declared for root in roots):
        return
    now = sources.clock.now()
    usable = published.usable(now)
    if usable is None and len(roots) == 1:
        # The first bundle is still to come, and no partner has an older one.
        return
    for root in sorted(roots):
        since = (usable or {}).get(key_of(sources.authorities.root(root))) if _id(root) in declared else None
        if since is None or now < since:
            raise RootNotPublished(identity.name, root, since)


def _has_spiffe_id(identity: Identity) -> bool:
    return any(isinstance(name, Uri) for name in identity.names)


def _id(arn: str) -> str:
    return arn.rpartition("/")[2]
