"""
Finding the tasks of backends: Cloud Map is asked every few seconds, and Envoy gets its answers.

An answer counts, also an empty one; no answer changes nothing: Envoy keeps the last good one for as long as it takes. A
task that starts while Cloud Map does not answer has none, and asks DNS instead until Cloud Map is back.

Cloud Map names a task as soon as it runs, and says only 30 seconds late whether it is healthy. Until its application
answers it refuses connections. So each new one is tried, and gets no requests before it accepts. Envoy would find out
by itself, but leaves out what has refused for longer than it refuses: while an application takes 20 seconds to start,
for up to 15 more. If other tasks started then, it would know those alone.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Never

from entrypoint.aws.retrying import ProcessClock, until
from entrypoint.discovery.endpoints import BackendEndpoints, FoundBy
from entrypoint.discovery.lookups import Lookups
from entrypoint.log import place_of
from meshcert.contract.discovery import ANSWER_WITHIN_S, POLL_INTERVAL_S
from meshcert.envoy.endpoints import TaskAddress
from meshcert.errors import AwsUnavailable, MeshcertError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable
    from typing import Protocol

    from entrypoint.envoy.handover import Handover
    from entrypoint.log import Log
    from meshcert.proxy import Backend

    class TaskReader(Protocol):
        """Reads tasks; :class:`entrypoint.aws.cloud_map.CloudMapReader` in the container."""

        def tasks(self, service: str, timeout_s: float) -> tuple[TaskAddress, ...]:
            """The tasks registered in a service; raises MeshcertError if there is no answer."""


FIRST_ANSWER_WITHIN_S = 2.0
"""Time for Cloud Map's first answer, seconds; then DNS is asked."""
ASK_AGAIN_AFTER_S = 0.5
"""Pause before the next look while neither Cloud Map nor DNS has named a task of some backend, seconds; also the
shortest pause, after a look that took as long as an interval."""
HEALTHY_WITHIN_S = 20.0
"""
Longest time that a starting container is not healthy for want of an answer about some backend, seconds.

Envoy is up by then and answers 503 for it. Health is what brings requests: of a load balancer, of callers, and of the
task's own application, which starts after it.
"""
LONGEST_PAUSE_S = 20.0
"""
Longest pause between two looks while Cloud Map says nothing, seconds: a throttled account is not helped by more.

One backend alone without an answer, which may not be deployed yet, slows down no other.
"""
_SHORTEST_PAUSE = 0.8
"""Fraction of a pause that is always waited; the rest is jitter, so that tasks do not ask in step."""


class Discovery:
    """
    The endpoints of the backends of one namespace of Cloud Map, in a thread of their own.

    Args:
        backends: Those that Cloud Map knows there.
        resolve: Returns the addresses of a DNS name, none if there are none; used only while Cloud Map fails.
        accepting: Returns those of some addresses and ports that accept connections.
        resumes: True if Envoy has endpoints from an earlier watcher: only Cloud Map's answer replaces them.
    """

    def __init__(
        self,
        backends: Iterable[Backend],
        reader: TaskReader,
        resolve: Callable[[str], tuple[str, ...]],
        handover: Handover,
        *,
        accepting: Callable[[Iterable[tuple[str, int]]], Container[tuple[str, int]]],
        resumes: bool,
        log: Log,
        clock: ProcessClock | None = None,
    ) -> None:
        self._backends = [BackendEndpoints(backend, handover) for backend in backends]
        self._reader = reader
        self._lookups = Lookups(resolve)
        self._accepting = accepting
        self._resumes = resumes
        self._log = log
        self._clock = clock or ProcessClock()
        self._looked = threading.Event()
        self._nobody_knows = False
        self._is_down = False
        self._is_silent = False
        self._began = 0.0

    def start(self) -> None:
        """Begin to ask, in a thread of its own."""
        threading.Thread(target=self._run, name="discovery", daemon=True).start()

    def prepare(self) -> None:
        """Hand empty answers over, because Envoy does not start without its files; raises OSError if that fails."""
        for each in self._backends:
            each.put(())

    def wait(self, seconds: float) -> bool:
        """Wait until there was an answer about every backend, or time is up for it; False if that takes longer."""
        return self._looked.wait(seconds)

    def found_by_dns(self) -> tuple[str, ...]:
        """The backends that only DNS has named so far, sorted."""
        return tuple(sorted(each.backend.name for each in self._backends if each.found_by is FoundBy.DNS))

    def look(self, within_s: float = 0.0) -> bool:
        """
        Ask once for each backend.

        Args:
            within_s: Time for repeating questions that fail, seconds.

        Returns:
            False if there was no answer for some of them.
        """
        self._began = self._clock.monotonic()
        retry_until = self._began + within_s
        failed: list[tuple[BackendEndpoints, str]] = []
        down = ""
        self._is_silent = True
        for each in tuple(self._backends):
            reason = down or self._ask(each, retry_until)
            self._is_silent = self._is_silent and self._is_down
            if not reason:
                continue
            failed.append((each, reason))
            if not down and self._is_down:
                # The others would only wait for the same AWS. Next time they come first.
                down = reason
                self._backends.remove(each)
                self._backends.append(each)
        # Only now: a slow resolver holds up no backend that Cloud Map knows.
        self._look_up([each for each, _ in failed if self._needs_dns(each)])
        self._try_closed()
        self._nobody_knows = self._is_down and any(self._needs_dns(each) and not each.tasks for each, _ in failed)
        for each, reason in failed:
            if each.complain(reason):
                event = "found-by-dns" if each.found_by is FoundBy.DNS else "discovery-waits"
                self._log.warning(event, backend=each.backend.name, tasks=len(each.tasks), reason=reason)
        return not failed

    def _run(self) -> Never:
        wait_until = self._clock.monotonic() + HEALTHY_WITHIN_S
        self._look_on(FIRST_ANSWER_WITHIN_S)
        # A proxy that gets requests and knows no task of a backend that has some answers 503 for a whole pause.
        while self._nobody_knows and self._clock.monotonic() < wait_until:
            self._clock.sleep(ASK_AGAIN_AFTER_S)
            self._look_on()
        self._looked.set()
        silent_looks = 0
        while True:
            silent_looks = silent_looks + 1 if self._is_silent else 0
            pause = min(LONGEST_PAUSE_S, POLL_INTERVAL_S * 2.0 ** max(0, min(silent_looks, 16) - 1))
            pause *= _SHORTEST_PAUSE + (1 - _SHORTEST_PAUSE) * self._clock.jitter()
            if not self._is_silent:
                # Answers take their time, too, and many backends' add up.
                pause = max(ASK_AGAIN_AFTER_S, pause - (self._clock.monotonic() - self._began))
            self._clock.sleep(pause)
            self._look_on()

    def _look_on(self, within_s: float = 0.0) -> None:
        """Look, whatever happens: without this thread Envoy would keep the tasks of today for ever."""
        try:
            self.look(within_s)
        except Exception as error:  # noqa: BLE001  the next look may go well
            self._log.error("internal-fault", error=type(error).__name__, place=place_of(error))

    def _ask(self, each: BackendEndpoints, retry_until: float) -> str:
        """Take Cloud Map's answer over; returns why there is none."""
        self._is_down = False
        try:
            tasks = until(
                retry_until,
                lambda: self._reader.tasks(each.backend.cloud_map_service, ANSWER_WITHIN_S),
                self._clock,
            )
            changed = each.take(tasks, FoundBy.API, self._clock.now())
        except MeshcertError as error:
            self._is_down = isinstance(error, AwsUnavailable)
            return f"{type(error).__name__}: {error}"
        except OSError as error:
            return f"the material folder cannot be written: {error.strerror}"
        except Exception as error:  # noqa: BLE001  the other backends, and later looks, must go on
            return f"internal fault: {type(error).__name__} at {place_of(error)}"
        if each.settle():
            self._log.info("discovery-recovered", backend=each.backend.name, tasks=len(tasks))
        elif changed:
            self._log.debug("endpoints-changed", backend=each.backend.name, tasks=len(tasks))
        return ""

    def _try_closed(self) -> None:
        """Let those of the new tasks have requests that accept connections by now."""
        addresses = [(task.address, each.backend.port) for each in self._backends for task in each.closed]
        found = self._accepting(addresses) if addresses else ()
        for each in self._backends:
            accept = [task for task in each.closed if (task.address, each.backend.port) in found]
            try:
                each.open(accept, self._clock.now())
            except OSError as error:
                self._log.warning("endpoints-not-delivered", backend=each.backend.name, reason=str(error))

    def _needs_dns(self, each: BackendEndpoints) -> bool:
        return each.found_by is FoundBy.DNS or (each.found_by is FoundBy.NOBODY and not self._resumes)

    def _look_up(self, backends: list[BackendEndpoints]) -> None:
        """Take over what DNS says of backends about which Cloud Map has never answered."""
        found = self._lookups.ask([each.backend.host for each in backends], ANSWER_WITHIN_S) if backends else {}
        for each in backends:
            tasks = tuple(TaskAddress(address) for address in sorted(set(found.get(each.backend.host, ()))))
            if not tasks and (each.tasks or self._is_down):
                continue  # no answer, or a denial that a resolver has kept: what was found before is the better guess
            try:
                each.take(tasks, FoundBy.DNS, self._clock.now())
            except OSError as error:
                self._log.warning("endpoints-not-delivered", backend=each.backend.name, reason=str(error))
