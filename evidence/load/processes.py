"""Load and its application as child processes: neither shares a CPU's time with who measures."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, Self

from evidence.load.__main__ import READY, SETTLED
from evidence.load.tally import LoadReport

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from evidence.load.loads import Load

_REPOSITORY = Path(__file__).resolve().parents[2]
_LONGEST_ANSWER_S = 15.0


class ChildEnded(RuntimeError):
    """The load or the application does not do its work; why, it has written to the standard error."""


class _Child:
    """A child process that ends with its standard input; use it as a context."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self._process: subprocess.Popen[str]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "evidence.load", *self._arguments],
            cwd=_REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def wait_until_ready(self) -> None:
        """
        Return once it says so.

        Raises:
            ChildEnded: If it ends before, or has not said so after 15 seconds.
        """
        self._hear(READY)

    def _hear(self, expected: str) -> None:
        in_time, _, _ = select.select([self._output], [], [], _LONGEST_ANSWER_S)
        if not in_time or self._output.readline().strip() != expected:
            raise ChildEnded(" ".join(self._arguments))

    @property
    def _output(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

    def _end(self) -> str:
        """Close its input; the answer is what it then writes."""
        return self._process.communicate(timeout=_LONGEST_ANSWER_S)[0]


class Application(_Child):
    """
    What :mod:`evidence.load.application` serves; it counts how often each request comes to it.

    Args:
        address: IPv4 address to bind.
        port: TCP port.
    """

    def __init__(self, address: str, port: int) -> None:
        self._folder = TemporaryDirectory(prefix="meshcert-load-")
        self.seen = Path(self._folder.name) / "requests-seen"
        """The pipe into which it writes the ids of requests: a load client reads it."""
        super().__init__("application", address, str(port), "--seen", str(self.seen))

    def __enter__(self) -> Self:
        os.mkfifo(self.seen, 0o600)
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._folder.cleanup()


class LoadClient(_Child):
    """
    What :mod:`evidence.load.workers` does.

    Args:
        loads: All at the same time; workers, pause and timeout are those of the first.
        seen: The application's pipe; None if nobody counts there.
    """

    def __init__(self, loads: Sequence[Load], seen: Path | None) -> None:
        first = loads[0]
        super().__init__(
            "client",
            *("--workers", str(first.workers), "--pause-s", str(first.pause_s), "--timeout-s", str(first.timeout_s)),
            *(word for load in loads for word in ("--load", *load.arguments)),
            *(("--seen", str(seen)) if seen else ()),
        )

    def settle(self) -> None:
        """
        Return when every request that is under way now has been answered, or has failed.

        Raises:
            ChildEnded: If it has ended.
        """
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self._hear(SETTLED)

    def end(self) -> dict[str, LoadReport]:
        """
        Let it stop asking.

        Returns:
            Each load's figures, by its name.

        Raises:
            ChildEnded: If it has ended before.
        """
        try:
            reports = json.loads(self._end())
        except ValueError:
            raise ChildEnded("the load client") from None
        return {name: LoadReport.from_json(report) for name, report in reports.items()}
