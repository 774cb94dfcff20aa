"""The story of a bad version, thirty times on a busy machine: the label goes back in time, and nobody notices."""

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

ROLLBACKS = 30
LOAD = 2
"""Processes that do nothing but count, beside each story."""


def roll_back_often(folder: Path, say: Callable[[str], object], times: int = ROLLBACKS) -> Outcome:
    """
    Play the story, each time on a local AWS of its own, beside processes that keep the machine busy.

    Args:
        folder: For the local AWS's files.
        say: Takes a line about each story.
        times: How often.
    """
    faults: dict[str, tuple[str, ...]] = {}
    results: list[RollbackResult] = []
    with _busy():
        for number in range(1, times + 1):
            told = _told(folder / str(number), results)
            say(f"{number} of {times}: {'; '.join(told) or 'good'}")
            if told:
                faults[str(number)] = told
    return Outcome(
        n=times,
        faults=faults,
        figures={
            "load": LOAD,
            "requests": sum(result.requests for result in results),
            "failed_requests": sum(result.failed for result in results),
            "longest_label_back_s": max((result.label_back_s for result in results), default=None),
            "longest_all_good_s": max((result.all_good_s for result in results), default=None),
        },
    )


def _told(folder: Path, results: list[RollbackResult]) -> tuple[str, ...]:
    """What one story did not show; its result is added to the others."""
    folder.mkdir()
    try:
        with LocalAws(folder / "aws", certificates=RollbackStory.TIMES) as aws:
            result = RollbackStory(Stage(started=time.time()), aws, folder).play()
    except Exception as error:  # noqa: BLE001  a story that does not get through is a finding, not the run's end
        return (f"{type(error).__name__}: {error}",)
    results.append(result)
    return tuple(f"{claim}: {figures}" for claim, (seen, figures) in result.claims.items() if not seen)


@contextmanager
def _busy() -> Iterator[None]:
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(LOAD)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
