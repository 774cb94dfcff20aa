"""
``python -m entrypoint.readiness``: the container that says when a task is ready, and drains it when it stops.

It depends on the application and on Envoy, so ECS starts it last and stops it first. It asks the application through
Envoy's loopback listener, the way requests go; when that answers, it has the ways in opened and writes the file that
its health check looks for. An application that stops answering later takes the file away again: ECS replaces the task,
and nothing of it is about a certificate.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from entrypoint.container.opening import OPENED
from entrypoint.container.paths import Paths
from entrypoint.container.relay import relayed_log
from entrypoint.envoy.admin import Admin
from entrypoint.envoy.plain_http import status_of
from meshcert.contract import exit_codes
from meshcert.contract.container import LOOPBACK, READINESS_PORT, WAYS_IN_PORT
from meshcert.contract.environment import APPLICATION_PORT, HEALTH_CHECK_PATH, LOG_LEVEL, LOOPBACK_ADDRESS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrypoint.log import Log

ASK_EVERY_S = 0.5
"""Seconds between two questions until the application has answered."""
ASK_AGAIN_EVERY_S = 5.0
"""Seconds between two questions once it has."""
TIMEOUT_S = 5.0
TELL_EVERY_S = 30.0
"""Seconds between two lines in the log about an application that does not answer for the same reason."""


class StopAsked(BaseException):
    """ECS stops the task; raised by the signal's handler wherever the program is."""


def main(environ: Mapping[str, str]) -> int:
    """
    Report readiness until SIGTERM, then drain.

    Returns:
        The exit code: 0 once drained, 64 if the environment is wrong.
    """
    log = relayed_log(environ.get(LOG_LEVEL, ""))
    if not environ.get(APPLICATION_PORT, "").isdecimal():
        log.error("start-failed", reason=f"{APPLICATION_PORT} is no TCP port", exit_code=exit_codes.SETTINGS)
        log.flush()
        return exit_codes.SETTINGS
    readiness = Readiness(environ, log)
    signal.signal(signal.SIGTERM, _on_stop)
    signal.signal(signal.SIGINT, _on_stop)
    try:
        readiness.watch()
    except StopAsked:
        with suppress(StopAsked):  # asked again: at once
            readiness.leave()
    log.flush()
    return exit_codes.STOPPED


class Readiness:
    """
    The readiness of one task.

    Args:
        environ: Has the application's port and, for HTTP, the path to ask for.
    """

    def __init__(self, environ: Mapping[str, str], log: Log) -> None:
        self._environ = environ
        self._port = int(environ[APPLICATION_PORT])
        self._path = environ.get(HEALTH_CHECK_PATH, "")
        self._address = environ.get(LOOPBACK_ADDRESS) or LOOPBACK
        self._file = Paths(environ).ready
        self._log = log
        self._opened = self._may_be_open = False
        self._ports: set[str] = set()
        self._told = ("", -TELL_EVERY_S)

    def watch(self) -> NoReturn:
        """Ask for ever."""
        with suppress(OSError):
            os.unlink(self._file)  # an earlier container's
        while True:
            trouble = self.ask()
            if not trouble and not self._opened:
                trouble = self._open()
            self._note(trouble)
            time.sleep(ASK_AGAIN_EVERY_S if self._opened else ASK_EVERY_S)

    def ask(self) -> str:
        """What is wrong with the application; empty if it answers."""
        try:
            if not self._path:
                socket.create_connection((self._address, self._port), TIMEOUT_S).close()
                return ""
            status = status_of(self._address, READINESS_PORT, self._path, TIMEOUT_S)
        except OSError as error:
            return error.strerror or str(error) or type(error).__name__
        return "" if 200 <= status < 300 else f"GET {self._path}: {status}"

    def leave(self) -> None:
        """Close the ways in and wait for the requests in flight; return at once if they never opened."""
        if not self._may_be_open:
            return
        from entrypoint.container.drain import Drain  # loaded only to stop

        drain = Drain(self._environ, self._port)
        drain.begin()
        self._log.info("draining", accept_for_s=drain.accept_s)
        while not drain.finished():
            time.sleep(0.1)
        if any(left := drain.left()):
            # The application is asked to end next, and may answer some of them all the same.
            self._log.warning("requests-left", **left._asdict())
        self._log.info("drained")

    def _open(self) -> str:
        """Have the ways in opened, and wait until Envoy has done it."""
        try:
            # Before they are opened: Envoy forgets the closed ones, and one whose port is taken never comes.
            self._ports |= self._listening("closed")
            with socket.create_connection((self._address, WAYS_IN_PORT), TIMEOUT_S) as connection:
                self._may_be_open = True  # though SIGTERM may come before the answer
                if connection.recv(len(OPENED)) != OPENED:
                    return "the entrypoint did not open the ways in"
            opened = self._listening("ingress")
        except OSError as error:
            return f"Envoy: {error}"
        if missing := sorted(self._ports - opened, key=int):
            ports = ", ".join(missing)
            return f"Envoy has not opened port {ports}. If it stays so, the application listens there: give it another"
        if not opened:
            return "Envoy has not opened the ways in yet"
        self._opened = True
        self._log.info("ways-in-opened")
        return ""

    def _listening(self, kind: str) -> set[str]:
        """The ports of Envoy's listeners of a kind, by their names: ``closed_9443``, ``ingress_9443``."""
        names = [line.partition("::")[0] for line in Admin(self._address).get("/listeners").splitlines()]
        return {port for found, _, port in (name.partition("_") for name in names) if found == kind}

    def _note(self, trouble: str) -> None:
        """Write or take away the file, and tell what has changed."""
        ready = os.path.exists(self._file)
        if not trouble:
            if not ready:
                os.close(os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
                self._log.info("ready")
                self._told = ("", -TELL_EVERY_S)
            return
        if ready:
            os.unlink(self._file)
        reason, told_at = self._told
        if trouble != reason or time.monotonic() - told_at >= TELL_EVERY_S:
            self._told = (trouble, time.monotonic())
            self._log.warning("application-not-answering", port=self._port, reason=trouble)


def _on_stop(_number: int, _frame: Any) -> NoReturn:
    raise StopAsked


if __name__ == "__main__":
    sys.exit(main(os.environ))
