"""Two hundred deaths of watcher and Envoy for each delivery, at random moments of a rotation."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from meshcert.proxy import Delivery
from soak.report import Outcome
from tests.envoy.container import installed_envoy, lay_out_image
from tests.envoy.killed_container import KilledContainer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KILLS = 200
_SAY_EVERY = 20
_ADDRESS = "127.201.{}.1"


def kill_all(folder: Path, say: Callable[[str], object], seed: int) -> Outcome:
    """
    Kill, for each delivery.

    Args:
        folder: For the containers' files.
        say: Takes a line now and then.
        seed: Of victims and moments.
    """
    faults: dict[str, tuple[str, ...]] = {}
    killed: dict[str, dict[str, int]] = {}
    image = lay_out_image(folder / "image", installed_envoy())
    for number, delivery in enumerate(Delivery, start=1):
        counts = killed.setdefault(str(delivery), {"watcher": 0, "envoy": 0})
        with KilledContainer(image, folder / delivery, _ADDRESS.format(number), delivery, seed) as container:
            for kill in range(1, KILLS + 1):
                try:
                    # A container that ends shows its log, which is of use where a test has failed.
                    with redirect_stdout(io.StringIO()):
                        victim = container.kill()
                    counts[victim] += 1
                except AssertionError as error:
                    faults[f"{delivery} {kill}"] = (str(error),)
                    break
                if kill % _SAY_EVERY == 0:
                    say(f"{delivery}: {kill} of {KILLS}")
    return Outcome(n=sum(sum(counts.values()) for counts in killed.values()), faults=faults, figures={"killed": killed})
