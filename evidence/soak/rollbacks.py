"""A bad version rolled back thirty times on a busy machine: the label goes back in time, and nobody notices."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from evidence.soak.report import Outcome
from local.demo.rollback import RollbackResult, RollbackStory
from local.demo.stage import Stage
from local.running_aws import LocalAws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MESHES = 5
ROLLBACKS = 6
"""In each mesh."""
LOAD = 2
"""Processes that do nothing but count, beside each story."""


def roll_back_often(
    folder: Path, say: Callable[[str], object], meshes: int = MESHES, rollbacks: int = ROLLBACKS
) -> Outcome:
    """
    Roll bad versions back in several meshes, each on its own local AWS, beside processes that keep the machine busy.

    Args:
        folder: For the local AWS's files.
        say: Takes a line about each rollback.
        meshes: How many meshes are deployed.
        rollbacks: How many bad versions each of them meets.
    """
    faults: dict[str, tuple[str, ...]] = {}
    results: list[RollbackResult] = []
    with _busy():
        for mesh in range(1, meshes + 1):
            began = len(results)
            try:
                for result in _rolled_back(folder / str(mesh), rollbacks):
                    results.append(result)
                    told = tuple(f"{claim}: {figures}" for claim, (seen, figures) in result.claims.items() if not seen)
                    number = f"{mesh}.{len(results) - began}"
                    say(f"{number} of {meshes}.{rollbacks}: {'; '.join(told) or 'good'}")
                    if told:
                        faults[number] = told
            except Exception as error:  # noqa: BLE001  a story that does not get through is a finding, not the run's end
                number = f"{mesh}.{len(results) - began + 1}"
                faults[number] = (f"{type(error).__name__}: {error}",)
                say(f"{number}: {faults[number][0]}")
    return Outcome(
        n=meshes * rollbacks,
        faults=faults,
        figures={
            "meshes": meshes,
            "load": LOAD,
            "requests": sum(result.requests for result in results),
            "failed_requests": sum(result.failed for result in results),
            "longest_label_back_s": max((result.label_back_s for result in results), default=None),
            "longest_all_good_s": max((result.all_good_s for result in results), default=None),
        },
    )


def _rolled_back(folder: Path, times: int) -> Iterator[RollbackResult]:
    """Each rollback in one mesh, told from outside."""
    folder.mkdir()
    with LocalAws(folder / "aws", certificates=RollbackStory.TIMES) as aws:
        story = RollbackStory(Stage(started=time.time()), aws, folder)
        story.stand_up()
        for _ in range(times):
            yield story.roll_back()


@contextmanager
def _busy() -> Iterator[None]:
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(LOAD)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
