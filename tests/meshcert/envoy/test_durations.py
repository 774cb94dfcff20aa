"""Durations in Envoy's JSON: milliseconds, no exponents, and no limit becomes none."""

from __future__ import annotations

import pytest

from meshcert.envoy.api import duration


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0s"),
        (0.0, "0s"),
        (15, "15s"),
        (0.2, "0.2s"),
        (0.1 + 0.2, "0.3s"),
        (100.0, "100s"),
        (604_800.0, "604800s"),
        (123_456.789, "123456.789s"),
        (1e-5, "0.001s"),
        (1e-12, "0.001s"),
    ],
)
def test_a_duration_is_said_in_milliseconds(seconds: float, said: str) -> None:
    """What is shorter than a millisecond is one: 0 would be no limit."""
    assert duration(seconds) == said
