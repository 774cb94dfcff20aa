"""
Put this mesh's own bundle where partners fetch it: the roots that proxies of the mesh read, and no others.

Which they are, the function's environment says. A run that finds them there changes nothing; one that finds anything
else, or nothing, puts the right ones there, so that whatever was deleted or written over is back five minutes later.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from meshcert import naming
from meshcert.errors import BundleInvalid
from meshcert.federation.own_bundle import OwnBundle, next_bundle, read_own_bundle
from meshcert.material import split_certificates
from meshcert.material.document import read_trust_bundle

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from meshcert.clock import Clock
    from meshcert.federation.ports import BundleObject, StoredBundle
    from meshcert.publishing.ports import PublishedValues

logger = logging.getLogger(__name__)

EVERY_S = 300
"""How often it is looked whether the bundle is there, seconds."""


@dataclass(frozen=True)
class OwnPublication:
    """
    Everything that a run needs.

    Args:
        trust_domain: The mesh's own.
        hierarchies: Those whose trust bundles are published: their roots, and those that are trusted with them.
        refresh_hint_s: Seconds after which partners ask again.
        values: Reads the trust bundles.
        place: Where partners fetch the bundle.
    """

    mesh: str
    trust_domain: str
    hierarchies: tuple[str, ...]
    refresh_hint_s: int
    values: PublishedValues
    place: BundleObject
    clock: Clock


class OwnOutcome(StrEnum):
    """What came of a run."""

    UNCHANGED = "unchanged"
    PUBLISHED = "published"


def publish_own_bundle(own: OwnPublication) -> tuple[OwnOutcome, OwnBundle]:
    """
    Have partners find the roots of now.

    Returns:
        Whether they found others before, and what they find now.

    Raises:
        BundleInvalid: If the roots are more than a partner believes.
        NotReady: If a trust bundle is not published yet, another run was faster, or AWS is unavailable.
        MeshcertError: If AWS denies a call.
    """
    now = own.clock.now()
    roots = list(_roots(own))
    stored = own.place.find()
    before = _published(stored, own, now) if stored else None
    bundle = next_bundle(before, roots, own.refresh_hint_s, now)
    if bundle is before:
        return OwnOutcome.UNCHANGED, bundle
    own.place.write(bundle, replaces=stored)
    return OwnOutcome.PUBLISHED, bundle


def _roots(own: OwnPublication) -> Iterator[str]:
    for hierarchy in own.hierarchies:
        secret = naming.trust_bundle_secret(own.mesh, hierarchy)
        bundle = read_trust_bundle(own.values.current_value(secret).value, secret)
        yield from split_certificates(bundle.certificates)


def _published(stored: StoredBundle, own: OwnPublication, now: dt.datetime) -> OwnBundle:
    """What partners get now. Of what is no bundle nothing is known, and its roots count as new ones."""
    try:
        return read_own_bundle(stored.document, stored.notes, own.trust_domain, now)
    except BundleInvalid as error:
        logger.warning("what partners get is no bundle of ours, and is replaced: %s", error)
        return OwnBundle(stored.document, 0, own.refresh_hint_s)
