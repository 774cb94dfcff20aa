"""
How long each container of a task takes to stop, seconds.

ECS stops containers in the reverse order of their dependencies, and waits for each: the times of a task add up. Fargate
allows a container 120 s at most, and a Spot task 120 s in all (ECS developer guide, "Fargate capacity providers").
"""

from __future__ import annotations

DRAIN_S = 15.0
"""
How long a stopping task goes on accepting connections, unless it is set.

Callers keep its address for 13 s (:data:`meshcert.contract.discovery.CALLERS_LEARN_S`).
"""
LONGEST_DRAIN_S = 110.0
LONGEST_STOP_S = 120.0
"""The longest ``stopTimeout`` of a container on Fargate (Amazon ECS API, ContainerDefinition)."""
FINISH_S = 5.0
"""Longest wait for requests in flight, after accepting has ended."""
ENVOY_STOP_S = 3.0
"""From SIGTERM to SIGKILL for Envoy's process."""
APPLICATION_STOP_S = 30.0
"""From SIGTERM to SIGKILL for the application: what ECS waits where nothing is declared."""
STOP_MARGIN_S = 10.0
"""What a container may take beyond its longest wait: requests in flight, and the end of Envoy's process."""


def readiness_stop_s(drain_s: float = DRAIN_S) -> float:
    """``stopTimeout`` of the readiness container, which is stopped first and drains."""
    return drain_s + STOP_MARGIN_S


def envoy_stop_s(drain_s: float = DRAIN_S, application_stop_s: float = APPLICATION_STOP_S) -> float:
    """``stopTimeout`` of Envoy's container: signalled alone it drains, and it outlasts the application in any case."""
    return max(drain_s, application_stop_s) + STOP_MARGIN_S
