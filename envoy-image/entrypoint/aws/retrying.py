"""Repeating a call that fails, until a deadline."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, TypeVar

from entrypoint.aws.json_api import FRESH_ROLE_CODES
from meshcert.errors import AwsRefused, MeshcertError, NotReady, VersionQuarantined
from meshcert.values.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_Result = TypeVar("_Result")

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 3.0
FRESH_ROLE_GRACE_S = 15.0
"""Seconds after which a refusal that a new role may meet is final."""


def _any_fraction() -> float:
    """A random number from 0 to 1, without loading the module ``random`` for this alone."""
    return int.from_bytes(os.urandom(4), "big") / 2**32


class ProcessClock(NamedTuple):
    """
    The time, and a way to wait; tests bring their own.

    Args:
        monotonic: Returns seconds since any fixed moment.
        sleep: Waits that many seconds.
        jitter: Returns a random number from 0 to 1.
        now: Returns seconds since 1970, UTC.
    """

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = _any_fraction
    now: Callable[[], float] = time.time


def delay(attempt: int, jitter: float) -> float:
    """
    The wait after an attempt, seconds: it doubles each time, and is cut by up to a half at random.

    Args:
        attempt: 0 for the first attempt.
        jitter: From 0 to 1.
    """
    return min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(attempt, 16)) * (0.5 + 0.5 * jitter)


def until(deadline: float, attempt: Callable[[], _Result], clock: ProcessClock) -> _Result:
    """
    The result of the first attempt that succeeds.

    After an error that heals by itself, the call is repeated until the deadline. One that needs a person is final at
    once, except a refusal that a new role may meet, which is final after 15 seconds. A quarantined version heals: the
    function that sets this label moves AWSCURRENT to another version next.

    Args:
        deadline: In the clock's ``monotonic`` time; one attempt is made even if it has passed.
        attempt: Raises :class:`~meshcert.errors.MeshcertError` when it fails.

    Raises:
        MeshcertError: The last attempt's.
    """
    grace_until = min(deadline, clock.monotonic() + FRESH_ROLE_GRACE_S)
    count = 0
    while True:
        try:
            return attempt()
        except MeshcertError as error:
            limit = _limit(error, deadline, grace_until)
            pause = delay(count, clock.jitter())
            count += 1
            if limit is None or clock.monotonic() + pause >= limit:
                raise
            clock.sleep(pause)


def _limit(error: MeshcertError, deadline: float, grace_until: float) -> float | None:
    if isinstance(error, NotReady | VersionQuarantined):
        return deadline
    if isinstance(error, AwsRefused) and error.code in FRESH_ROLE_CODES:
        return grace_until
    return None
