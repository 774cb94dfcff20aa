"""Certificates that Private CA has given an ARN and is still making."""

from __future__ import annotations

import contextvars
import functools
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Progress:
    """What one account's CAs are making: ready after a while, not before a test lets it be, or never."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held = False
        self._failing = False
        self._pending: dict[str, Callable[[], None]] = {}
        self._failed: set[str] = set()
        self._due: list[str] = []

    def begin(self, arn: str, takes_s: float, done: Callable[[str], None]) -> None:
        """
        Make a certificate.

        Args:
            takes_s: Seconds until it is ready.
            done: Called then with ``success`` or ``failure``, and with the account and region that are in force now.
        """
        with self._lock:
            result = "failure" if self._failing else "success"
            if self._failing:
                self._failed.add(arn)
            self._pending[arn] = functools.partial(contextvars.copy_context().run, done, result)
        if takes_s <= 0:
            self._end(arn)
            return
        timer = threading.Timer(takes_s, self._end, (arn,))
        timer.daemon = True
        timer.start()

    def is_pending(self, arn: str) -> bool:
        """True until the certificate is ready."""
        with self._lock:
            return arn in self._pending

    def has_failed(self, arn: str) -> bool:
        """True of a certificate that is not made, and never will be."""
        with self._lock:
            return arn in self._failed and arn not in self._pending

    def hold(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """
        Hold certificates back, or let them be ready: AWS says nobody how long it takes. Or let them fail.

        Args:
            request: ``held``: true or false; ``failing``: whether those that are asked for from now on come to nothing.
                What is not in it is not changed.

        Returns:
            Whether they are held back and whether they fail now, and the ARNs of those that are not ready.
        """
        with self._lock:
            self._held = bool(request.get("held", self._held))
            self._failing = bool(request.get("failing", self._failing))
            due, self._due = ([], self._due) if self._held else (self._due, [])
        for arn in due:
            self._end(arn)
        with self._lock:
            return {"held": self._held, "failing": self._failing, "pending": list(self._pending)}

    def forget(self) -> None:
        """Let all that is pending come to nothing, as a reset does."""
        with self._lock:
            self._pending.clear()
            self._due.clear()

    def _end(self, arn: str) -> None:
        with self._lock:
            if self._held:
                self._due.append(arn)
                return
            done = self._pending.pop(arn, None)
        if done is not None:
            done()
