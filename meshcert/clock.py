"""Time: the port that use cases ask, and the machine's clock."""

from __future__ import annotations

import datetime as dt
import time
from typing import Protocol


class Clock(Protocol):
    """The time, as a port, so that tests control it."""

    def now(self) -> dt.datetime:
        """The present time, aware, UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait. Only the wait for a fresh deploy calls this; see :mod:`meshcert.deploying.custom_resource`."""
        ...


class SystemClock:
    """The machine's clock; implements :class:`Clock`."""

    def now(self) -> dt.datetime:
        """The present time, aware, UTC."""
        return dt.datetime.now(dt.UTC)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
