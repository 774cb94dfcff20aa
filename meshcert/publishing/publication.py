"""
A version of a secret becomes the one that proxies read.

Store it as ``AWSPENDING``, move ``AWSCURRENT`` onto it, take ``AWSPENDING`` off. A crash between any two steps leaves a
state from which the same call goes on: the version's id says what is in it, so storing it twice is storing it once.
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


class Outcome(StrEnum):
    """What became of a publication."""

    PUBLISHED = "published"
    """The version is now the current one."""
    ALREADY_CURRENT = "already_current"
    """It was the current one; nothing readers see has changed."""
    WITHHELD = "withheld"
    """It was rolled back: it was taken out of ACM, which renews only what was, and published nowhere."""


def version_labelled(labels: LabelsByVersion, label: str) -> str | None:
    """The version that has a staging label, or None."""
    return next((version for version, own in labels.items() if label in own), None)


def is_withheld(labels: LabelsByVersion, version_id: str) -> bool:
    """
    Whether a version was rolled back. One that is current stays so: moving labels back is the renewal function's task.

    Args:
        labels: The secret's labels.
        version_id: The version.
    """
    own = labels.get(version_id, frozenset())
    return QUARANTINED in own and CURRENT not in own


def require_publishable(labels: LabelsByVersion, secret_id: str, version_id: str) -> None:
    """
    Refuse a version that was rolled back.

    Args:
        labels: The secret's labels.
        secret_id: The secret, for the message.
        version_id: The version about to be published.

    Raises:
        VersionQuarantined: If it is quarantined and not current.
    """
    if is_withheld(labels, version_id):
        raise VersionQuarantined(secret_id, version_id)


def publish(vault: SecretVault, secret_id: str, version_id: str, value: str, seen: LabelsByVersion) -> Outcome:
    """
    Make a version current, safely to be repeated.

    Args:
        vault: Where secrets live.
        secret_id: The secret.
        version_id: Names the content: the same content always has the same id. If the version is stored already, its
            bytes stay (every export encrypts the key anew) and only the labels move.
        value: The secret's new value, checked by the caller.
        seen: The labels as they were *before* the caller looked at what to publish. ``AWSCURRENT`` is moved away from
            where it was then, so that a slower run cannot put an older certificate over a newer one.

    Returns:
        Whether anything changed for readers.

    Raises:
        VersionQuarantined: If the version was rolled back.
        PublicationRaced: If another run moved ``AWSCURRENT`` to a third version since ``seen``.
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
    Take ``AWSPENDING`` off a version that has it: a publication's last step.

    Args:
        vault: Where secrets live.
        secret_id: The secret.
        version_id: The version.
        labels: The secret's labels as last seen.
    """
    if PENDING not in labels.get(version_id, frozenset()):
        return
    try:
        vault.move_label(secret_id, PENDING, to=None, away_from=version_id)
    except PublicationRaced:
        # Two runs may both want it gone, and it is.
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
