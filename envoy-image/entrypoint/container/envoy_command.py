"""The command that starts Envoy."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from entrypoint.container.drain_time import drain_time
from meshcert.contract.environment import LOG_LEVEL

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOG_LEVELS = {"debug": "info", "error": "error"}
"""Envoy's level for ours; ``warning`` for the rest, because its ``info`` is what we would call debugging."""


def envoy_command(config: str, environ: Mapping[str, str]) -> list[str]:
    """
    Envoy's arguments, the program's name first.

    Args:
        config: Path of its configuration.
    """
    return [
        "envoy",
        *("-c", config),
        "--disable-hot-restart",
        # One worker for each CPU this container may use; Envoy would count the host's.
        *("--concurrency", str(len(os.sched_getaffinity(0)))),
        *("--drain-time-s", str(max(1, int(drain_time(environ))))),
        # A refused connection is logged within a quarter of a second, not ten seconds.
        *("--file-flush-interval-msec", "250"),
        *("--log-level", _LOG_LEVELS.get(environ.get(LOG_LEVEL, ""), "warning")),
    ]
