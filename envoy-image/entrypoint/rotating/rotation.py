"""New versions of the secrets, while Envoy runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Never, TypeVar

from entrypoint.aws.retrying import ProcessClock, until
from entrypoint.envoy.acceptance import SecretCounters
from entrypoint.envoy.admin import Admin
from entrypoint.envoy.install import resource_of, roots_of
from entrypoint.judging.expiry import Expiry
from entrypoint.log import place_of
from entrypoint.rotating.acknowledgements import LONGEST_WRITE_S
from entrypoint.rotating.delivery import Checked, Delivery, Served, Wanted, refuse_older, wanted_secrets
from entrypoint.rotating.standing import Stage, Standings, reason_of
from entrypoint.trial.trial import Trial
from meshcert.envoy import secrets_used
from meshcert.errors import Fault, MaterialRejected, MeshcertError, SecretMalformed, VersionQuarantined
from meshcert.proxy import Revocation, RotationMode

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrypoint.aws.secrets_manager import SecretLabels
    from entrypoint.envoy.handover import Verdict
    from entrypoint.log import Log
    from entrypoint.rotating.acknowledgements import AcknowledgementWriter
    from entrypoint.settings import Settings

_Result = TypeVar("_Result")

CONFIRM_S = 5.0
"""Longest wait for Envoy to take a new version over, seconds; it takes milliseconds."""

_SHORTEST_WAIT = 0.8
"""Part of the poll interval that is always waited; the rest is jitter, so that tasks do not ask in step."""
_RETRY_FOR = 0.4
"""Part of the poll interval in which the failing calls of one look are repeated."""


class _Unconfirmed(NamedTuple):
    """A version Envoy was handed and has not judged yet: what it had before, and what it said then."""

    version: str
    good: Served
    before: SecretCounters


class Rotation:
    """
    Looks at the secrets for ever.

    A new version is handed over only after the pre-flight, and a certificate that upstreams are shown only after a
    trial with them. Whatever goes wrong, Envoy keeps the last good version, the reason is logged once, with the
    :class:`~entrypoint.rotating.standing.Stage` at which it went wrong, and the next look tries again.

    Args:
        settings: Of the container.
        delivery: Fetches, checks and installs.
        log: For what a person must know.
        clock: For waiting.
        acknowledgements: Where this task says what it serves; None if nobody wants to know.
    """

    def __init__(
        self,
        settings: Settings,
        delivery: Delivery,
        log: Log,
        clock: ProcessClock | None = None,
        acknowledgements: AcknowledgementWriter | None = None,
    ) -> None:
        self._proxy = settings.proxy
        self._delivery = delivery
        self._log = log
        self._clock = clock or ProcessClock()
        self._wanted = wanted_secrets(settings.proxy)
        self._used = secrets_used(settings.proxy)
        self._served = {wanted.name: delivery.served(wanted) for wanted in self._wanted}
        self._rejected_by_envoy: dict[str, tuple[str, str]] = {}
        self._reported: dict[str, str] = {}
        self._complaints: dict[str, tuple[str, str]] = {}
        self._list_troubles: dict[str, str] = {}
        self._unconfirmed: dict[str, _Unconfirmed] = {}
        self._acknowledgements = acknowledgements
        self._standings = Standings(settings.proxy, Admin(settings.addresses.loopback), self._handed)
        self._trial = Trial(settings.proxy, settings.addresses, lambda name: roots_of(self._served[name].content), log)
        self._expiry = Expiry(log, self._clock.now)
        self._stage = Stage.FETCH
        self._retry_until = 0.0

    def run(self) -> Never:
        """Look, again and again, a poll interval at most from the beginning of one look to that of the next."""
        began = self._clock.monotonic()
        self.acknowledge()
        while True:
            jitter = _SHORTEST_WAIT + (1 - _SHORTEST_WAIT) * self._clock.jitter()
            looks_at = began + self._proxy.poll_interval_s * jitter
            self._wait_until(looks_at)
            began = self._clock.monotonic()
            self.look()
            self.acknowledge()

    def look(self) -> None:
        """Look at every secret once; what goes wrong with one does not keep the others from it."""
        self._retry_until = self._clock.monotonic() + self._proxy.poll_interval_s * _RETRY_FOR
        for wanted in self._wanted:
            self._standings.begin_look(wanted.name)
            unconfirmed = self._unconfirmed.get(wanted.name)
            version = unconfirmed.version if unconfirmed else ""
            self._stage = Stage.ENVOY
            try:
                if unconfirmed:
                    self._judge_again(wanted, unconfirmed)
                self._stage = Stage.FETCH
                versions = self._again(lambda wanted=wanted: self._delivery.labels(wanted))  # type: ignore[misc]  # mypy cannot infer the lambda's default
                version = versions.current
                self._take_over(wanted, versions)
            except (MaterialRejected, SecretMalformed, VersionQuarantined) as error:
                if self._stage is Stage.FETCH:
                    self._stage = Stage.PREFLIGHT
                self._standings.refuse(wanted.name, version, self._stage, reason_of(error))
                self._complain(wanted, version, f"{type(error).__name__}: {error}")
            except MeshcertError as error:
                self._complain(wanted, version, f"{type(error).__name__}: {error}")
            except OSError as error:
                self._complain(wanted, version, f"the material folder cannot be written: {error.strerror}")
            except Exception as error:  # noqa: BLE001  its values could be secret, and the other secrets must go on
                self._complain(wanted, version, f"internal fault: {type(error).__name__} at {place_of(error)}")

        for wanted in self._wanted:
            self._standings.expired(wanted.name, self._expiry.look(wanted.name, self._served[wanted.name]))
            if wanted.reference.revocation is not Revocation.NONE and wanted.name not in self._unconfirmed:
                self._look_at_lists(wanted)

    def acknowledge(self) -> None:
        """Say what this task serves, if that has changed or was said long ago."""
        if self._acknowledgements:
            self._acknowledgements.write(self._standings.read())

    def _wait_until(self, looks_at: float) -> None:
        """Wait for the next look, and acknowledge meanwhile, unless that could delay the look."""
        while self._acknowledgements:
            due_at = self._acknowledgements.due_at
            if not self._clock.monotonic() < due_at < looks_at - LONGEST_WRITE_S:
                break
            self._clock.sleep(due_at - self._clock.monotonic())
            self.acknowledge()
        self._clock.sleep(max(0.0, looks_at - self._clock.monotonic()))

    def _take_over(self, wanted: Wanted, versions: SecretLabels) -> None:
        served = self._served[wanted.name]
        version = versions.current
        rejected, problem = self._rejected_by_envoy.get(wanted.name, ("", ""))
        if version in {"", served.secret_version, rejected.partition(".")[0]}:
            if version == served.secret_version:
                self._keep(wanted, version)
            elif version:
                self._standings.refuse(wanted.name, version, Stage.ENVOY, f"{wanted.name}: {problem}")
            return
        if self._proxy.rotation is RotationMode.REDEPLOY:
            if self._reported.get(wanted.name) != version:
                self._reported[wanted.name] = version
                self._log.info("newer-version", secret=wanted.name, version=version, served=served.version)
            return
        if version in versions.quarantined:
            raise VersionQuarantined(wanted.reference.secret, version)
        checked = self._again(lambda: self._delivery.fetch(wanted))
        if checked.version == served.version:
            return
        if served.version not in versions.quarantined:
            refuse_older(checked, served)
            self._stage = Stage.TRIAL
            before_it = resource_of(served.content)
            self._trial.refuse_if_upstreams_do(wanted.name, checked.version, checked.resource, before_it)
        self._stage = Stage.ENVOY
        before = self._delivery.handover.before(wanted.name) if wanted.name in self._used else SecretCounters()
        if before is None:
            # Without them a rejection of long ago could not be told from one of this version.
            self._complain(wanted, version, "Envoy's administration interface does not answer")
            return
        self._hand_over(wanted, checked, before)

    def _look_at_lists(self, wanted: Wanted) -> None:
        """
        Hand over newer revocation lists with the bundle that is served, whatever the rotation.

        A list is no rollout: nobody takes it back, and a task that reads once would let revoked peers in for ever.
        """
        trouble = ""
        try:
            served = self._served[wanted.name]
            checked = self._delivery.with_lists(wanted, served)
            rejected, problem = self._rejected_by_envoy.get(wanted.name, ("", ""))
            trouble = problem if checked.version == rejected else checked.trouble
            if checked.version not in {served.version, rejected}:
                before = self._delivery.handover.before(wanted.name)
                if before is not None:
                    self._hand_over(wanted, checked, before)
        except (MeshcertError, OSError) as error:
            trouble = f"{type(error).__name__}: {error}"
        except Exception as error:  # noqa: BLE001  as in look()
            trouble = f"internal fault: {type(error).__name__} at {place_of(error)}"
        self._standings.doubt_peers(wanted.name, trouble)
        if trouble != self._list_troubles.get(wanted.name, ""):
            self._list_troubles[wanted.name] = trouble
            tell = self._log.warning if trouble else self._log.info
            tell("revocation-lists" if trouble else "revocation-lists-good", secret=wanted.name, reason=trouble)

    def _keep(self, wanted: Wanted, version: str) -> None:
        self._stage = Stage.SERVED
        if wanted.name in self._unconfirmed:
            self._standings.trouble(wanted.name, self._stage, _not_confirmed(version))
            return
        shown = self._standings.shown(wanted.name) if wanted.name in self._used else None
        served = self._served[wanted.name]
        if shown and shown != served.version:
            self._complain(wanted, version, f"Envoy serves {shown} in its place, and is handed it again")
            self._delivery.restore(wanted, served)
            return
        self._standings.accept(wanted.name)
        if self._complaints.pop(wanted.name, None) is not None:
            self._log.info("watch-recovered", secret=wanted.name, version=version)

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
                self._stage = Stage.SERVED
                self._complain(wanted, checked.version, _not_confirmed(checked.version))
                return
            if not verdict.accepted:
                self._take_back(wanted, handed, verdict)
        self._settle(wanted)
        took_ms = round((self._clock.monotonic() - began) * 1000, 1)
        self._log.info("secret-rotated", secret=wanted.name, version=checked.version, served_after_ms=took_ms)

    def _wait_for_verdict(self, wanted: Wanted, handed: _Unconfirmed) -> Verdict | None:
        deadline = self._clock.monotonic() + CONFIRM_S
        while self._clock.monotonic() < deadline:
            verdict = self._verdict(wanted, handed)
            if verdict is not None:
                return verdict
            self._clock.sleep(self._delivery.handover.look_every_s)
        return None

    def _verdict(self, wanted: Wanted, handed: _Unconfirmed) -> Verdict | None:
        """What Envoy made of it; None if it has not said so yet."""
        return self._delivery.handover.verdict(wanted.name, handed.version, handed.before)

    def _judge_again(self, wanted: Wanted, handed: _Unconfirmed) -> None:
        verdict = self._verdict(wanted, handed)
        if verdict is None:
            return
        del self._unconfirmed[wanted.name]
        if not verdict.accepted:
            self._take_back(wanted, handed, verdict)
        self._settle(wanted)
        self._log.info("rotation-confirmed", secret=wanted.name, version=handed.version)

    def _take_back(self, wanted: Wanted, handed: _Unconfirmed, verdict: Verdict) -> Never:
        self._rejected_by_envoy[wanted.name] = handed.version, verdict.reason
        self._served[wanted.name] = handed.good
        self._delivery.restore(wanted, handed.good)
        fault = Fault(wanted.name, verdict.reason, "Envoy's own line in this log says why")
        raise MaterialRejected(wanted.reference.secret, (fault,))

    def _handed(self, name: str) -> tuple[Served, ...]:
        """What Envoy was handed under this name, and what it had before if it has not judged that yet."""
        unconfirmed = self._unconfirmed.get(name)
        return (self._served[name], unconfirmed.good) if unconfirmed else (self._served[name],)

    def _settle(self, wanted: Wanted) -> None:
        self._standings.accept(wanted.name)
        self._complaints.pop(wanted.name, None)

    def _again(self, call: Callable[[], _Result]) -> _Result:
        return until(self._retry_until, call, self._clock)

    def _complain(self, wanted: Wanted, version: str, reason: str) -> None:
        self._standings.trouble(wanted.name, self._stage, reason)
        if self._complaints.get(wanted.name) == (version, reason):
            return
        self._complaints[wanted.name] = (version, reason)
        self._log.warning("rotation-waits", secret=wanted.name, version=version, stage=self._stage, reason=reason)


def _not_confirmed(version: str) -> str:
    return f"Envoy has not said whether it takes version {version} over"
