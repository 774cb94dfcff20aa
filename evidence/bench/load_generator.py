"""Requests as fast as they are answered, by autocannon."""

from __future__ import annotations

import json
import subprocess
from typing import NamedTuple

from evidence.bench.image import REPOSITORY

AUTOCANNON = REPOSITORY / "build/load/node_modules/.bin/autocannon"
_LONGER_S = 30.0


class LoadFailed(RuntimeError):
    """
    Requests failed, or the generator is not installed.

    Args:
        why: What was seen.
    """


class Answered(NamedTuple):
    """
    What came back.

    Args:
        requests: How many were answered.
        per_second: The same by the time it took.
    """

    requests: int
    per_second: float


def ask(address: str, port: int, *, seconds: int, connections: int, reconnect: bool, cpu: int) -> Answered:
    """
    Ask from several connections at once, each for the next answer when it has the last.

    Args:
        address: IPv4 address of the server.
        port: TCP port.
        seconds: For how long.
        connections: How many.
        reconnect: Whether each request has a connection of its own.
        cpu: The CPU it runs on.

    Raises:
        LoadFailed: If a request failed, or autocannon is not there.
    """
    if not AUTOCANNON.exists():
        raise LoadFailed(f"{AUTOCANNON} is not there: run make bench, which installs it")
    command = ["taskset", "--cpu-list", str(cpu), str(AUTOCANNON), "--json", "--no-progress"]
    command += ["--connections", str(connections), "--duration", str(seconds)]
    command += ["--reconnectRate", "1"] if reconnect else []
    done = subprocess.run(
        [*command, f"http://{address}:{port}/http1/data-path"],
        capture_output=True,
        text=True,
        timeout=seconds + _LONGER_S,
        check=False,
    )
    if done.returncode:
        raise LoadFailed(f"autocannon ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    said = json.loads(done.stdout)
    failed = said["errors"] + said["timeouts"] + said["non2xx"]
    # autocannon does not count answers after which it connects anew: there, what was sent is, but for the last ones.
    answered = said["requests"]["sent"] - connections if reconnect else said["2xx"]
    if failed or answered <= 0:
        raise LoadFailed(f"{failed} of {said['requests']['sent']} requests to {address}:{port} failed")
    return Answered(answered, answered / said["duration"])
