"""Time: the port that use cases ask, and the machine's clock."""

from __future__ import annotations

import datetime as dt
import time
from typing import Protocol

EARLIEST, LATEST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC), dt.datetime(2200, 1, 1, tzinfo=dt.UTC)
"""Times that others wrote are believed between these: a lifetime more or less is still a time that Python can hold."""


def believed(time: dt.datetime) -> dt.datetime:
    """
    A time that others wrote, UTC.

    Raises:
        ValueError: If it is naive, or before 1970 or after 2200.
    """
    if time.tzinfo is None or not EARLIEST <= time <= LATEST:
        raise ValueError("a time between 1970 and 2200 was expected")
    return time.astimezone(dt.UTC)


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
