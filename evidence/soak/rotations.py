"""
The soak's rotations: a thousand of each kind under each load, for each delivery.

All loads ask at the same time, each counted for itself: every rotation is one under each of them.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from evidence.fixtures.container import installed_envoy, lay_out_image, memory_folder
from evidence.fixtures.every_protocol import every_load
from evidence.fixtures.rotated_mesh import Kind, RotatedMesh, changes
from evidence.fixtures.under_load import rotate_under_load
from evidence.load.processes import ChildEnded
from evidence.soak.report import Outcome
from meshcert.proxy import DeliveryMode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from evidence.fixtures.under_load import Outcome as UnderLoad

ROTATIONS = 1_000
"""Of each case, at least."""
WARM_UP = 30
WORKERS = 2
"""For each load."""
PAUSE_S = 0.05


class Case(NamedTuple):
    """
    What is counted for itself.

    Args:
        delivery: How the Envoys get their secrets.
        kind: What is changed.
    """

    delivery: DeliveryMode
    kind: Kind

    def __str__(self) -> str:
        return f"{self.delivery} {self.kind}"


def cases(seed: int) -> list[Case]:
    """
    Every case once.

    Args:
        seed: Of their order.
    """
    every = [Case(delivery, kind) for delivery in DeliveryMode for kind in Kind]
    random.Random(seed).shuffle(every)
    return every


def rotate(every: Sequence[Case], count: int, warm_up: int, say: Callable[[str], object]) -> Outcome:
    """
    Carry cases out, each on a mesh of its own.

    Args:
        every: In their order.
        count: Rotations of each.
        warm_up: Rotations before, which do not count.
        say: Told what each came to.
    """
    faults: dict[str, tuple[str, ...]] = {}
    done, requests, failed = 0, Counter[str](), Counter[str]()
    with memory_folder() as folder:
        image = lay_out_image(folder / "image", installed_envoy())
        for number, case in enumerate(every, start=1):
            found: tuple[str, ...]
            try:
                outcome = _carry_out(case, folder / str(number), image, (count, warm_up))
            except (AssertionError, ChildEnded) as error:
                found = (str(error),)
            else:
                found = tuple(outcome.faults())
                done += outcome.rotations
                requests.update({load: report.requests for load, report in outcome.loads.items()})
                failed.update({load: report.failed for load, report in outcome.loads.items()})
            say(f"{number} of {len(every)}: {case}: {', '.join(found) or 'good'}")
            if found:
                faults[str(case)] = found
    figures = {"cases": len(every), "requests": requests, "failed_requests": failed.total()}
    return Outcome(n=done, faults=faults, figures=figures)


def _carry_out(case: Case, folder: Path, image: Path, counts: tuple[int, int]) -> UnderLoad:
    counted, warm_up = (changes(count, case.kind) for count in counts)
    with RotatedMesh(folder, image, case.delivery) as mesh:
        loads = every_load(mesh.gateway.container.address, workers=WORKERS, pause_s=PAUSE_S)
        return rotate_under_load(mesh, loads, counted, warm_up)
