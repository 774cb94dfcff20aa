"""A running container, what its log has said of rotations, and what its processes hold."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

from tests.envoy.container import Container, eventually

_TROUBLE = {"rotation-waits", "watcher-ended", "envoy-ended", "internal-fault"}
_REQUESTS = ("http.ingress_", "tcp.ingress_", "cluster.teller-", "cluster.application")
"""Statistics of what carries requests; the administration interface's and a secret source's connections are others."""

_LOOKS = 20
_BETWEEN_LOOKS_S = 0.03


class Footprint(NamedTuple):
    """
    What a process holds.

    Args:
        rss_mb: Resident memory, MB of 1024 kB.
        descriptors: Open files and sockets.
    """

    rss_mb: float
    descriptors: int


class ObservedProxy:
    """
    One end of a mesh under rotation.

    Args:
        name: For what is said of it.
        container: It.
        log: Where it writes to.
    """

    def __init__(self, name: str, container: Container, log: Path) -> None:
        self.name = name
        self.container = container
        self.rotated: set[str] = set()
        """Versions taken over."""
        self.served_after_ms: list[float] = []
        """From installed to served, milliseconds, one for each version."""
        self.troubles: list[str] = []
        """Lines that a rotation in good order does not write."""
        self._log = log
        self._place = 0

    def listen(self) -> None:
        """Read what its log has said since the last time."""
        with self._log.open("rb") as file:
            file.seek(self._place)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._place += len(line)
                if line.startswith(b"{"):
                    self._hear(json.loads(line))

    def _hear(self, event: dict[str, Any]) -> None:
        if event["event"] == "secret-rotated":
            self.rotated.add(event["version"])
            self.served_after_ms.append(event["served_after_ms"])
        elif event["event"] in _TROUBLE:
            self.troubles.append(f"{self.name}: {event['event']}: {event.get('reason', '')}")

    def footprints(self) -> dict[str, Footprint]:
        """
        What each of its processes holds, by names like ``node envoy``; connections for requests left out.

        The least of several looks: the watcher's questions to AWS and to Envoy come and go, and a leak stays.
        """
        processes = {"supervisor": self.container.process.pid, **self.container.children()}
        seen: dict[str, list[Footprint]] = {process: [] for process in processes}
        for _ in range(_LOOKS):
            for process, pid in processes.items():
                seen[process].append(
                    eventually(lambda pid=pid: self._envoy(pid), "Envoy at rest")  # type: ignore[misc]  # a default mypy cannot infer
                    if process == "envoy"
                    else _footprint(pid)
                )
            time.sleep(_BETWEEN_LOOKS_S)
        return {
            f"{self.name} {process}": Footprint(*(min(values) for values in zip(*looks, strict=True)))
            for process, looks in seen.items()
        }

    def _envoy(self, pid: int) -> Footprint | None:
        """What Envoy holds; None while connections come and go."""
        before, held, after = self._open_connections(), _footprint(pid), self._open_connections()
        return held._replace(descriptors=held.descriptors - before) if before == after else None

    def _open_connections(self) -> int:
        active = self.container.stats("stream_cx_active")
        return sum(int(value) for name, value in active.items() if name.startswith(_REQUESTS))


def _footprint(pid: int) -> Footprint:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    (resident_kb,) = (int(line.split()[1]) for line in status if line.startswith("VmRSS:"))
    return Footprint(round(resident_kb / 1024, 1), len(list(Path(f"/proc/{pid}/fd").iterdir())))
