"""Secrets Manager in memory; its claims stand in ``tests/meshcert/publishing/publication_claims.py``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshcert.contract.staging_labels import CURRENT, PREVIOUS
from meshcert.errors import IdentityMissing, PublicationRaced
from meshcert.material.document import PLACEHOLDER
from meshcert.publishing.ports import CurrentValue

if TYPE_CHECKING:
    from collections.abc import Mapping

SEED_VERSION = "00000000-0000-4000-8000-000000000000"
"""The version that holds the template's placeholder."""


@dataclass
class InMemorySecret:
    """A secret: values by version id, and where each label sits."""

    values: dict[str, str]
    holders: dict[str, str]


class InMemoryVault:
    """Secrets Manager: versions never change, each label sits on one version, AWSPREVIOUS follows AWSCURRENT."""

    def __init__(self) -> None:
        self.secrets: dict[str, InMemorySecret] = {}

    def seed(self, secret_id: str) -> None:
        """Make a secret with a placeholder, as the template does."""
        self.secrets[secret_id] = InMemorySecret({SEED_VERSION: PLACEHOLDER}, {CURRENT: SEED_VERSION})

    def current_value(self, secret_id: str) -> CurrentValue:
        """GetSecretValue: what a proxy reads."""
        secret = self._secret(secret_id)
        version = secret.holders[CURRENT]
        return CurrentValue(version, secret.values[version])

    def labelled_value(self, secret_id: str, label: str) -> str:
        """GetSecretValue of a version that has a label."""
        secret = self._secret(secret_id)
        if label not in secret.holders:
            raise IdentityMissing(secret_id, "Deploy the stacks again")
        return secret.values[secret.holders[label]]

    def labels(self, secret_id: str) -> Mapping[str, frozenset[str]]:
        """DescribeSecret."""
        labels: dict[str, set[str]] = {}
        for label, version in self._secret(secret_id).holders.items():
            labels.setdefault(version, set()).add(label)
        return {version: frozenset(own) for version, own in labels.items()}

    def current_version(self, secret_id: str) -> str:
        """The version with AWSCURRENT; simulated tasks look a hundred thousand times."""
        return self._secret(secret_id).holders[CURRENT]

    def put_pending(self, secret_id: str, version_id: str, value: str) -> None:
        """PutSecretValue; ResourceExistsException is what the adapter ignores."""
        secret = self._secret(secret_id)
        if version_id not in secret.values:
            secret.values[version_id] = value
            secret.holders["AWSPENDING"] = version_id

    def move_label(self, secret_id: str, label: str, *, to: str | None, away_from: str | None) -> None:
        """UpdateSecretVersionStage."""
        secret = self._secret(secret_id)
        if secret.holders.get(label) != away_from:
            raise PublicationRaced(secret_id, label)
        if to is None:
            del secret.holders[label]
            return
        secret.holders[label] = to
        if label == CURRENT and away_from is not None:
            secret.holders[PREVIOUS] = away_from

    def _secret(self, secret_id: str) -> InMemorySecret:
        if secret_id not in self.secrets:
            raise IdentityMissing(secret_id, "Deploy the stacks again")
        return self.secrets[secret_id]
