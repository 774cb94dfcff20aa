"""AWS's request quotas, and how the SDK calls through them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from meshcert.errors import AwsUnavailable

if TYPE_CHECKING:
    import datetime as dt
    import random
    from collections.abc import Callable, Mapping

    from evidence.simulation.passing_time import PassingTime

TRIES = 3
"""botocore's standard mode makes three."""


@dataclass
class Bucket:
    """
    A token bucket, full at first.

    Args:
        rate: Tokens that come back each second.
        burst: How many it holds. AWS publishes none for ACM and Secrets Manager: it is taken to be one second's worth.
    """

    rate: float
    burst: float
    _tokens: float = -1.0
    _at: dt.datetime | None = None

    def take(self, now: dt.datetime) -> bool:
        """Take a token; False if there was none."""
        since_s = (now - self._at).total_seconds() if self._at else float("inf")
        self._tokens, self._at = min(self.burst, max(self._tokens, 0.0) + since_s * self.rate), now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class Sdk:
    """
    Makes calls as boto3 does in its standard mode: each takes its time, and one that is throttled is made again.

    Args:
        time: The clock.
        chances: Where latency and back-off come from.
        buckets: Token buckets by API; an API without one is never throttled.
        latency_s: Shortest and longest answer.
    """

    def __init__(
        self,
        time: PassingTime,
        chances: random.Random,
        buckets: Mapping[str, Bucket],
        latency_s: tuple[float, float] = (0.03, 0.06),
    ) -> None:
        self.calls: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self._time, self._chances, self._buckets, self._latency_s = time, chances, buckets, latency_s

    def call(self, api: str, answer: Callable[[], Any]) -> Any:
        """
        Make a call.

        Raises:
            AwsUnavailable: If it was throttled three times.
        """
        for attempt in range(1, TRIES + 1):
            self.calls[api] += 1
            self._time.sleep(self._chances.uniform(*self._latency_s))
            bucket = self._buckets.get(api)
            if bucket is None or bucket.take(self._time.now()):
                return answer()
            self.refused[api] += 1
            if attempt < TRIES:
                # botocore's retries.standard.ExponentialBackoff: a part of 1 s, then of 2 s.
                self._time.sleep(self._chances.random() * 2.0 ** (attempt - 1))
        self.failed[api] += 1
        raise AwsUnavailable(api, "the simulation", "ThrottlingException")

    def around(self, port: Any, apis: Mapping[str, str]) -> Any:
        """A port whose methods of these names are calls to these APIs; the others are no calls."""
        return _Called(port, self, apis)


class _Called:
    def __init__(self, port: Any, sdk: Sdk, apis: Mapping[str, str]) -> None:
        self._port, self._sdk, self._apis = port, sdk, apis

    def __getattr__(self, name: str) -> Any:
        method, api = getattr(self._port, name), self._apis.get(name)
        if api is None:
            return method
        return lambda *args, **kwargs: self._sdk.call(api, partial(method, *args, **kwargs))
