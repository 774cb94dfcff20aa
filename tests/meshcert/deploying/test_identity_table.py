"""The table's claims, against the fake."""

from __future__ import annotations

import pytest

from evidence.simulation.tables import InMemoryIdentities
from tests.meshcert.deploying.identity_table_claims import IdentityTableClaims


class TestIdentityTableInMemory(IdentityTableClaims):
    """The claims, in memory."""

    @pytest.fixture
    def table(self) -> InMemoryIdentities:
        """An empty table."""
        return InMemoryIdentities()
