"""What Envoy has been given and serves, offered to the application as well: one version for the whole task."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from entrypoint.log import place_of
from entrypoint.workload_api.messages import X509Svid
from entrypoint.workload_api.opened_key import KeyNotOpened, opened_key
from meshcert.errors import MeshcertError
from meshcert.material import split_certificates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from entrypoint.envoy.handover import EnvoyResource
    from entrypoint.judging.der import CertificateFields
    from entrypoint.log import Log
    from entrypoint.workload_api.settings import WorkloadApiSettings
    from entrypoint.workload_api.store import SvidStore


class DeliveredContent(Protocol):
    """One version of a secret; :class:`entrypoint.rotating.secret.SecretContent` in the container."""

    @property
    def envoy(self) -> EnvoyResource:
        """The form that Envoy is handed; what it has is not complete after the end of a watcher without files."""

    @property
    def leaf(self) -> CertificateFields | None:
        """The fields of an identity's certificate."""

    @property
    def roots(self) -> str:
        """A trust bundle's roots, PEM."""


class DeliveredSecret(Protocol):
    """A secret of this proxy; :class:`entrypoint.rotating.secret.Secret` in the container."""

    @property
    def content(self) -> DeliveredContent | None:
        """The version that Envoy was handed last."""

    @property
    def unjudged(self) -> bool:
        """True while Envoy's verdict on it is due."""


class DeliveredSecrets(NamedTuple):
    """
    The secrets that are offered, after their checks.

    Args:
        identities: Those with a SPIFFE ID, by their names in the mesh; the first one is the default.
        bundles: Those with the roots of the trust domain.
        complete: Called with a secret of which only Envoy has all, to fetch the rest; may raise MeshcertError.
        foreign: Returns the CA certificates of the foreign trust domains that this proxy admits, PEM, by domain.
    """

    identities: dict[str, DeliveredSecret]
    bundles: tuple[DeliveredSecret, ...]
    complete: Callable[[Any], object]
    foreign: Callable[[], Mapping[str, str]] = dict


class SvidDelivery:
    """
    Offers the task's identities over the Workload API, as far as Envoy has accepted them.

    So an application gets nothing that the pre-flight, a trial or Envoy has refused, and keeps the last good version as
    Envoy does. An identity that has expired is not offered any more.

    Args:
        now: Returns seconds since 1970, UTC.
    """

    def __init__(
        self,
        settings: WorkloadApiSettings,
        secrets: DeliveredSecrets,
        store: SvidStore,
        log: Log,
        now: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._secrets = secrets
        self._store = store
        self._log = log
        self._now = now
        self._opened: dict[str, tuple[str, X509Svid]] = {}
        self._roots: dict[int, str] = {}
        self._told = ""

    def look(self) -> None:
        """Offer what has changed since the last look. Trouble is logged once, and what was offered stays."""
        trouble = ""
        try:
            trouble = self._offer()
        except Exception as error:  # noqa: BLE001  its values could be secret, and Envoy's secrets must go on
            trouble = f"internal fault: {type(error).__name__} at {place_of(error)}"
        if trouble and trouble != self._told:
            self._log.warning("svids-wait", reason=trouble)
        self._told = trouble

    def _offer(self) -> str:
        """Offer them; returns what is in the way, and is empty if nothing is."""
        problems = []
        for name, secret in self._secrets.identities.items():
            try:
                self._open(name, secret)
            except (KeyNotOpened, MeshcertError) as error:
                problems.append(f"{name}: {type(error).__name__}: {error}")
        for number, bundle in enumerate(self._secrets.bundles):
            if bundle.content and not bundle.unjudged:
                self._roots[number] = bundle.content.roots
        # A message is the full state: one without an identity or a root would take that away.
        if missing := [name for name in self._secrets.identities if name not in self._opened]:
            return "; ".join([f"not at hand: {', '.join(missing)}", *problems])
        if len(self._roots) < len(self._secrets.bundles):
            return "the roots of the trust domain are not at hand"
        opened = [self._opened[name][1] for name in self._secrets.identities]
        now = self._now()
        valid = [svid for svid in opened if now < svid.not_after]
        roots = list(
            dict.fromkeys(pem for number in sorted(self._roots) for pem in split_certificates(self._roots[number]))
        )
        federated = {domain: _der(split_certificates(pem)) for domain, pem in self._secrets.foreign().items()}
        if self._store.offer(self._settings.trust_domain, _der(roots), valid, federated):
            ids = [svid.spiffe_id for svid in valid]
            self._log.info("svids-offered", spiffe_ids=ids, roots=len(roots), federated=list(federated))
        problems += [f"{svid.hint}: it has expired" for svid in opened if now >= svid.not_after]
        return "; ".join(problems)

    def _open(self, name: str, secret: DeliveredSecret) -> None:
        """Take up the version that Envoy serves, if it is another one."""
        if secret.unjudged or secret.content is None or self._is_opened(name, secret.content):
            return
        if not secret.content.envoy.complete:
            self._secrets.complete(secret)
        content = secret.content
        if secret.unjudged or content is None or content.leaf is None or not content.envoy.complete:
            return
        certificate = content.envoy.body["tls_certificate"]
        chain, key, passphrase = (
            certificate[field]["inline_string"] for field in ("certificate_chain", "private_key", "password")
        )
        svid = X509Svid(
            spiffe_id=self._settings.spiffe_ids[name],
            certificates=_der(split_certificates(chain)),
            private_key=opened_key(key, passphrase),
            not_after=content.leaf.not_after,
            hint=name,
        )
        self._opened[name] = content.envoy.version, svid

    def _is_opened(self, name: str, content: DeliveredContent) -> bool:
        return name in self._opened and self._opened[name][0] == content.envoy.version


def _der(certificates: Iterable[str]) -> bytes:
    """PEM certificates as DER, one after the other."""
    return b"".join(map(ssl.PEM_cert_to_DER_cert, certificates))
