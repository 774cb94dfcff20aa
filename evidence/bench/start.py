"""One start of Envoy, from ``exec`` to LIVE with its secrets; the same observer for every way of starting."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from evidence.fixtures.process_memory import family, proportional_mb, resident_mb
from meshcert.contract.container import ADMIN_PORT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

LONGEST_START_S = 60.0
LONGEST_STOP_S = 10.0
_LOOK_EVERY_S = 0.002  # costs 3 % of a CPU while nobody answers, the same for every way of starting
_MEMORY_STEADY_S = 0.05
_LAST_LINES = 5
_OK = 200


class StartFailed(RuntimeError):
    """
    Envoy did not become LIVE with its secrets.

    Args:
        why: What was seen instead.
        log: What the process wrote.
    """

    def __init__(self, why: str, log: str) -> None:
        super().__init__("\n".join([why, *log.strip().splitlines()[-_LAST_LINES:]]))


class Launch(NamedTuple):
    """
    What to start.

    Args:
        command: Program and arguments.
        environment: All of its environment.
        address: Where Envoy's admin interface will answer.
        secrets: SDS names Envoy must have accepted; empty if it reads its certificates from files.
    """

    command: list[str]
    environment: Mapping[str, str]
    address: str
    secrets: tuple[str, ...] = ()


class Memory(NamedTuple):
    """
    Resident memory of processes.

    Args:
        rss_mb: Pages in memory, MB of 1024 kB; pages that two of them share count twice.
        pss_mb: The same with shared pages split between the processes that share them; None if the kernel hides it.
    """

    rss_mb: float
    pss_mb: float | None


class Started:
    """
    A process that starts Envoy; use it as a context, which ends it and waits for its end.

    Args:
        launch: What to start.
        folder: For its log.
    """

    def __init__(self, launch: Launch, folder: Path) -> None:
        self._launch = launch
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes]
        self._began = 0.0
        self._admin: http.client.HTTPConnection | None = None

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._began = time.perf_counter()
            self._process = subprocess.Popen(
                self._launch.command,
                env=self._launch.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._disconnect()
        self._process.terminate()
        try:
            self._process.wait(LONGEST_STOP_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def live_after_ms(self) -> float:
        """
        Wait until Envoy says LIVE and has accepted its secrets.

        Returns:
            Milliseconds since just before the process was started.

        Raises:
            StartFailed: If it ends, or is not LIVE within a minute.
        """
        deadline = self._began + LONGEST_START_S
        while not (self._get("/ready") == "LIVE\n" and self._has_secrets()):
            if self._process.poll() is not None:
                raise StartFailed(f"it ended with {self._process.returncode}", self._log.read_text())
            if time.perf_counter() > deadline:
                raise StartFailed(f"it was not LIVE within {LONGEST_START_S:g} s", self._log.read_text())
            time.sleep(_LOOK_EVERY_S)
        return (time.perf_counter() - self._began) * 1000

    def cpu_s(self) -> float:
        """CPU seconds so far of the process and all it started, those that ended and were waited for included."""
        return sum(map(cpu_s, family(self._process.pid)))

    def memory_beside_envoy(self, last_event: str = "secrets-accepted") -> Memory:
        """
        What runs beside Envoy costs, once it does nothing more.

        Args:
            last_event: What the process logs when it has finished starting.

        Raises:
            StartFailed: If it does not come to rest within a minute.
        """
        deadline = time.perf_counter() + LONGEST_START_S
        before = None
        while time.perf_counter() < deadline:
            now = _memory(self._beside_envoy()) if f'"{last_event}"' in self._log.read_text() else None
            if now is not None and now == before:
                return now
            before = now
            time.sleep(_MEMORY_STEADY_S)
        raise StartFailed("its memory never came to rest", self._log.read_text())

    def healthcheck_ms(self) -> float:
        """
        What the container's health check takes, as ECS runs it every few seconds.

        Returns:
            Milliseconds from the start of its process to its end.

        Raises:
            StartFailed: If it says that the container is not healthy.
        """
        python, environment = self._launch.command[0], self._launch.environment
        began = time.perf_counter()
        done = subprocess.run([python, "-m", "entrypoint.healthcheck"], env=environment, cwd="/", check=False)
        took_ms = (time.perf_counter() - began) * 1000
        if done.returncode:
            raise StartFailed("its health check is red", self._log.read_text())
        return took_ms

    def _beside_envoy(self) -> list[int]:
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *(int(child) for child in children if Path(f"/proc/{child}/comm").read_text() != "envoy\n")]

    def _has_secrets(self) -> bool:
        counters = dict(line.split(": ") for line in self._get("/stats?filter=update_success").splitlines())
        return all(int(counters.get(f"sds.{name}.update_success", 0)) for name in self._launch.secrets)

    def _get(self, path: str) -> str:
        try:
            if self._admin is None:
                self._admin = _connect(self._launch.address)
            self._admin.request("GET", path)
            response = self._admin.getresponse()
            text = response.read().decode()
        except (OSError, http.client.HTTPException):
            self._disconnect()
            return ""
        return text if response.status == _OK else ""

    def _disconnect(self) -> None:
        if self._admin is not None:
            self._admin.close()
            self._admin = None


def _connect(address: str) -> http.client.HTTPConnection:
    """A connection for many requests; while nobody listens, asking for one costs little more than the system call."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.connect((address, ADMIN_PORT))
    except OSError:
        made.close()
        raise
    made.settimeout(LONGEST_START_S)
    connection = http.client.HTTPConnection(address, ADMIN_PORT)
    connection.sock = made
    return connection


def cpu_s(pid: int) -> float:
    """CPU seconds of a process and of its children that it has waited for (proc(5), fields 14 to 17 of ``stat``)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # whoever waited for it counts it now
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _memory(pids: list[int]) -> Memory:
    rss_mb = sum(map(resident_mb, pids))
    try:
        return Memory(rss_mb, sum(map(proportional_mb, pids)))
    except PermissionError:  # the watcher hides its memory from everybody but root
        return Memory(rss_mb, None)
