"""The start of a container: all secrets are handed over or none, then Envoy must accept them."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from entrypoint.aws.retrying import ProcessClock, until
from entrypoint.envoy.install import write_private
from meshcert.contract import exit_codes
from meshcert.contract.environment import MATERIAL_DIR
from meshcert.envoy import bootstrap, secrets_used, ways_in
from meshcert.envoy.connection_cap import connection_cap_s
from meshcert.errors import (
    AwsRefused,
    AwsUnavailable,
    Fault,
    FilesRejected,
    FilesUnreadable,
    IdentityMissing,
    MaterialRejected,
    MeshcertError,
    Rejected,
    RoutesNotPublished,
    RouteTableUnusable,
    SecretMalformed,
    SecretNotPublished,
    SettingsInvalid,
    SettingsNotPublished,
    StoredSettingsUnusable,
    VersionQuarantined,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from entrypoint.envoy.handover import Handover
    from entrypoint.log import Log
    from entrypoint.rotating.federation.delivery import FederationDelivery
    from entrypoint.rotating.secret import Secret, SecretContent
    from entrypoint.rotating.source import SecretSource
    from entrypoint.settings import Settings
    from meshcert.proxy import ProxySettings

_LOOK_S = 0.01
"""A look takes CPU of Envoy, too, which needs it for its start."""
_LOOK_SLOWER_AFTER = 60
_LOOK_SLOWER_S = 0.2

_EXIT_CODES: tuple[tuple[type[MeshcertError], int], ...] = (
    (SettingsInvalid, exit_codes.SETTINGS),
    # Not BAD_MATERIAL: a certificate's label goes back for that.
    (FilesRejected, exit_codes.SETTINGS),
    (FilesUnreadable, exit_codes.SETTINGS),
    (SecretMalformed, exit_codes.BAD_MATERIAL),
    (MaterialRejected, exit_codes.BAD_MATERIAL),
    (VersionQuarantined, exit_codes.BAD_MATERIAL),
    (SecretNotPublished, exit_codes.NOT_PUBLISHED),
    (SettingsNotPublished, exit_codes.NOT_PUBLISHED),
    (RoutesNotPublished, exit_codes.NOT_PUBLISHED),
    (RouteTableUnusable, exit_codes.SETTINGS),
    (StoredSettingsUnusable, exit_codes.SETTINGS),
    (AwsUnavailable, exit_codes.AWS_UNAVAILABLE),
    (AwsRefused, exit_codes.AWS_REFUSED),
    (IdentityMissing, exit_codes.AWS_REFUSED),
)


def exit_code_of(error: MeshcertError) -> int:
    """The exit code of a container that ends with this error."""
    return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), exit_codes.INTERNAL)


class FirstDelivery:
    """
    The first delivery of secrets to one container's Envoy.

    Args:
        secrets: All secrets of the proxy, by SDS name; none is handed over yet.
        handover: Returns Envoy's first verdicts.
        federation: The federated trusts; None for a proxy without any.
    """

    def __init__(
        self,
        settings: Settings,
        secrets: Mapping[str, Secret],
        source: SecretSource,
        handover: Handover,
        *,
        log: Log,
        clock: ProcessClock | None = None,
        federation: FederationDelivery | None = None,
    ) -> None:
        self._settings = settings
        self._secrets = secrets
        self._source = source
        self._handover = handover
        self._log = log
        self._clock = clock or ProcessClock()
        self._federation = federation

    def install(self, deadline: float) -> None:
        """
        Hand every secret over and write Envoy's configuration.

        Nothing is handed over unless every secret is good; each bad one is logged, not only the first. A connection may
        last for a tenth of these certificates' lifetime at most; later ones have the same lifetime, because that is
        set where they are declared.

        Args:
            deadline: In monotonic time.

        Raises:
            SettingsInvalid: If the material folder is full or cannot be written.
            MeshcertError: The gravest of the errors.
        """
        fetched: list[tuple[Secret, SecretContent]] = []
        errors: list[MeshcertError] = []
        for secret in self._secrets.values():
            try:
                content = until(deadline, lambda wanted=secret.wanted: self._source.fetch(wanted), self._clock)  # type: ignore[misc]  # mypy cannot infer the lambda's default
                fetched.append((secret, content))
            except MeshcertError as error:
                self._log.error("secret-refused", secret=secret.name, error=type(error).__name__, reason=str(error))
                errors.append(error)
                if isinstance(error, AwsUnavailable) and self._clock.monotonic() >= deadline:
                    break  # the others would only wait for the same AWS
        if errors:
            # An error that a person has to repair tells more than one that may heal by itself.
            raise next((error for error in errors if isinstance(error, Rejected)), errors[0])
        with self.writing():
            for secret, content in fetched:
                secret.put(content)
                self._log.info("secret-installed", secret=secret.name, version=secret.version)
                if content.trouble:
                    self._log.warning("revocation-lists", secret=secret.name, reason=content.trouble)
            if self._federation is not None:
                self._federation.install(deadline)
            proxy = self._settings.proxy
            leaves = (content.leaf for _, content in fetched)
            lifetimes_s = (leaf.not_after - leaf.not_before for leaf in leaves if leaf)
            longest_s = connection_cap_s(proxy.max_connection_duration_s, lifetimes_s)
            self._write_configuration(proxy._replace(max_connection_duration_s=longest_s))

    def _write_configuration(self, proxy: ProxySettings) -> None:
        paths, addresses = self._settings.paths, self._settings.addresses
        if proxy.awaits_application:
            os.makedirs(paths.ways_in.rpartition("/")[0], 0o700, exist_ok=True)
            for path, opened in ((paths.ways_in, False), (paths.ways_in_opened, True)):
                write_private(path, json.dumps(ways_in(proxy, addresses, opened=opened)).encode())
        write_private(paths.bootstrap, json.dumps(bootstrap(proxy, addresses)).encode())

    def wait_for_envoy(self) -> None:
        """
        Wait until Envoy has accepted every secret it uses, then leave the mark that the health check looks for.

        There is no deadline: while this waits, the health check fails, and ECS ends the task.

        Raises:
            MaterialRejected: If Envoy has rejected secrets; it names each of them.
            SettingsInvalid: If the material folder cannot be written.
        """
        names = secrets_used(self._settings.proxy)
        looks = 0
        while not self._all_accepted(names):
            looks += 1
            self._clock.sleep(_LOOK_S if looks < _LOOK_SLOWER_AFTER else _LOOK_SLOWER_S)
        with self.writing():
            write_private(self._settings.paths.delivered, b"")
        self._log.info("secrets-accepted", secrets=len(names))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Raise SettingsInvalid where the material folder cannot be written."""
        try:
            yield
        except OSError as error:
            problem = f"{self._settings.paths.folder} cannot be written: {error.strerror}"
            fault = Fault(MATERIAL_DIR, problem, "Mount a tmpfs there that this user may write, 1 MiB or more")
            raise SettingsInvalid("environment", (fault,)) from error

    def _all_accepted(self, names: tuple[str, ...]) -> bool:
        # Not logged: Envoy may still be starting, or may have ended, which the supervisor notices.
        verdicts = self._handover.first_verdicts(names)
        remedy = "Envoy's own line in this log says why"
        faults = [Fault(name, verdict.reason, remedy) for name, verdict in verdicts.items() if not verdict.accepted]
        if faults and self._federation is not None:
            with self.writing():
                if self._federation.reduce():
                    return False  # what others publish must not end this container
        if faults and all(fault.place in self._secrets and self._secrets[fault.place].wanted.file for fault in faults):
            raise FilesRejected("Envoy", tuple(faults))
        if faults:
            raise MaterialRejected("Envoy", tuple(faults))
        return all(name in verdicts for name in names)
