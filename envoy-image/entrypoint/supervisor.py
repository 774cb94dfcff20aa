"""
PID 1: starts Envoy and the watcher, forwards what they need to know, and decides when the container ends.

Envoy is started at once, with a named pipe for its configuration: it loads its 100 MB while the secrets are fetched,
and goes on as soon as they are installed. The watcher is a fork of this process, so Python starts only once.
"""

from __future__ import annotations

import errno
import mmap
import os
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from entrypoint.container import process
from entrypoint.container.paths import Paths
from entrypoint.container.reports import ACCEPTED, INSTALLED
from entrypoint.container.restarts import Restarts
from meshcert.contract import exit_codes
from meshcert.contract.environment import AWAITS_STOP, LOG_LEVEL
from meshcert.contract.stopping import ENVOY_STOP_S

if TYPE_CHECKING:
    from collections.abc import Mapping
    from socket import socket

    from entrypoint.container.drain import Drain
    from entrypoint.container.opening import WaysIn
    from entrypoint.log import Log

_PID = 8
"""Bytes in which a process id is passed on."""


def run(environ: Mapping[str, str]) -> int:
    """
    Run the container.

    Returns:
        The exit code: in :data:`~meshcert.contract.exit_codes.EXIT_CODES`, or 128 plus the signal that killed Envoy.
    """
    return Supervisor(environ).run()


class Supervisor:
    """The processes of one container, from start to end."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._paths = Paths(environ)
        self._started = time.monotonic()
        self._envoy = 0
        self._envoy_configured = False
        # Shared with the watcher, which is started before Envoy.
        self._envoy_told = mmap.mmap(-1, _PID)
        self._watcher = 0
        self._restarts = Restarts()
        self._watcher_restart_at = 0.0
        self._reports = -1
        self._sds_socket: socket | None = None
        self._workload_socket: socket | None = None
        self._installed = False
        self._ways_in: WaysIn | None = None
        self._accepted = False
        self._drain: Drain | None = None
        self._stop_requests = 0
        self._exit_code: int | None = None
        self._wakeup, self._wakeup_writer = os.pipe()
        self._log_writer: Log | None = None

    def run(self) -> int:
        """Supervise until the container ends, and return the exit code."""
        process.no_core_dumps()
        os.umask(0o077)
        self._catch_signals()
        self._forget_earlier_life()
        self._start_watcher()
        self._start_envoy()
        while self._exit_code is None:
            self._wait()
            self._read_reports()
            self._reap()
            if self._exit_code is None:
                self._act()
        self._end_children()
        self._log.info("stopped", exit_code=self._exit_code)
        self._log.flush()
        # Whoever depends on its health waits for startTimeout while it runs, but for ever once it has ended.
        os.set_blocking(self._wakeup, True)
        while self._environ.get(AWAITS_STOP) and not self._stop_requests:
            os.read(self._wakeup, 512)
        return self._exit_code

    @property
    def _log(self) -> Log:
        if self._log_writer is None:
            from entrypoint.container.relay import relayed_log  # not before the children are started

            self._log_writer = relayed_log(self._environ.get(LOG_LEVEL, ""))
        return self._log_writer

    def _forget_earlier_life(self) -> None:
        """Remove what an earlier container of this task left, above all its mark for the health check."""
        paths = self._paths
        for path in (paths.delivered, paths.bootstrap, paths.envoy_config, paths.ways_in_opened):
            with suppress(OSError):
                os.unlink(path)

    def _catch_signals(self) -> None:
        os.set_blocking(self._wakeup, False)
        os.set_blocking(self._wakeup_writer, False)
        signal.set_wakeup_fd(self._wakeup_writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def _on_stop(self, _number: int, _frame: Any) -> None:
        self._stop_requests += 1

    def _become_child(self) -> None:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        # A terminal sends Ctrl-C to the whole group, but only the supervisor decides what happens then.
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _start_envoy(self) -> None:
        try:
            os.mkfifo(self._paths.envoy_config, 0o600)
        except OSError as error:
            # The watcher checks the same folder and reports this with the other faults of the settings.
            self._log.debug("envoy-not-started", reason=str(error))
            return
        from entrypoint.container.envoy_command import envoy_command  # not before the watcher is started

        command = envoy_command(self._paths.envoy_config, self._environ)
        supervisor = os.getpid()
        self._envoy = os.fork()
        if self._envoy:
            self._tell_envoy()
        else:
            try:
                self._become_child()
                # Python ignores it, and a program would inherit that. The watcher keeps ignoring it: a closed standard
                # output must not end it.
                signal.signal(signal.SIGPIPE, signal.SIG_DFL)
                process.end_with_parent(supervisor)
                os.execvpe(command[0], command, dict(self._environ))  # noqa: S606  found on PATH, no shell
            except OSError as error:
                self._log.error("envoy-not-started", reason=f"envoy: {error.strerror}")
                self._log.flush()
            finally:
                os._exit(exit_codes.ENVOY)

    def _tell_envoy(self) -> None:
        self._envoy_told[:] = self._envoy.to_bytes(_PID, "big")

    def _told_envoy(self) -> int:
        return int.from_bytes(self._envoy_told[:], "big")

    def _start_watcher(self) -> None:
        from entrypoint import sockets  # the watcher needs what it loads, and inherits it

        self._sds_socket = sockets.kept(self._sds_socket, self._environ, self._paths.sds_socket, lambda: self._log)
        self._workload_socket = sockets.kept_for_workloads(self._workload_socket, self._environ, lambda: self._log)
        reader, writer = os.pipe()
        supervisor = os.getpid()
        self._restarts.started(time.monotonic())
        self._watcher_restart_at = 0.0
        self._watcher = os.fork()
        if self._watcher == 0:
            code = exit_codes.INTERNAL
            try:
                self._become_child()
                os.close(reader)
                from entrypoint import watcher  # the supervisor stays small

                code = watcher.run(
                    watcher.WatcherArguments(
                        environ=self._environ,
                        started=self._started,
                        supervisor=supervisor,
                        envoy=self._told_envoy,
                        installed=self._installed,
                        accepted=self._accepted,
                        report=lambda what: os.write(writer, what),
                        sds_socket=self._sds_socket,
                        workload_socket=self._workload_socket,
                    )
                )
            finally:
                os._exit(code)
        os.close(writer)
        os.set_blocking(reader, False)
        self._reports = reader

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._wakeup, select.POLLIN)
        if self._reports >= 0:
            poll.register(self._reports, select.POLLIN)
        if self._ways_in is not None:
            poll.register(self._ways_in, select.POLLIN)
        poll.poll(self._patience_ms())
        with suppress(BlockingIOError):
            while os.read(self._wakeup, 512):
                pass

    def _patience_ms(self) -> float | None:
        if self._installed and not self._envoy_configured:
            return 2
        if self._drain is not None:
            return 50
        if self._watcher_restart_at:
            return max(1, (self._watcher_restart_at - time.monotonic()) * 1000)
        return None

    def _read_reports(self) -> None:
        if self._reports < 0:
            return
        try:
            said = os.read(self._reports, 64)
        except BlockingIOError:
            return
        if not said:
            os.close(self._reports)
            self._reports = -1
        self._installed = self._installed or INSTALLED in said
        self._accepted = self._accepted or ACCEPTED in said

    def _reap(self) -> None:
        while True:
            try:
                child, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if child == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            if child == self._envoy:
                self._on_envoy_ended(code)
            elif child == self._watcher:
                self._on_watcher_ended(code)

    def _on_envoy_ended(self, code: int) -> None:
        self._envoy = 0
        self._tell_envoy()
        if self._exit_code is not None:
            return
        if self._drain is not None:
            self._exit_code = exit_codes.STOPPED
            return
        self._exit_code = exit_codes.SIGNAL_BASE - code if code < 0 else exit_codes.ENVOY
        self._log.error("envoy-ended", **({"signal": -code} if code < 0 else {"code": code}))

    def _on_watcher_ended(self, code: int) -> None:
        self._watcher = 0
        if self._exit_code is not None:
            return
        if not self._accepted and code in exit_codes.EXIT_CODES:
            self._exit_code = code
            return
        now = time.monotonic()
        delay = self._restarts.delay_after_end(now)
        self._watcher_restart_at = now + delay
        self._log.error("watcher-ended", code=code, restart_in_s=delay)

    def _act(self) -> None:
        if self._stop_requests > 1 or (self._stop_requests and not self._envoy_configured):
            self._exit_code = exit_codes.STOPPED
            return
        if self._stop_requests and self._drain is None:
            from entrypoint.container.drain import Drain  # loaded only to stop

            self._drain = Drain.of_envoy(self._environ)
            self._drain.begin()
            self._log.info("draining", accept_for_s=self._drain.accept_s)
        if self._drain is not None and self._drain.finished():
            if any(cut := self._drain.left()):
                self._log.warning("requests-cut", **cut._asdict())
            self._exit_code = exit_codes.STOPPED
            return
        if self._installed and not self._envoy_configured:
            self._configure_envoy()
        if self._ways_in is not None and self._ways_in.answer():
            self._log.info("ways-in-opened")
        if self._watcher_restart_at and time.monotonic() >= self._watcher_restart_at:
            self._start_watcher()

    def _configure_envoy(self) -> None:
        try:
            pipe = os.open(self._paths.envoy_config, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno == errno.ENXIO and self._envoy:
                return  # Envoy is still loading and has not opened it
            self._log.error("envoy-not-started", reason=str(error))
            self._exit_code = exit_codes.ENVOY
            return
        os.set_blocking(pipe, True)
        try:
            with open(self._paths.bootstrap, "rb") as file, open(pipe, "wb") as config:
                config.write(file.read())
        except BrokenPipeError:
            return  # Envoy has ended, which is seen next
        os.unlink(self._paths.envoy_config)
        self._envoy_configured = True
        from entrypoint.container.opening import ways_in_of  # while Envoy reads its configuration

        self._ways_in = ways_in_of(self._environ, self._paths, lambda: self._log)

    def _end_children(self) -> None:
        if self._watcher:
            os.kill(self._watcher, signal.SIGKILL)
        if self._envoy:
            os.kill(self._envoy, signal.SIGTERM if self._envoy_configured else signal.SIGKILL)
        deadline = time.monotonic() + ENVOY_STOP_S
        while (self._envoy or self._watcher) and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.005)
        if self._envoy:
            os.kill(self._envoy, signal.SIGKILL)
            os.waitpid(self._envoy, 0)
