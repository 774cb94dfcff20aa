"""Rotations while clients ask without a break, and what they noticed of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from local.load.processes import LoadClient
from local.load.tally import total_failed, total_requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from local.load.loads import Load
    from local.load.tally import LoadReport
    from tests.envoy.observed_proxy import Footprint
    from tests.envoy.rotated_mesh import Kind, RotatedMesh

MOST_GROWTH = 0.05
"""Of memory and of descriptors, from after the warm-up to the end."""
RETRIES = "upstream_rq_retry"
"""Requests that Envoy sent again by itself: no client noticed, but they are told."""
HANDSHAKES = "ssl.handshake"
_FAULTS = (
    "ssl.connection_error",
    "ssl.fail_verify_error",
    "ssl.fail_verify_no_cert",
    "ssl.fail_verify_san",
    "upstream_cx_connect_fail",
    "update_rejected",
    "update_failure",
    "key_rotation_failed",
)
"""Counters of both Envoys that no rotation may move."""


@dataclass(frozen=True)
class Outcome:
    """
    What rotations under load came to.

    Args:
        changes: Carried through, each on both ends.
        rotations: How often an Envoy took a new version over for them.
        took_s: From the first change's publication to the last one's end, seconds.
        loads: What the clients saw, by load.
        served_after_ms: Median from installed to served, milliseconds, as the entrypoints log it.
        troubles: Lines of the entrypoints' logs that a rotation in good order does not have.
        counters: How far Envoy's counters of faults, retries and handshakes moved, by name.
        footprints: What each process held after the warm-up and at the end, by its name.
    """

    changes: int
    rotations: int
    took_s: float
    loads: Mapping[str, LoadReport]
    served_after_ms: float
    troubles: Sequence[str]
    counters: Mapping[str, int]
    footprints: Mapping[str, tuple[Footprint, Footprint]]

    @property
    def requests(self) -> int:
        """Requests of all loads."""
        return total_requests(self.loads.values())

    @property
    def failed(self) -> int:
        """Failed requests of all loads."""
        return total_failed(self.loads.values())

    @property
    def growth(self) -> float:
        """The most that the memory or the descriptors of a process have grown, as a part."""
        return max(
            after / before - 1
            for first, last in self.footprints.values()
            for before, after in zip(first, last, strict=True)
        )

    def faults(self) -> Iterator[str]:
        """What was noticed: nothing, if all is well."""
        for name, report in self.loads.items():
            if report.failed:
                yield f"{name}: {report.failed} of {report.requests} requests failed: {', '.join(report.details)}"
        yield from self.troubles
        for counter in _FAULTS:
            if moved := self.counters.get(counter):
                yield f"Envoy counts {moved} {counter}"
        for process, (first, last) in self.footprints.items():
            for before, after, what in zip(first, last, ("MB", "descriptors"), strict=True):
                if after > before * (1 + MOST_GROWTH):
                    yield f"{process} grew from {before} to {after} {what}"


def rotate_under_load(
    mesh: RotatedMesh,
    loads: Sequence[Load],
    changes: Sequence[Kind],
    warm_up: Sequence[Kind],
    on_change: Callable[[int], object] = int,
) -> Outcome:
    """
    Make one change after the other, as fast as both ends take it, while every load asks.

    Args:
        mesh: What to rotate and to ask.
        loads: All at the same time.
        changes: In their order.
        warm_up: Changes before, under the same load; only what the processes hold then is looked at.
        on_change: Told how many changes are done.

    Raises:
        AssertionError: If a version is not served in time.
    """
    with LoadClient(loads) as warming:
        warming.wait_until_ready()
        for kind in warm_up:
            mesh.change(kind, warming.settle)
        warming.end()
    first = mesh.footprints()
    before, rotations_before = _counters(mesh), mesh.rotations
    earlier = len(mesh.served_after_ms)
    with LoadClient(loads) as client:
        client.wait_until_ready()
        began = time.monotonic()
        for number, kind in enumerate(changes, start=1):
            mesh.change(kind, client.settle)
            on_change(number)
        took_s = time.monotonic() - began
        reports = client.end()
    last = mesh.footprints()
    return Outcome(
        changes=len(changes),
        rotations=mesh.rotations - rotations_before,
        took_s=took_s,
        loads=reports,
        served_after_ms=median(mesh.served_after_ms[earlier:]),
        troubles=mesh.troubles,
        counters={name: value - before.get(name, 0) for name, value in _counters(mesh).items()},
        footprints={process: (held, last[process]) for process, held in first.items()},
    )


def _counters(mesh: RotatedMesh) -> dict[str, int]:
    return mesh.counters(*_FAULTS, RETRIES, HANDSHAKES)
