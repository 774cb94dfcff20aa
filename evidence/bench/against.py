"""
Benchmark ``startup --against COMMIT``: the start of this tree's container and of another commit's, in the same rounds.

Both have P-256 keys, the same Envoy, the same settings and their own stand-in for AWS. Of the other commit only its
Dockerfile counts, and what that copies.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evidence.bench.image import REPOSITORY, lay_out_image
from evidence.bench.report import circumstances, say_rounds, told
from evidence.bench.rounds import interleave, spread
from evidence.bench.start import Started
from evidence.bench.ways import Place, Ways
from evidence.fixtures.addresses import loopback_addresses
from evidence.fixtures.container import memory_folder
from evidence.fixtures.secrets_api import SecretsApi
from evidence.fixtures.version_before import unpack
from meshcert.proxy import DeliveryMode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.console import Console

    from evidence.bench.start import Launch

NAME = "startup_against"
GOAL = 1.05
"""A start may take this many times what it took at the other commit."""


class CommitUnknown(RuntimeError):
    """The commit's files cannot be had; the message is what git said."""


def run(commit: str, rounds: int, console: Console) -> dict[str, Any]:
    """
    Measure, print the table, and give the figures for the report.

    Args:
        commit: Whatever git understands as a commit of this repository.
        rounds: How many rounds count.
        console: For progress and table.

    Raises:
        CommitUnknown: If git has no such commit.
        ImageFailed: If one of the two images cannot be laid out.
        StartFailed: If a start fails; also if the other commit does not understand this tree's settings.
    """
    sha, load = full_name(commit), os.getloadavg()[0]
    with ExitStack() as stack:
        folder = stack.enter_context(memory_folder())
        console.print(f"Laying out two Envoy images: this tree's and that of {sha[:12]}")
        unpack(folder / "tree", sha)
        addresses = loopback_addresses()
        ways: dict[str, Callable[[Place], Launch]] = {}
        for side, tree in (("this", REPOSITORY), ("other", folder / "tree")):
            image = lay_out_image(folder / side, tree)
            ours = Ways("ec", image, stack.enter_context(SecretsApi(next(addresses))))
            ways |= {f"{side} {delivery}": partial(ours.meshcert, delivery=delivery) for delivery in DeliveryMode}

        def measure(name: str) -> float:
            with tempfile.TemporaryDirectory(dir=folder) as own:
                place = Place(Path(own), next(addresses))
                with Started(ways[name](place), place.folder) as started:
                    return started.live_after_ms()

        measured = interleave(list(ways), rounds, measure, say_rounds(console, rounds))
    result: dict[str, Any] = {"commit": sha, "goal": GOAL, "rounds": rounds, **circumstances(load)}
    for delivery in DeliveryMode:
        result |= figures(delivery, measured)
    _print(result, console)
    return result


def full_name(commit: str) -> str:
    """The name that git itself has for a commit; raises CommitUnknown if it knows none."""
    asked = ["git", "rev-parse", "--verify", "--end-of-options", f"{commit}^{{commit}}"]
    found = subprocess.run(asked, cwd=REPOSITORY, check=False, capture_output=True, text=True)
    if found.returncode:
        raise CommitUnknown(f"{commit}: {found.stderr.strip()}")
    return found.stdout.strip()


def figures(delivery: str, measured: Mapping[str, list[float]]) -> dict[str, Any]:
    """
    One delivery's part of the report's entry.

    Args:
        delivery: For example ``sds``.
        measured: Milliseconds by side and delivery, one value a round.
    """
    result: dict[str, Any] = {}
    sides = {side: spread(measured[f"{side} {delivery}"]) for side in ("this", "other")}
    for side, taken in sides.items():
        result[f"{delivery}_{side}_ms"] = round(taken.median, 1)
        result[f"{delivery}_{side}_ms_range"] = [round(taken.least, 1), round(taken.most, 1)]
    return result | {f"{delivery}_ratio": round(sides["this"].median / sides["other"].median, 3)}


def _print(result: Mapping[str, Any], console: Console) -> None:
    other = result["commit"][:12]
    for delivery in DeliveryMode:
        sides = []
        for name, side in (("this tree", "this"), (other, "other")):
            least, most = result[f"{delivery}_{side}_ms_range"]
            sides.append(f"{name} {result[f'{delivery}_{side}_ms']:.0f} ms ({least:.0f} - {most:.0f})")
        found = result[f"{delivery}_ratio"]
        met = "met" if found <= GOAL else "MISSED"
        console.print(
            f"delivery: {delivery}: {', '.join(sides)}; ratio of the medians {found:.3f}, "
            f"goal ≤ {GOAL}: [bold]{met}[/bold]",
            soft_wrap=True,
        )
    console.print(told(result), soft_wrap=True)
