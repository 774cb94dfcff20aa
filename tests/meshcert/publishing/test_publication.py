"""Publication, against the fake vault."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evidence.simulation.vault import InMemoryVault
from tests.meshcert.publishing.publication_claims import PublicationClaims

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "meshcert/color/identity/colorteller"


class TestPublicationInMemory(PublicationClaims):
    """The claims, in memory."""

    @pytest.fixture
    def vault(self) -> InMemoryVault:
        """A vault with one seeded secret."""
        vault = InMemoryVault()
        vault.seed(SECRET)
        return vault

    @pytest.fixture
    def secret_id(self) -> str:
        """The seeded secret."""
        return SECRET

    @pytest.fixture
    def current_value(self, vault: InMemoryVault) -> Callable[[str], str]:
        """What a proxy reads."""
        return lambda secret_id: vault.current_value(secret_id).value
