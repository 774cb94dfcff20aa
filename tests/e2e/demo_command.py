"""``make demo ARGS=--keep``, as a user starts it in a terminal and ends it with Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Self

from local.cdk import ROOT
from local.demo.result import DemoResult, Refused, Renewal, Seconds
from local.running_mesh import TlsCounters, wait_until

if TYPE_CHECKING:
    from types import TracebackType

FIGURES = ROOT / "build" / "demo.json"
LONGEST_S = 400.0
STOPS_WITHIN_S = 120.0
_KEPT = "Press Ctrl-C to stop it."
_PROGRAM = b"local.demo"


class DemoCommand:
    """The running command; use it as a context, which ends it however it stands."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        """What it has printed."""
        self._process: subprocess.Popen[str]
        self._reader = Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        FIGURES.unlink(missing_ok=True)
        # What the make that runs the tests was told is not meant for this one.
        of_make = ("MAKE", "MFLAGS", "ARGS", "STORY", "MESH")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(of_make)}
        self._process = subprocess.Popen(
            # As a script's shell starts its background jobs: Ctrl-C is ignored, and children inherit that.
            ["env", "--ignore-signal=INT", "make", "demo", "ARGS=--keep"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait(STOPS_WITHIN_S)
        self._reader.join()
        assert self._process.stdout
        self._process.stdout.close()

    @property
    def output(self) -> str:
        """Everything it has printed."""
        return "\n".join(self.lines)

    @property
    def endpoint(self) -> str:
        """The URL of its local AWS, as it tells its user."""
        found = re.search(r"AWS_ENDPOINT_URL=(\S+)", self.output)
        assert found, self.output
        return found[1]

    def wait_until_kept(self) -> DemoResult:
        """
        Wait until everything was played and it keeps running.

        Returns:
            What it has measured, from the file that it names.
        """
        wait_until(lambda: _KEPT in self.output or self._process.poll() is not None, "the demo", within_s=LONGEST_S)
        assert _KEPT in self.output, self.output
        figures = json.loads(FIGURES.read_text())
        return DemoResult(
            answer=figures["answer"],
            one_way=TlsCounters(**figures["one_way"]),
            mutual=TlsCounters(**figures["mutual"]),
            refused=Refused(**figures["refused"]),
            renewal=Renewal(**figures["renewal"]),
            seconds=Seconds(**figures["seconds"]),
        )

    def end(self) -> int:
        """Press Ctrl-C; returns the exit code."""
        for pid in _descendants(self._process.pid):
            if _PROGRAM in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                os.kill(pid, signal.SIGINT)
        return self._process.wait(STOPS_WITHIN_S)

    def _read(self) -> None:
        assert self._process.stdout
        self.lines.extend(line.rstrip("\n") for line in self._process.stdout)


def _descendants(pid: int) -> list[int]:
    """A process, and of its children those that one process starts after the other: make, a shell, the program."""
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [pid, *(one for child in children for one in _descendants(child))]
