"""Rotations of both ends that no client notices: small counts; ``make bench`` and ``make soak`` have the large ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evidence.bench.torn_reads import read_while_installing
from evidence.fixtures.container import memory_folder
from evidence.fixtures.every_protocol import every_load
from evidence.fixtures.rotated_mesh import Kind, RotatedMesh, changes
from evidence.fixtures.under_load import HANDSHAKES, rotate_under_load
from meshcert.proxy import DeliveryMode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROTATIONS = 10
"""Each kind of change once, on both ends."""
WARM_UP = 10
READS = 20_000


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder as in a task."""
    with memory_folder() as folder:
        yield folder


@pytest.mark.parametrize("delivery", DeliveryMode)
def test_no_request_fails_while_both_ends_rotate(delivery: DeliveryMode, memory: Path, image: Path) -> None:
    """Leaves, key algorithms and CAs, under HTTP/1.1, HTTP/2 and gRPC, on kept and on new connections."""
    with RotatedMesh(memory, image, delivery) as mesh:
        loads = every_load(mesh.gateway.container.address, pause_s=0.02)
        outcome = rotate_under_load(mesh, loads, changes(ROTATIONS, *Kind), changes(WARM_UP, *Kind))

    assert list(outcome.faults()) == []
    assert outcome.failed == 0
    assert outcome.rotations == ROTATIONS
    assert {name for name, report in outcome.loads.items() if report.requests >= ROTATIONS} == {
        "http1-kept", "http1-new", "http2-kept", "http2-new", "grpc-kept", "grpc-new",
    }  # fmt: skip
    new = sum(report.connections for name, report in outcome.loads.items() if name.endswith("-new"))
    assert outcome.counters[HANDSHAKES] >= 2 * new  # at both ends; those of kept connections come on top


def test_installed_files_never_hold_a_torn_pair(memory: Path) -> None:
    """Whoever reads while versions are installed finds a certificate with the key that belongs to it."""
    seen = read_while_installing(memory, READS)

    assert seen.torn == 0
    assert seen.reads == READS
    assert seen.installed > 100
    assert seen.versions_seen > 10
