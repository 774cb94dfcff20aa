"""The table ``lifecycle`` in memory keeps what DynamoDB's keeps."""

from __future__ import annotations

import pytest

from evidence.simulation.tables import InMemoryLifecycle
from tests.meshcert.lifecycle.lease_claims import LeaseClaims
from tests.meshcert.publishing.fakes import FakeClock


@pytest.fixture
def table() -> InMemoryLifecycle:
    """An empty table."""
    return InMemoryLifecycle()


@pytest.fixture
def clock() -> FakeClock:
    """Time that stands still."""
    return FakeClock()


class TestLifecycleTable(LeaseClaims):
    """The claims, in memory."""
