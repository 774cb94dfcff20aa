"""
Make a version of a secret the one that proxies read.

The version is stored as ``AWSPENDING``, ``AWSCURRENT`` is moved onto it, and ``AWSPENDING`` is taken off. After a crash
between any two steps, the same call continues: the version's id is derived from its content, so storing it again
changes nothing.
"""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import TYPE_CHECKING

from meshcert.contract.staging_labels import CURRENT, PENDING, QUARANTINED
from meshcert.errors import PublicationRaced, VersionQuarantined

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshcert.publishing.ports import SecretVault

    LabelsByVersion = Mapping[str, frozenset[str]]

logger = logging.getLogger(__name__)

_VERSION_LENGTH = 64


class Outcome(StrEnum):
    """The outcome of a publication."""

    PUBLISHED = "published"
    """The version is now the current one."""
    ALREADY_CURRENT = "already_current"
    """It was current already; readers see no change."""
    WITHHELD = "withheld"
    """It was rolled back, so it is not published; it was exported because ACM renews only exported certificates."""


def version_labelled(labels: LabelsByVersion, label: str) -> str | None:
    """The version that has a staging label, or None."""
    return next((version for version, own in labels.items() if label in own), None)


def is_published(version: str) -> bool:
    """True if a version was published: its id is a SHA-256, unlike that of the template's placeholder."""
    return len(version) == _VERSION_LENGTH


def is_withheld(labels: LabelsByVersion, version_id: str) -> bool:
    """
    True if a version was rolled back and is not current.

    A quarantined version that is still current is not withheld: only the renewal function moves labels back.
    """
    own = labels.get(version_id, frozenset())
    return QUARANTINED in own and CURRENT not in own


def require_publishable(labels: LabelsByVersion, secret_id: str, version_id: str) -> None:
    """
    Refuse a version that was rolled back.

    Raises:
        VersionQuarantined: If it is quarantined and not current.
    """
    if is_withheld(labels, version_id):
        raise VersionQuarantined(secret_id, version_id)


def publish(vault: SecretVault, secret_id: str, version_id: str, value: str, seen: LabelsByVersion) -> Outcome:
    """
    Make a version current. Repeating the call is safe.

    Args:
        version_id: Identifies the content: the same content always has the same id. If the version is stored already,
            its bytes stay (every export encrypts the key anew) and only the labels move.
        value: The secret's new value, checked by the caller.
        seen: The labels as they were *before* the caller looked at what to publish. ``AWSCURRENT`` is moved only from
            the version that had it then, so that a slower run cannot replace a newer certificate with an older one.

    Returns:
        Whether readers see a change.

    Raises:
        VersionQuarantined: If the version was rolled back.
        PublicationRaced: If another run has moved ``AWSCURRENT`` to a third version since ``seen``.
    """
    require_publishable(seen, secret_id, version_id)
    if version_labelled(seen, CURRENT) == version_id:
        remove_pending(vault, secret_id, version_id, seen)
        return Outcome.ALREADY_CURRENT
    vault.put_pending(secret_id, version_id, value)
    outcome = _promote(vault, secret_id, version_id, seen)
    remove_pending(vault, secret_id, version_id, vault.labels(secret_id))
    return outcome


def remove_pending(vault: SecretVault, secret_id: str, version_id: str, labels: LabelsByVersion) -> None:
    """
    Take ``AWSPENDING`` off a version if it has the label: the last step of a publication.

    Args:
        labels: The secret's labels as last seen.
    """
    if PENDING not in labels.get(version_id, frozenset()):
        return
    try:
        vault.move_label(secret_id, PENDING, to=None, away_from=version_id)
    except PublicationRaced:
        # Another run may have taken the label off meanwhile; that is as good.
        logger.debug("%s has left version %s of %s", PENDING, version_id, secret_id)


def _promote(vault: SecretVault, secret_id: str, version_id: str, seen: LabelsByVersion) -> Outcome:
    try:
        vault.move_label(secret_id, CURRENT, to=version_id, away_from=version_labelled(seen, CURRENT))
    except PublicationRaced:
        if version_labelled(vault.labels(secret_id), CURRENT) != version_id:
            raise
        return Outcome.ALREADY_CURRENT
    logger.info("published version %s of %s", version_id, secret_id)
    return Outcome.PUBLISHED
