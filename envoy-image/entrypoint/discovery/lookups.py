"""DNS lookups with a limit of time: the system's resolver has its own, which are longer, and cannot be interrupted."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class Lookups:
    """
    Looks names up, each in a thread.

    Args:
        resolve: Returns the addresses of a name, none if there are none.
    """

    def __init__(self, resolve: Callable[[str], tuple[str, ...]]) -> None:
        self._resolve = resolve
        self._running: dict[str, threading.Thread] = {}
        self._found: dict[str, tuple[str, ...]] = {}

    def ask(self, names: Iterable[str], within_s: float) -> Mapping[str, tuple[str, ...]]:
        """
        Look names up at the same time.

        Args:
            within_s: Longest wait for all of them, seconds.

        Returns:
            The addresses of each name whose lookup has ended; a late one counts the next time.
        """
        wanted, deadline = tuple(names), time.monotonic() + within_s
        for name in wanted:
            if name not in self._running:
                self._running[name] = threading.Thread(target=self._look_up, args=(name,), daemon=True)
                self._running[name].start()
        for name in wanted:
            self._running[name].join(max(0.0, deadline - time.monotonic()))
        ended = [name for name in wanted if not self._running[name].is_alive()]
        for name in ended:
            del self._running[name]
        return {name: self._found.pop(name, ()) for name in ended}

    def _look_up(self, name: str) -> None:
        self._found[name] = self._resolve(name)
