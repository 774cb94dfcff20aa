"""What may happen to a function between two of its calls."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from meshcert.errors import AwsUnavailable
from tests.meshcert.publishing.fakes import Crash, CrashAfter

if TYPE_CHECKING:
    from collections.abc import Callable

BEYOND = 10_000


class KilledAfter(CrashAfter):
    """A function that is killed: unlike after an exception, none of its calls comes after that."""

    @property
    def calls(self) -> int:
        """How many calls there were, if it was to be killed beyond all of them."""
        return BEYOND - self._left

    def call(self, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One call to any of the ports."""
        if self.happened:
            raise Crash
        return super().call(method, args, kwargs)


class Meanwhile(CrashAfter):
    """
    Has something happen just before the call of the given number.

    Args:
        call: Number of the call, from 1.
        happens: What happens.
    """

    def __init__(self, call: int, happens: Callable[[], object]) -> None:
        super().__init__(call, lands=True)
        self._happens = happens

    def call(self, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One call to any of the ports."""
        self._left -= 1
        if self._left == 0:
            self._happens()
        return method(*args, **kwargs)


class Throttled(CrashAfter):
    """
    AWS throttles a part of all calls.

    Args:
        seed: Says which calls.
        share: Which part, 0 to 1.
        lands: Whether AWS carries the call out and only the answer gets lost.
    """

    def __init__(self, seed: int, share: float, *, lands: bool) -> None:
        super().__init__(BEYOND, lands=lands)
        self._chances, self._share = random.Random(seed), share  # noqa: S311  repeatable
        self.throttled = 0

    def call(self, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One call to any of the ports."""
        if self._chances.random() >= self._share:
            return method(*args, **kwargs)
        self.throttled += 1
        if self._lands:
            method(*args, **kwargs)
        raise AwsUnavailable("service:Action", "arn", "ThrottlingException")
