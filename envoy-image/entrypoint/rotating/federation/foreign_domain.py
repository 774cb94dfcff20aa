"""A foreign trust domain as this task knows it: the last good version of its bundle."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from entrypoint.judging.foreign_bundle import check_foreign_bundle
from entrypoint.log import place_of
from meshcert.errors import MeshcertError, SecretMalformed
from meshcert.material import join_certificates, split_certificates
from meshcert.material.foreign_bundle import ForeignBundle

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrypoint.log import Log
    from entrypoint.rotating.source import Secrets


class ForeignDomain:
    """
    A foreign trust domain. Trouble with its bundle never keeps a proxy from its own work.

    A version is taken over however the service rotates: no deployment follows one, and a task that read the bundle only
    once would admit whom the domain has long dropped.

    Args:
        secret: Name of the secret with its bundle.
        now: Returns seconds since 1970, UTC.
    """

    def __init__(self, trust_domain: str, secret: str, secrets: Secrets, now: Callable[[], float], log: Log) -> None:
        self.trust_domain = trust_domain
        self.certificates = ""
        """Its CA certificates, PEM; empty if nobody of it is admitted, or as long as none are known."""
        self.version = ""
        """VersionId of the secret that they are from; empty as long as there is none."""
        self.sequence: int | None = None
        """The bundle's own number, if it has one."""
        self.trouble = ""
        """Why there is no newer version; empty if nothing is in the way."""
        self._secret = secret
        self._secrets = secrets
        self._now = now
        self._log = log

    def take_up(self, certificates: str) -> None:
        """Begin with what Envoy serves."""
        self.certificates = certificates

    def look(self, attempt: Callable[[Callable[[], None]], None]) -> None:
        """
        Take over the current version if it is another one and good; never raises. Trouble is logged once.

        Args:
            attempt: Calls what it is given, again if it pleases.
        """
        trouble = ""
        try:
            attempt(self._fetch)
        except MeshcertError as error:
            trouble = f"{type(error).__name__}: {error}"
        except Exception as error:
            trouble = f"internal fault: {type(error).__name__} at {place_of(error)}"
        self.wait(trouble)

    def wait(self, trouble: str) -> None:
        """Note why there is no newer version; empty if there may be none."""
        if trouble and trouble != self.trouble:
            self._log.warning("foreign-bundle-waits", trust_domain=self.trust_domain, reason=trouble)
        elif self.trouble and not trouble:
            self._log.info("foreign-bundle-recovered", trust_domain=self.trust_domain, version=self.version)
        self.trouble = trouble

    def _fetch(self) -> None:
        if self.version and self._secrets.labels(self._secret).current == self.version:
            return
        value = self._secrets.current_value(self._secret)
        try:
            bundle = ForeignBundle.loads(value.text, self._secret)
            if bundle.trust_domain != self.trust_domain:
                raise SecretMalformed(self._secret, "it holds the bundle of another trust domain")
            check_foreign_bundle(bundle, self._secret, self._now())
        except (ValueError, TypeError, RecursionError, ssl.SSLError) as error:
            raise SecretMalformed(self._secret, f"it cannot be read or checked ({type(error).__name__})") from None
        certificates = list(dict.fromkeys(split_certificates(bundle.certificates)))
        self.certificates = join_certificates(certificates)
        self.version, self.sequence = value.version_id, bundle.sequence
        self._log.info(
            "foreign-bundle",
            trust_domain=self.trust_domain,
            version=self.version,
            sequence=self.sequence,
            certificates=len(certificates),
        )
