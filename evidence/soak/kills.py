"""Two hundred deaths of watcher and Envoy for each delivery, at random moments of a rotation."""

from __future__ import annotations

import io
from collections import Counter
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from evidence.fixtures.container import installed_envoy, lay_out_image, memory_folder
from evidence.fixtures.killed_container import KilledContainer
from evidence.soak.report import Outcome
from meshcert.proxy import DeliveryMode

if TYPE_CHECKING:
    from collections.abc import Callable

KILLS = 200
_SAY_EVERY = 20
_ADDRESS = "127.201.{}.1"


def kill_all(say: Callable[[str], object], seed: int) -> Outcome:
    """
    Kill, for each delivery.

    Args:
        say: Takes a line now and then.
        seed: Of victims and moments.
    """
    faults: dict[str, tuple[str, ...]] = {}
    killed: dict[str, Counter[str]] = {}
    with memory_folder() as folder:
        image = lay_out_image(folder / "image", installed_envoy())
        for number, delivery in enumerate(DeliveryMode, start=1):
            killed[delivery] = Counter()
            with KilledContainer(image, folder / delivery, _ADDRESS.format(number), delivery, seed) as container:
                fault = _kill(container, delivery, killed[delivery], say)
            if fault:
                faults[f"{delivery} {killed[delivery].total() + 1}"] = (fault,)
    n = sum(counts.total() for counts in killed.values())
    return Outcome(n=n, faults=faults, figures={"killed": killed})


def _kill(
    container: KilledContainer, delivery: DeliveryMode, killed: Counter[str], say: Callable[[str], object]
) -> str:
    """Kill and count the victims, until something is wrong, which is the answer."""
    while killed.total() < KILLS:
        try:
            # A container that ends shows its log, which is of use where a test has failed.
            with redirect_stdout(io.StringIO()):
                victim = container.kill()
        except AssertionError as error:
            return str(error)
        killed[victim] += 1
        if killed.total() % _SAY_EVERY == 0:
            say(f"{delivery}: {killed.total()} of {KILLS}")
    return ""
