"""
How Envoy judges a backend's tasks: by the connections it makes, since Cloud Map's word about health is 30 seconds old.

A task that does not accept connections, or fails the TLS handshake, gets no requests for a while. A request that met
it goes to another task (``route.v3.RetryPolicy``, ``previous_hosts``). What an application answers judges nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.envoy.api import duration

if TYPE_CHECKING:
    from meshcert.envoy.api import Json

FAILURES = 3
"""Number of failed connections in a row after which a task gets no requests for a while."""
EJECTED_S = 5.0
"""How long, seconds; it grows by this with each time in a row, up to a minute."""
LONGEST_EJECTED_S = 60.0
PANIC_BELOW_PERCENT = 1.0
"""All tasks are tried again only when none is left: with Envoy's 50 %, half of the requests would meet dead ones."""


def host_health() -> Json:
    """``Cluster.outlier_detection`` by connections alone, and the threshold at which judgements are ignored."""
    judged_by_answers = ("consecutive_5xx", "consecutive_gateway_failure", "success_rate", "local_origin_success_rate")
    return {
        "outlier_detection": {
            "split_external_local_origin_errors": True,
            "consecutive_local_origin_failure": FAILURES,
            "enforcing_consecutive_local_origin_failure": 100,
            **{f"enforcing_{each}": 0 for each in judged_by_answers},
            "interval": duration(1.0),
            "base_ejection_time": duration(EJECTED_S),
            "max_ejection_time": duration(LONGEST_EJECTED_S),
            "max_ejection_percent": 100,
        },
        "common_lb_config": {"healthy_panic_threshold": {"value": PANIC_BELOW_PERCENT}},
    }
