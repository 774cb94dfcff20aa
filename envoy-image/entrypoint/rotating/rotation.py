"""Taking over new versions of the secrets while Envoy runs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from entrypoint.aws.retrying import ProcessClock, until
from entrypoint.envoy.handover import EnvoySilent
from entrypoint.log import place_of
from entrypoint.rotating.standing import Stage, reason_of
from meshcert.contract.lifetimes import GO_BACK_UNTIL
from meshcert.errors import (
    Fault,
    MaterialRejected,
    MeshcertError,
    RefusedByUpstreams,
    SecretMalformed,
    VersionQuarantined,
)
from meshcert.proxy import Revocation, RotationMode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from entrypoint.aws.secrets_manager import SecretLabels
    from entrypoint.envoy.handover import Verdict
    from entrypoint.log import Log
    from entrypoint.rotating.secret import Secret, SecretContent
    from entrypoint.rotating.source import SecretSource
    from entrypoint.rotating.standing import Standings
    from entrypoint.trial.trial import Trial
    from meshcert.proxy import ProxySettings

_RETRY_FOR = 0.4
"""Fraction of the poll interval for which the failing calls of one look are repeated."""


class _LookEnded(Exception):
    """This look at one secret is over; the reason has been logged."""


class Rotation:
    """
    Takes over new versions of the secrets.

    A new version is handed over only after the pre-flight, and a certificate that is shown to upstreams only after a
    trial with them. Whatever goes wrong, Envoy keeps the last good version, the reason is logged once with the
    :class:`~entrypoint.rotating.standing.Stage` at which it went wrong, and the next look tries again.

    Args:
        proxy: Says whether running tasks take over new versions, and how often they look for them.
        secrets: All secrets of the proxy, by SDS name, after the first delivery.
        standings: Knows which versions Envoy says it serves.
    """

    def __init__(
        self,
        proxy: ProxySettings,
        secrets: Mapping[str, Secret],
        source: SecretSource,
        *,
        trial: Trial,
        standings: Standings,
        log: Log,
        clock: ProcessClock | None = None,
    ) -> None:
        self._proxy = proxy
        self._secrets = tuple(secrets.values())
        self._source = source
        self._trial = trial
        self._standings = standings
        self._log = log
        self._clock = clock or ProcessClock()

    def look(self) -> None:
        """Look at every secret once; trouble with one does not affect the others."""
        retry_until = self._clock.monotonic() + self._proxy.poll_interval_s * _RETRY_FOR
        for secret in self._secrets:
            try:
                self._look_at(secret, retry_until)
            except _LookEnded:
                continue

        for secret in self._secrets:
            if since := secret.check_expiry(self._clock.now()):
                self._log.error("certificate-expired", secret=secret.name, version=secret.version, not_after=since)
            if secret.wanted.reference.revocation is not Revocation.NONE and not secret.unjudged:
                self._look_at_lists(secret)

    def _look_at(self, secret: Secret, retry_until: float) -> None:
        secret.begin_look()
        handed = secret.version if secret.unjudged else ""
        if secret.unjudged:
            with self._at(Stage.ENVOY, secret, handed):
                self._judge(secret)
        # Nobody hurries with files: what cannot be read now is looked at again with the next look.
        retry_until = 0.0 if secret.wanted.file else retry_until
        with self._at(Stage.FETCH, secret, handed):
            labels = until(retry_until, lambda: self._source.labels(secret.wanted), self._clock)
        version = labels.current
        if not version:
            return
        if version == secret.version_id:
            with self._at(Stage.SERVED, secret, version):
                self._keep(secret)
        elif version == secret.rejected.version.partition(".")[0]:
            secret.refuse(version, f"{Stage.ENVOY}: {secret.name}: {secret.rejected.reason}")
        elif self._proxy.rotation is RotationMode.REDEPLOY and not secret.wanted.file:
            if secret.note_newer(version):
                self._log.info("newer-version", secret=secret.name, version=version, served=secret.version)
        else:
            self._take_over(secret, labels, retry_until)

    def _take_over(self, secret: Secret, labels: SecretLabels, retry_until: float) -> None:
        version = labels.current
        with self._at(Stage.FETCH, secret, version):
            if version in labels.quarantined:
                raise VersionQuarantined(secret.wanted.reference.secret, version)
            content = until(retry_until, lambda: self._source.fetch(secret.wanted), self._clock)
        if content.envoy.version == secret.version:
            return
        if secret.version not in labels.quarantined:
            with self._at(Stage.PREFLIGHT, secret, version):
                # Files are the user's word: an older certificate is there because somebody has put it back.
                if not secret.wanted.file:
                    refuse_older(secret, content, self._clock.now())
            with self._at(Stage.TRIAL, secret, version):
                self._try(secret, content)
        with self._at(Stage.ENVOY, secret, version):
            secret.hand(content)
            self._await_verdict(secret)

    def _try(self, secret: Secret, content: SecretContent) -> None:
        """
        Try a version with the upstreams that will see it; raises RefusedByUpstreams if it must not be handed over.

        Once the served certificate nears its end, a refusal is only logged: to stay with it would help nobody for long,
        and one that has expired is accepted by nobody who checks it.
        """
        served = secret.content.envoy.body if secret.content else {}
        try:
            self._trial.refuse_if_upstreams_do(secret.name, content.envoy.version, content.envoy.body, served)
        except RefusedByUpstreams as error:
            if not nears_end(secret, self._clock.now()):
                raise
            self._log.warning(
                "trial-overruled",
                secret=secret.name,
                version=content.envoy.version,
                hosts=error.hosts,
                reason=str(error),
            )

    def _look_at_lists(self, secret: Secret) -> None:
        """
        Hand over newer revocation lists with the bundle that is served, whatever kind of rotation is configured.

        A list is not a rollout: it is never rolled back, and a task that read it only once would admit revoked peers.
        """
        trouble = ""
        try:
            trouble = self._take_over_lists(secret)
        except (MeshcertError, OSError) as error:
            trouble = f"{type(error).__name__}: {error}"
        except Exception as error:  # noqa: BLE001  as in _at()
            trouble = f"internal fault: {type(error).__name__} at {place_of(error)}"
        if secret.note_lists(trouble):
            tell = self._log.warning if trouble else self._log.info
            tell("revocation-lists" if trouble else "revocation-lists-good", secret=secret.name, reason=trouble)

    def _take_over_lists(self, secret: Secret) -> str:
        """Take over newer lists, and return what is wrong with them; empty if nothing is."""
        if (served := secret.content) is None:
            return ""
        if (bundle := served.bundle) is None:
            bundle = self._source.served_bundle(secret.wanted, served)
            secret.take_up(served._replace(bundle=bundle))
        content = self._source.with_lists(secret.wanted, served.version_id, bundle)
        if content.envoy.version == secret.rejected.version:
            return secret.rejected.reason
        if content.envoy.version != secret.version:
            try:
                secret.hand(content)
            except EnvoySilent:
                return content.trouble  # the next look tries again
            self._await_verdict(secret)
        return content.trouble

    def _keep(self, secret: Secret) -> None:
        """Make sure that Envoy serves the current version, which it was handed before."""
        if secret.unjudged:
            secret.trouble = f"{Stage.SERVED}: {_not_confirmed(secret.version_id)}"
            return
        shown = self._standings.shown(secret.name) if secret.used else None
        if shown and shown != secret.version:
            reason = f"Envoy serves {shown} in its place, and is handed it again"
            self._complain(secret, secret.version_id, Stage.SERVED, reason)
            secret.restore()
        elif secret.settle():
            self._log.info("watch-recovered", secret=secret.name, version=secret.version_id)

    def _await_verdict(self, secret: Secret) -> None:
        """Wait for Envoy's verdict; raises MaterialRejected if it is a refusal."""
        version, began = secret.version, self._clock.monotonic()
        verdict = secret.await_verdict(self._clock)
        if verdict is None:
            self._complain(secret, version, Stage.SERVED, _not_confirmed(version))
            return
        _refuse_rejected(secret, verdict)
        secret.settle()
        took_ms = round((self._clock.monotonic() - began) * 1000, 1)
        self._log.info("secret-rotated", secret=secret.name, version=version, served_after_ms=took_ms)

    def _judge(self, secret: Secret) -> None:
        """Ask again for a verdict that did not come in time; raises MaterialRejected if it is a refusal."""
        version = secret.version
        verdict = secret.verdict()
        if verdict is None:
            return
        _refuse_rejected(secret, verdict)
        secret.settle()
        self._log.info("rotation-confirmed", secret=secret.name, version=version)

    @contextmanager
    def _at(self, stage: Stage, secret: Secret, version: str) -> Iterator[None]:
        """
        Log what goes wrong, with the stage, and end this look at the secret with :class:`_LookEnded`.

        Args:
            stage: How far the version has got.
            version: For the log and the mesh.
        """
        try:
            yield
        except (MaterialRejected, SecretMalformed, VersionQuarantined) as error:
            # AWS has answered; it is the version itself that must not be served.
            stage = Stage.PREFLIGHT if stage is Stage.FETCH else stage
            hosts = error.hosts if isinstance(error, RefusedByUpstreams) else ()
            secret.refuse(version, f"{stage}: {reason_of(error)}", hosts)
            reason = f"{type(error).__name__}: {error}"
        except MeshcertError as error:
            reason = f"{type(error).__name__}: {error}"
        except EnvoySilent:
            # Without Envoy's counters, an old rejection could not be distinguished from one of this version.
            reason = "Envoy's administration interface does not answer"
        except OSError as error:
            reason = f"the material folder cannot be written: {error.strerror}"
        except Exception as error:  # noqa: BLE001  its values could be secret, and the other secrets must go on
            reason = f"internal fault: {type(error).__name__} at {place_of(error)}"
        else:
            return
        self._complain(secret, version, stage, reason)
        raise _LookEnded

    def _complain(self, secret: Secret, version: str, stage: Stage, reason: str) -> None:
        if secret.complain(version, stage, reason):
            self._log.warning("rotation-waits", secret=secret.name, version=version, stage=stage, reason=reason)


def refuse_older(secret: Secret, content: SecretContent, now: float) -> None:
    """
    Refuse a certificate that is older than the one that is served.

    A stale answer of AWS, or a label moved by hand, must not take a running proxy back to an older certificate. A
    rollback first labels the served version QUARANTINED, and then this is not called. Nor does a proxy stay with a
    certificate that nears its end if the older one lives longer.

    Args:
        now: Seconds since 1970, UTC.

    Raises:
        MaterialRejected: If the content's certificate was issued before the served one.
    """
    served = secret.content.leaf if secret.content else None
    if served is None or content.leaf is None or content.leaf.not_before >= served.not_before:
        return
    if not (nears_end(secret, now) and content.leaf.not_after > served.not_after):
        remedy = "A running proxy goes back only from a QUARANTINED version: roll back, or redeploy the service"
        fault = Fault("Certificate", f"it is older than the one served, version {secret.version}", remedy)
        raise MaterialRejected(secret.wanted.reference.secret, (fault,))


def nears_end(secret: Secret, now: float) -> bool:
    """True if so much of the served certificate's life is gone that nothing may stay with it."""
    leaf = secret.content.leaf if secret.content else None
    if leaf is None:
        return False
    return now >= leaf.not_before + GO_BACK_UNTIL * (leaf.not_after - leaf.not_before)


def _refuse_rejected(secret: Secret, verdict: Verdict) -> None:
    if not verdict.accepted:
        fault = Fault(secret.name, verdict.reason, "Envoy's own line in this log says why")
        raise MaterialRejected(secret.wanted.reference.secret, (fault,))


def _not_confirmed(version: str) -> str:
    return f"Envoy has not said whether it takes version {version} over"
