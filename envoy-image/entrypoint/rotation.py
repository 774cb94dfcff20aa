"""New versions of the secrets, while Envoy runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Never, TypeVar

from entrypoint.acceptance import SecretCounters, secret_counters
from entrypoint.admin import Admin
from entrypoint.delivery import Checked, Delivery, Served, Wanted, refuse_older, wanted_secrets
from entrypoint.retrying import Clock, until
from meshcert.envoy import secrets_used
from meshcert.errors import Fault, MaterialRejected, MeshcertError
from meshcert.proxy import Rotation as RotationKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrypoint.log import Log
    from entrypoint.settings import Settings

_Result = TypeVar("_Result")

CONFIRM_S = 5.0
"""Longest wait for Envoy to take a new version over, seconds; it takes milliseconds."""
_CONFIRM_EVERY_S = 0.01

_SHORTEST_WAIT = 0.8
"""Part of the poll interval that is always waited; the rest is jitter, so that tasks do not ask in step."""
_RETRY_FOR = 0.4
"""Part of the poll interval in which a failing call is repeated."""


class Rotation:
    """
    Looks at the secrets for ever.

    A new version is handed over only after the pre-flight. Whatever goes wrong, Envoy keeps the last good version, the
    reason is logged once, and the next look tries again.

    Args:
        settings: Of the container.
        delivery: Fetches, checks and installs.
        log: For what a person must know.
        clock: For waiting.
    """

    def __init__(self, settings: Settings, delivery: Delivery, log: Log, clock: Clock | None = None) -> None:
        self._proxy = settings.proxy
        self._delivery = delivery
        self._log = log
        self._clock = clock or Clock()
        self._admin = Admin(settings.addresses.loopback)
        self._wanted = wanted_secrets(settings.proxy)
        self._used = secrets_used(settings.proxy)
        self._served = {wanted.name: delivery.served(wanted) for wanted in self._wanted}
        self._rejected_by_envoy: dict[str, str] = {}
        self._reported: dict[str, str] = {}
        self._complaints: dict[str, tuple[str, str]] = {}

    def run(self) -> Never:
        """Look, again and again; only an unforeseen error ends it."""
        while True:
            jitter = _SHORTEST_WAIT + (1 - _SHORTEST_WAIT) * self._clock.jitter()
            self._clock.sleep(self._proxy.poll_interval_s * jitter)
            self.look()

    def look(self) -> None:
        """Look at every secret once."""
        for wanted in self._wanted:
            version = ""
            try:
                version = self._again(lambda wanted=wanted: self._delivery.current_version(wanted))  # type: ignore[misc]  # mypy cannot infer the lambda's default
                self._take_over(wanted, version)
            except MeshcertError as error:
                self._complain(wanted, version, f"{type(error).__name__}: {error}")
            except OSError as error:
                self._complain(wanted, version, f"the material folder cannot be written: {error.strerror}")

    def _take_over(self, wanted: Wanted, version: str) -> None:
        served = self._served[wanted.name]
        if version in {"", served.version, self._rejected_by_envoy.get(wanted.name)}:
            if version == served.version and self._complaints.pop(wanted.name, None) is not None:
                self._log.info("watch-recovered", secret=wanted.name, version=version)
            return
        if self._proxy.rotation is RotationKind.REDEPLOY:
            if self._reported.get(wanted.name) != version:
                self._reported[wanted.name] = version
                self._log.info("newer-version", secret=wanted.name, version=version, served=served.version)
            return
        checked = self._again(lambda: self._delivery.fetch(wanted))
        if checked.version == served.version:
            return
        refuse_older(checked, served)
        self._hand_over(wanted, checked, served)
        self._complaints.pop(wanted.name, None)

    def _hand_over(self, wanted: Wanted, checked: Checked, served: Served) -> None:
        before = self._counters(wanted)
        began = self._clock.monotonic()
        installed = self._delivery.install(checked)
        if wanted.name in self._used and self._rejects(wanted, checked, before):
            self._rejected_by_envoy[wanted.name] = checked.version
            self._delivery.restore(wanted, served)
            fault = Fault(wanted.name, "Envoy rejected it", "Envoy's own line in this log says why")
            raise MaterialRejected(wanted.reference.secret, (fault,))
        self._served[wanted.name] = installed
        took_ms = round((self._clock.monotonic() - began) * 1000, 1)
        self._log.info("secret-rotated", secret=wanted.name, version=checked.version, served_after_ms=took_ms)

    def _rejects(self, wanted: Wanted, checked: Checked, before: SecretCounters) -> bool:
        deadline = self._clock.monotonic() + CONFIRM_S
        while self._clock.monotonic() < deadline:
            after = self._counters(wanted)
            if after.version == checked.version:
                return False
            if (after.rejected, after.failed) > (before.rejected, before.failed):
                return True
            self._clock.sleep(_CONFIRM_EVERY_S)
        self._log.warning("rotation-unconfirmed", secret=wanted.name, version=checked.version, waited_s=CONFIRM_S)
        return False

    def _counters(self, wanted: Wanted) -> SecretCounters:
        try:
            return secret_counters(self._admin).get(wanted.name, SecretCounters())
        except OSError:
            return SecretCounters()

    def _again(self, call: Callable[[], _Result]) -> _Result:
        return until(self._clock.monotonic() + self._proxy.poll_interval_s * _RETRY_FOR, call, self._clock)

    def _complain(self, wanted: Wanted, version: str, reason: str) -> None:
        if self._complaints.get(wanted.name) == (version, reason):
            return
        self._complaints[wanted.name] = (version, reason)
        self._log.warning("rotation-waits", secret=wanted.name, version=version, reason=reason)
