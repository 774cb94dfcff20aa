"""Certificates that Private CA has given an ARN and is still making."""

from __future__ import annotations

import contextvars
import functools
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Progress:
    """What one account's CAs are making: ready after a while, and not before a test lets it be."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held = False
        self._pending: dict[str, Callable[[], None]] = {}
        self._due: list[str] = []

    def begin(self, arn: str, takes_s: float, done: Callable[[], None]) -> None:
        """
        Make a certificate.

        Args:
            takes_s: Seconds until it is ready.
            done: Called then, with the account and region that are in force now.
        """
        with self._lock:
            self._pending[arn] = functools.partial(contextvars.copy_context().run, done)
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

    def hold(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """
        Hold certificates back, or let them be ready: AWS says nobody how long it takes.

        Args:
            request: ``held``: true or false; without it, nothing is changed.

        Returns:
            Whether they are held back now, and the ARNs of those that are not ready.
        """
        with self._lock:
            self._held = bool(request.get("held", self._held))
            due, self._due = ([], self._due) if self._held else (self._due, [])
        for arn in due:
            self._end(arn)
        with self._lock:
            return {"held": self._held, "pending": list(self._pending)}

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
