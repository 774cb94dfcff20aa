"""Fixtures of the unit tests."""

from __future__ import annotations

import pytest

from tests.unit.world import World


@pytest.fixture
def world() -> World:
    """One mesh in memory, before the export function has ever run."""
    return World()
