"""New versions of the secrets, while Envoy runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Never, TypeVar

from entrypoint.acceptance import SecretCounters, secret_counters
from entrypoint.admin import Admin
from entrypoint.delivery import Checked, Delivery, Served, Wanted, refuse_older, wanted_secrets
from entrypoint.log import place_of
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
"""Part of the poll interval in which the failing calls of one look are repeated."""


class _Unconfirmed(NamedTuple):
    """A version Envoy was handed and has not judged yet: what it had before, and its counters then."""

    version: str
    good: Served
    before: SecretCounters


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
        self._unconfirmed: dict[str, _Unconfirmed] = {}
        self._retry_until = 0.0

    def run(self) -> Never:
        """Look, again and again, a poll interval at most from the beginning of one look to that of the next."""
        began = self._clock.monotonic()
        while True:
            jitter = _SHORTEST_WAIT + (1 - _SHORTEST_WAIT) * self._clock.jitter()
            looks_at = began + self._proxy.poll_interval_s * jitter
            self._clock.sleep(max(0.0, looks_at - self._clock.monotonic()))
            began = self._clock.monotonic()
            self.look()

    def look(self) -> None:
        """Look at every secret once; what goes wrong with one does not keep the others from it."""
        self._retry_until = self._clock.monotonic() + self._proxy.poll_interval_s * _RETRY_FOR
        for wanted in self._wanted:
            unconfirmed = self._unconfirmed.get(wanted.name)
            version = unconfirmed.version if unconfirmed else ""
            try:
                if unconfirmed:
                    self._judge_again(wanted, unconfirmed)
                version = self._again(lambda wanted=wanted: self._delivery.current_version(wanted))  # type: ignore[misc]  # mypy cannot infer the lambda's default
                self._take_over(wanted, version)
            except MeshcertError as error:
                self._complain(wanted, version, f"{type(error).__name__}: {error}")
            except OSError as error:
                self._complain(wanted, version, f"the material folder cannot be written: {error.strerror}")
            except Exception as error:  # noqa: BLE001  its values could be secret, and the other secrets must go on
                self._complain(wanted, version, f"internal fault: {type(error).__name__} at {place_of(error)}")

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
        before = self._counters(wanted) if wanted.name in self._used else SecretCounters()
        if before is None:
            # Without them a rejection of long ago could not be told from one of this version.
            self._complain(wanted, version, "Envoy's administration interface does not answer")
            return
        self._hand_over(wanted, checked, before)
        self._complaints.pop(wanted.name, None)

    def _hand_over(self, wanted: Wanted, checked: Checked, before: SecretCounters) -> None:
        unconfirmed = self._unconfirmed.pop(wanted.name, None)
        good = unconfirmed.good if unconfirmed else self._served[wanted.name]
        began = self._clock.monotonic()
        self._served[wanted.name] = self._delivery.install(checked)
        if wanted.name in self._used:
            handed = _Unconfirmed(checked.version, good, before)
            verdict = self._wait_for_verdict(wanted, handed)
            if verdict is None:
                self._unconfirmed[wanted.name] = handed
                self._log.warning(
                    "rotation-unconfirmed", secret=wanted.name, version=checked.version, waited_s=CONFIRM_S
                )
                return
            if not verdict:
                self._take_back(wanted, handed)
        took_ms = round((self._clock.monotonic() - began) * 1000, 1)
        self._log.info("secret-rotated", secret=wanted.name, version=checked.version, served_after_ms=took_ms)

    def _wait_for_verdict(self, wanted: Wanted, handed: _Unconfirmed) -> bool | None:
        deadline = self._clock.monotonic() + CONFIRM_S
        while self._clock.monotonic() < deadline:
            verdict = self._verdict(wanted, handed)
            if verdict is not None:
                return verdict
            self._clock.sleep(_CONFIRM_EVERY_S)
        return None

    def _verdict(self, wanted: Wanted, handed: _Unconfirmed) -> bool | None:
        """Whether Envoy took it over; None if it has not said so yet."""
        after = self._counters(wanted)
        if after is None:
            return None
        if after.version == handed.version:
            return True
        if (after.rejected, after.failed) > (handed.before.rejected, handed.before.failed):
            return False
        return None

    def _judge_again(self, wanted: Wanted, handed: _Unconfirmed) -> None:
        verdict = self._verdict(wanted, handed)
        if verdict is None:
            return
        del self._unconfirmed[wanted.name]
        if not verdict:
            self._take_back(wanted, handed)
        self._log.info("rotation-confirmed", secret=wanted.name, version=handed.version)

    def _take_back(self, wanted: Wanted, handed: _Unconfirmed) -> Never:
        self._rejected_by_envoy[wanted.name] = handed.version
        self._served[wanted.name] = handed.good
        self._delivery.restore(wanted, handed.good)
        fault = Fault(wanted.name, "Envoy rejected it", "Envoy's own line in this log says why")
        raise MaterialRejected(wanted.reference.secret, (fault,))

    def _counters(self, wanted: Wanted) -> SecretCounters | None:
        """Envoy's counters of it; None if Envoy does not answer."""
        try:
            return secret_counters(self._admin).get(wanted.name, SecretCounters())
        except OSError:
            return None

    def _again(self, call: Callable[[], _Result]) -> _Result:
        return until(self._retry_until, call, self._clock)

    def _complain(self, wanted: Wanted, version: str, reason: str) -> None:
        if self._complaints.get(wanted.name) == (version, reason):
            return
        self._complaints[wanted.name] = (version, reason)
        self._log.warning("rotation-waits", secret=wanted.name, version=version, reason=reason)
