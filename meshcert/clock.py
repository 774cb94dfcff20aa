"""Time: what a use case asks for, and the machine's own."""

from __future__ import annotations

import datetime as dt
import time
from typing import Protocol


class Clock(Protocol):
    """Time, so that tests own it."""

    def now(self) -> dt.datetime:
        """The time, aware, UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait. Only the wait for a fresh deployment calls this; see :mod:`meshcert.deploying.custom_resource`."""
        ...


class SystemClock:
    """The machine's clock; implements :class:`Clock`."""

    def now(self) -> dt.datetime:
        """The time, aware, UTC."""
        return dt.datetime.now(dt.UTC)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
