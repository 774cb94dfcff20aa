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
    from meshcert.host_policies import HealthCheck, OutlierDetection
    from meshcert.proxy import Backend

FAILURES = 3
"""Number of failed connections in a row after which a task gets no requests for a while."""
EJECTED_S = 5.0
"""How long, seconds; it grows by this with each time in a row, up to a minute."""
LONGEST_EJECTED_S = 60.0
LONGEST_DECLARED_EJECTED_S = 300.0
"""The same where the virtual node says when; Envoy's own default, which App Mesh had."""
PANIC_BELOW_PERCENT = 1.0
"""All tasks are tried again only when none is left: with Envoy's 50 %, half of the requests would meet dead ones."""


def host_health(backend: Backend) -> Json:
    """
    Fields of ``Cluster``: ``outlier_detection``, ``health_checks``, and the threshold at which judgements are ignored.

    What a task answers counts only if the virtual node says so (App Mesh's outlier detection); connections always do.
    """
    declared = backend.outlier_detection
    judged_by_answers = ("consecutive_gateway_failure", "success_rate", "local_origin_success_rate")
    fields: Json = {
        "outlier_detection": {
            "split_external_local_origin_errors": True,
            "consecutive_local_origin_failure": FAILURES,
            "enforcing_consecutive_local_origin_failure": 100,
            **_by_answers(declared),
            **{f"enforcing_{each}": 0 for each in judged_by_answers},
        },
        "common_lb_config": {"healthy_panic_threshold": {"value": PANIC_BELOW_PERCENT}},
    }
    if backend.health_check:
        fields["health_checks"] = [_asked(backend.protocol, backend.health_check)]
    return fields


def _by_answers(declared: OutlierDetection | None) -> Json:
    if declared is None:
        return {
            "enforcing_consecutive_5xx": 0,
            "interval": duration(1.0),
            "base_ejection_time": duration(EJECTED_S),
            "max_ejection_time": duration(LONGEST_EJECTED_S),
            "max_ejection_percent": 100,
        }
    return {
        "enforcing_consecutive_5xx": 100,
        "consecutive_5xx": declared.max_server_errors,
        "interval": duration(declared.interval_s),
        "base_ejection_time": duration(declared.base_ejection_s),
        "max_ejection_time": duration(max(declared.base_ejection_s, LONGEST_DECLARED_EJECTED_S)),
        "max_ejection_percent": declared.max_ejection_percent,
        "always_eject_one_host": True,
    }


def _asked(protocol: str, check: HealthCheck) -> Json:
    """``core.v3.HealthCheck``; it travels as requests do, over TLS if they do."""
    how: Json
    if protocol == "grpc":
        how = {"grpc_health_check": {}}
    elif protocol == "tcp":
        how = {"tcp_health_check": {}}
    else:
        codec = "HTTP2" if protocol == "http2" else "HTTP1"
        how = {"http_health_check": {"path": check.path or "/", "codec_client_type": codec}}
    return {
        "timeout": duration(check.timeout_s),
        "interval": duration(check.interval_s),
        # Envoy's own default asks once a minute where nobody sends requests.
        "no_traffic_interval": duration(check.interval_s),
        "healthy_threshold": check.healthy_threshold,
        "unhealthy_threshold": check.unhealthy_threshold,
        **how,
    }
