"""What publication promises, and what the fake vault and the emulator must agree on."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

import pytest

from meshcert.contract.staging_labels import CURRENT, PENDING, QUARANTINED
from meshcert.errors import IdentityMissing, PublicationRaced, VersionQuarantined
from meshcert.publishing.ports import CurrentValue, PublishedValues, SecretVault
from meshcert.publishing.publication import Outcome, publish, version_labelled

if TYPE_CHECKING:
    from collections.abc import Callable


class Vault(SecretVault, PublishedValues, Protocol):
    """Secrets Manager, as the export role may use it."""


def version(name: str) -> str:
    """A version id as publication makes them."""
    return hashlib.sha256(name.encode()).hexdigest()


class PublicationClaims:
    """
    A base class: run it by giving three fixtures.

    ``vault`` is the port, ``secret_id`` a secret that holds the template's placeholder, and ``current_value`` reads
    what a proxy would read.
    """

    def test_the_first_publication_replaces_the_placeholder(
        self, vault: Vault, secret_id: str, current_value: Callable[[str], str]
    ) -> None:
        """Readers see the new value, and no AWSPENDING is left behind."""
        outcome = publish(vault, secret_id, version("one"), "first", vault.labels(secret_id))

        assert outcome is Outcome.PUBLISHED
        assert current_value(secret_id) == "first"
        assert vault.labels(secret_id)[version("one")] == {CURRENT}

    def test_publishing_twice_changes_nothing(self, vault: Vault, secret_id: str) -> None:
        """The second call reports that the version is current and moves no label."""
        publish(vault, secret_id, version("one"), "first", vault.labels(secret_id))
        labels = vault.labels(secret_id)

        outcome = publish(vault, secret_id, version("one"), "first", labels)

        assert outcome is Outcome.ALREADY_CURRENT
        assert vault.labels(secret_id) == labels

    def test_the_version_before_stays_as_awsprevious(
        self, vault: Vault, secret_id: str, current_value: Callable[[str], str]
    ) -> None:
        """One step back is always there."""
        publish(vault, secret_id, version("one"), "first", vault.labels(secret_id))

        publish(vault, secret_id, version("two"), "second", vault.labels(secret_id))

        assert current_value(secret_id) == "second"
        assert version_labelled(vault.labels(secret_id), "AWSPREVIOUS") == version("one")

    def test_a_stored_version_keeps_its_bytes(
        self, vault: Vault, secret_id: str, current_value: Callable[[str], str]
    ) -> None:
        """A run that died after storing is finished by the next one, whose export has other bytes."""
        vault.put_pending(secret_id, version("one"), "of the run that died")

        outcome = publish(vault, secret_id, version("one"), "exported again", vault.labels(secret_id))

        assert outcome is Outcome.PUBLISHED
        assert current_value(secret_id) == "of the run that died"

    def test_a_leftover_awspending_is_tidied_up(self, vault: Vault, secret_id: str) -> None:
        """A run that died after promoting leaves AWSPENDING on the current version; the next one takes it off."""
        seed = version_labelled(vault.labels(secret_id), CURRENT)
        vault.put_pending(secret_id, version("one"), "first")
        vault.move_label(secret_id, CURRENT, to=version("one"), away_from=seed)
        assert PENDING in vault.labels(secret_id)[version("one")]

        outcome = publish(vault, secret_id, version("one"), "first", vault.labels(secret_id))

        assert outcome is Outcome.ALREADY_CURRENT
        assert vault.labels(secret_id)[version("one")] == {CURRENT}

    def test_an_earlier_version_can_be_published_again(
        self, vault: Vault, secret_id: str, current_value: Callable[[str], str]
    ) -> None:
        """When a deploy is rolled back, the certificate of before becomes current again."""
        for name in ("one", "two"):
            publish(vault, secret_id, version(name), name, vault.labels(secret_id))

        outcome = publish(vault, secret_id, version("one"), "exported again", vault.labels(secret_id))

        assert outcome is Outcome.PUBLISHED
        assert current_value(secret_id) == "one"

    def test_a_quarantined_version_is_never_published(
        self, vault: Vault, secret_id: str, current_value: Callable[[str], str]
    ) -> None:
        """After a failed rollout the version is refused by name, and readers keep the good one."""
        for name in ("good", "bad"):
            publish(vault, secret_id, version(name), name, vault.labels(secret_id))
        vault.move_label(secret_id, QUARANTINED, to=version("bad"), away_from=None)
        vault.move_label(secret_id, CURRENT, to=version("good"), away_from=version("bad"))

        with pytest.raises(VersionQuarantined, match=version("bad")):
            publish(vault, secret_id, version("bad"), "bad", vault.labels(secret_id))
        assert current_value(secret_id) == "good"

    def test_a_slower_run_cannot_cover_a_newer_version(
        self, vault: Vault, secret_id: str, current_value: Callable[[str], str]
    ) -> None:
        """Who looked before somebody else published is told so, and the newer version stays."""
        seen = vault.labels(secret_id)
        publish(vault, secret_id, version("new"), "new", seen)

        with pytest.raises(PublicationRaced, match=CURRENT):
            publish(vault, secret_id, version("old"), "old", seen)
        assert current_value(secret_id) == "new"

    def test_two_runs_with_the_same_version_both_succeed(self, vault: Vault, secret_id: str) -> None:
        """A duplicate event that looked at the same time finds the work done."""
        seen = vault.labels(secret_id)
        publish(vault, secret_id, version("one"), "first", seen)

        outcome = publish(vault, secret_id, version("one"), "exported again", seen)

        assert outcome is Outcome.ALREADY_CURRENT
        assert vault.labels(secret_id)[version("one")] == {CURRENT}

    def test_what_readers_see_is_read_back_with_its_version(self, vault: Vault, secret_id: str) -> None:
        """Not what is pending."""
        publish(vault, secret_id, version("one"), "first", vault.labels(secret_id))
        vault.put_pending(secret_id, version("two"), "second")

        assert vault.current_value(secret_id) == CurrentValue(version("one"), "first")

    def test_a_missing_secret_is_named(self, vault: Vault, secret_id: str) -> None:
        """The message says which secret does not exist."""
        with pytest.raises(IdentityMissing, match="no-such-secret"):
            vault.labels(f"{secret_id}-no-such-secret")
        with pytest.raises(IdentityMissing, match="no-such-secret"):
            vault.current_value(f"{secret_id}-no-such-secret")
