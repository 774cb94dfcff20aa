"""The container's exit codes, which ECS shows."""

from __future__ import annotations

STOPPED = 0
SETTINGS = 64
BAD_MATERIAL = 65
NOT_PUBLISHED = 66
AWS_UNAVAILABLE = 69
INTERNAL = 70
ENVOY = 71
AWS_REFUSED = 77
SIGNAL_BASE = 128

EXIT_CODES = {
    STOPPED: "stopped by SIGTERM or SIGINT, after draining",
    SETTINGS: "the environment is incomplete or wrong, the material folder is full, no routes of the service's row "
    "can be used, or files of the user's with a certificate or roots cannot be read or must not be served; the log "
    "lists every fault",
    BAD_MATERIAL: "a secret cannot be read, failed the pre-flight, was rejected by Envoy at start, "
    "or was still QUARANTINED at the start deadline",
    NOT_PUBLISHED: "a secret still held the template's placeholder at the start deadline, or the service had no "
    "row of routes",
    AWS_UNAVAILABLE: "AWS could not be reached, throttled or failed until the start deadline",
    INTERNAL: "a fault of this program; the log names its place",
    ENVOY: "Envoy could not be started, or ended by itself",
    AWS_REFUSED: "AWS refused: access denied, or a secret that does not exist",
}
"""Exit code to cause. Above 128: Envoy was killed by signal (code - 128), for example 137 out of memory."""
