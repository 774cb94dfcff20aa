"""Watcher and Envoy die in the middle of rotations: no half state, the right exit code, the new version in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evidence.fixtures.killed_container import VICTIMS, KilledContainer
from tests.envoy.conftest import both_deliveries

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from meshcert.proxy import DeliveryMode


@both_deliveries
def test_no_death_at_any_moment_leaves_a_half_state(
    image: Path, tmp_path: Path, new_address: Callable[[], str], delivery: DeliveryMode
) -> None:
    """Eight deaths here, two hundred of each delivery in the soak."""
    with KilledContainer(image, tmp_path, new_address(), delivery, seed=4) as killed:
        victims = [killed.kill() for _ in range(8)]

    assert set(victims) == set(VICTIMS)
