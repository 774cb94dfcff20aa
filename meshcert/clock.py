"""The real time."""

from __future__ import annotations

import datetime as dt
import time


class SystemClock:
    """The machine's clock; implements :class:`meshcert.ports.Clock`."""

    def now(self) -> dt.datetime:
        """The time, aware, UTC."""
        return dt.datetime.now(dt.UTC)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
