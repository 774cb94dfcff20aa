"""Facts about how callers find the tasks of a backend: they ask Cloud Map, and a stopping task waits for that."""

from __future__ import annotations

POLL_INTERVAL_S = 5.0
"""Longest time between two questions to Cloud Map about one backend, seconds; jitter only shortens it."""

ANSWER_WITHIN_S = 3.0
"""Longest wait for one answer, seconds; it takes tens of milliseconds."""

CALLERS_LEARN_S = POLL_INTERVAL_S + ANSWER_WITHIN_S + POLL_INTERVAL_S
"""
The time in which every caller has learned that a task is gone, seconds, although one question failed.

A stopping task accepts connections for longer than this (``entrypoint.container.drain``).
"""

INSTANCE_ADDRESS = "AWS_INSTANCE_IPV4"
"""The attribute of a Cloud Map instance with its address (Cloud Map API, ``RegisterInstance``)."""
INSTANCE_ZONE = "AVAILABILITY_ZONE"
"""The attribute in which Amazon ECS registers a task's zone (ECS developer guide, "Service discovery")."""
