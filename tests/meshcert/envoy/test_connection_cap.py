"""How long a connection may live."""

from __future__ import annotations

import pytest

from meshcert.envoy.connection_cap import connection_cap_s, cut_connections, drained_connections, left_connections

HOUR = 3600.0
YEAR = 365 * 24 * HOUR


@pytest.mark.parametrize(
    ("longest_s", "lifetimes_s", "cap_s"),
    [
        (600, [395 * 24 * HOUR], 600),
        (600, [YEAR, HOUR], 360),
        (60, [HOUR], 60),
        (600, [180], 18),
        (600, [3], 1),
        (0.5, [3], 0.5),
        (600, [], 600),
    ],
    ids=["13 months", "the shortest", "asked for", "minutes", "at least a second", "unless asked for", "none"],
)
def test_a_connection_lives_no_longer_than_a_tenth_of_a_certificate(
    longest_s: float, lifetimes_s: list[float], cap_s: float
) -> None:
    """Or than the settings allow, if that is shorter."""
    assert connection_cap_s(longest_s, lifetimes_s) == cap_s


@pytest.mark.parametrize(("cap_s", "until", "drain"), [(600, "595s", "5s"), (10, "9s", "1s"), (1, "0.9s", "0.1s")])
def test_the_time_to_leave_is_part_of_the_cap(cap_s: float, until: str, drain: str) -> None:
    """The connection has ended when the cap is over."""
    assert drained_connections(cap_s) == {
        "common_http_protocol_options": {"max_connection_duration": until},
        "drain_timeout": drain,
    }


@pytest.mark.parametrize(("cap_s", "leaves"), [(600, "590s"), (10, "8s"), (1, "0.8s")])
def test_a_proxy_leaves_before_its_server_asks_it_to(cap_s: float, leaves: str) -> None:
    """Both have the same cap; in HTTP/1.1 only the end that asks can end a connection and lose nothing."""
    assert left_connections(cap_s) == {"max_connection_duration": leaves}


def test_a_tcp_session_is_cut_at_the_cap() -> None:
    """It cannot be asked to leave."""
    assert cut_connections(18.0) == {"max_downstream_connection_duration": "18s"}
