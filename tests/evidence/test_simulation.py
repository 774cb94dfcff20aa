"""The parts of a simulated fleet: time that passes by itself, token buckets, and the SDK's own tries."""

from __future__ import annotations

import datetime as dt
import random

import pytest

from evidence.simulation.passing_time import PassingTime
from evidence.simulation.quotas import Bucket, Sdk
from meshcert.errors import AwsUnavailable

T0 = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


class TestTime:
    """Programs side by side."""

    def test_who_is_due_next_runs_next(self) -> None:
        """Two programs that sleep take turns, and no real time passes."""
        time = PassingTime(T0)
        told: list[tuple[str, float]] = []

        def program(name: str, pause_s: float) -> None:
            for _ in range(3):
                time.sleep(pause_s)
                told.append((name, (time.now() - T0).total_seconds()))

        time.begin(lambda: program("slow", 100.0))
        time.begin(lambda: program("fast", 30.0), in_s=25.0)
        time.run()

        assert told == [
            ("fast", 55.0),
            ("fast", 85.0),
            ("slow", 100.0),
            ("fast", 115.0),
            ("slow", 200.0),
            ("slow", 300.0),
        ]

    def test_a_fault_of_a_program_is_not_lost(self) -> None:
        """The simulation stops with it."""
        time = PassingTime(T0)
        time.begin(lambda: 1 // 0)

        with pytest.raises(ZeroDivisionError):
            time.run()


class TestQuota:
    """Token buckets."""

    def test_a_bucket_gives_its_burst_and_then_its_rate(self) -> None:
        """Two at once, then one each half second; an hour's rest fills it and no more."""
        bucket = Bucket(rate=2.0, burst=2.0)

        assert [bucket.take(T0) for _ in range(3)] == [True, True, False]
        assert [bucket.take(T0 + SECOND / 2) for _ in range(2)] == [True, False]
        assert [bucket.take(T0 + 3600 * SECOND) for _ in range(3)] == [True, True, False]

    def test_a_throttled_call_is_made_three_times_and_fails(self) -> None:
        """As botocore's standard mode does; only the failure counts as one."""
        time = PassingTime(T0)
        sdk = Sdk(time, random.Random(1), {"acm:RenewCertificate": Bucket(rate=0.001, burst=1.0)})  # noqa: S311
        answers: list[str] = []

        def program() -> None:
            answers.append(sdk.call("acm:RenewCertificate", lambda: "answered"))
            with pytest.raises(AwsUnavailable, match="ThrottlingException"):
                sdk.call("acm:RenewCertificate", lambda: "never")

        time.begin(program)
        time.run()

        assert answers == ["answered"]
        assert (sdk.calls.total(), sdk.refused.total(), sdk.failed.total()) == (4, 3, 1)
        assert 0.12 <= (time.now() - T0).total_seconds() <= 0.24 + 3.0
