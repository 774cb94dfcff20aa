"""From a secret's value to what Envoy is handed: read it, judge it, hand it over."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, NamedTuple, Protocol

from entrypoint.envoy.install import leaf_of, roots_of, version_of
from entrypoint.judging import preflight
from meshcert.envoy import identity_name, identity_resource, trust_name, trust_resource
from meshcert.errors import Fault, MaterialRejected, SecretMalformed, VersionQuarantined
from meshcert.material.document import read_material, read_trust_bundle

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrypoint.aws.secrets_manager import SecretLabels, SecretVersion
    from entrypoint.envoy.handover import Handover
    from entrypoint.judging.revocation import RevocationLists
    from meshcert.envoy.api import Json
    from meshcert.material import TrustBundle
    from meshcert.proxy import ProxySettings, SecretReference


class Secrets(Protocol):
    """Where secrets come from; :class:`entrypoint.aws.secrets_manager.SecretsManager` in the container."""

    def labels(self, secret: str) -> SecretLabels:
        """Where its labels stand."""

    def current_value(self, secret: str) -> SecretVersion:
        """The version that AWSCURRENT stands on."""


class Wanted(NamedTuple):
    """
    A secret this proxy needs.

    Args:
        name: SDS name.
        reference: Where it comes from and what it must be.
        is_identity: Whether it holds material; otherwise a trust bundle.
    """

    name: str
    reference: SecretReference
    is_identity: bool


class Checked(NamedTuple):
    """
    A secret that passed the pre-flight.

    Args:
        wanted: Which one.
        version: Its VersionId; of a bundle with revocation lists, a dot and what tells the lists apart follow.
        resource: What Envoy is handed; contains the encrypted key, so ``repr`` leaves it out.
        not_before: Start of the certificate's validity, seconds since 1970, UTC; 0 for a trust bundle.
        lifetime_s: How long the certificate is valid, seconds; 0 for a trust bundle.
        trouble: What is wrong with the revocation lists of a bundle; empty: nothing.
    """

    wanted: Wanted
    version: str
    resource: Json
    not_before: int = 0
    lifetime_s: int = 0
    trouble: str = ""

    def __repr__(self) -> str:
        return f"<Checked {self.wanted.name} {self.version}>"


class Served(NamedTuple):
    """
    What Envoy was last handed.

    Args:
        version: As :attr:`Checked.version`; empty if nothing was.
        not_before: As :attr:`Checked.not_before`.
        content: What it takes to hand it over again; ``repr`` leaves it out.
    """

    version: str
    not_before: int = 0
    content: bytes = b""

    def __repr__(self) -> str:
        return f"<Served {self.version}>"

    @property
    def secret_version(self) -> str:
        """Its VersionId; a VersionId has no dot."""
        return self.version.partition(".")[0]


def wanted_secrets(proxy: ProxySettings) -> tuple[Wanted, ...]:
    """Every secret the settings name, trust bundles first: they are published first, too."""
    return (
        *(Wanted(trust_name(name), reference, is_identity=False) for name, reference in proxy.trust_bundles.items()),
        *(Wanted(identity_name(name), reference, is_identity=True) for name, reference in proxy.identities.items()),
    )


class Delivery:
    """
    Fetches, checks and hands over.

    Args:
        secrets: Where they come from.
        handover: How they get to Envoy.
        now: Seconds since 1970, UTC.
        revocation: Revocation lists; None if no bundle asks for them.
    """

    def __init__(
        self,
        secrets: Secrets,
        handover: Handover,
        now: Callable[[], float],
        revocation: RevocationLists | None = None,
    ) -> None:
        self._secrets = secrets
        self.handover = handover
        self._now = now
        self._revocation = revocation
        self._bundles: dict[str, tuple[str, TrustBundle]] = {}

    def labels(self, wanted: Wanted) -> SecretLabels:
        """Where the secret's labels stand in AWS; raises as :meth:`fetch` does."""
        return self._secrets.labels(wanted.reference.secret)

    def fetch(self, wanted: Wanted) -> Checked:
        """
        The current version, fit to be served.

        Args:
            wanted: Which secret.

        Raises:
            NotReady: If AWS cannot answer now, or the export function has not published yet.
            Rejected: If AWS says no, or the value must not be served: it is bad, or its rollout failed.
        """
        secret = wanted.reference.secret
        value = self._secrets.current_value(secret)
        if value.quarantined:
            raise VersionQuarantined(secret, value.version_id)
        try:
            return self._checked(wanted, value)
        except (ValueError, TypeError, RecursionError, ssl.SSLError) as error:
            # A value none of the checks foresaw. The error may quote it: only its kind is told, and its cause left out.
            raise SecretMalformed(secret, f"it cannot be read or checked ({type(error).__name__})") from None

    def with_lists(self, wanted: Wanted, served: Served) -> Checked:
        """
        The trust bundle that is served, with the revocation lists of now; raises as :meth:`fetch` does.

        Args:
            wanted: A trust bundle.
            served: What Envoy was handed.
        """
        version, bundle = self._bundles.get(wanted.name, ("", None))
        if bundle is None or version != served.secret_version:
            # A watcher before this one has handed it over. The current version may be newer, and tells where lists lie.
            secret = wanted.reference.secret
            current = read_trust_bundle(self._secrets.current_value(secret).text, secret)
            bundle = current._replace(certificates=roots_of(served.content))
            self._bundles[wanted.name] = served.secret_version, bundle
        return self._with_lists(wanted, served.secret_version, bundle)

    def install(self, checked: Checked) -> Served:
        """Hand it to Envoy; raises OSError if that is not possible."""
        content = self.handover.install(checked.wanted.name, checked.resource, checked.version)
        return Served(checked.version, checked.not_before, content)

    def restore(self, wanted: Wanted, served: Served) -> None:
        """Put back what Envoy still serves, after it rejected a newer version."""
        self.handover.write(wanted.name, served.content)

    def served(self, wanted: Wanted) -> Served:
        """What was handed over last, also by a watcher that has died since."""
        content = self.handover.read(wanted.name)
        leaf = leaf_of(content)
        return Served(version_of(content), preflight.validity(leaf).not_before if leaf else 0, content)

    def _with_lists(self, wanted: Wanted, version: str, bundle: TrustBundle) -> Checked:
        if self._revocation is None:
            return Checked(wanted, version, trust_resource(wanted.name, bundle))
        lists = self._revocation.look(bundle, wanted.reference.revocation, wanted.name)
        resource = trust_resource(wanted.name, bundle, lists.pem)
        return Checked(wanted, lists.version(version), resource, trouble=lists.problem)

    def _checked(self, wanted: Wanted, value: SecretVersion) -> Checked:
        secret = wanted.reference.secret
        if not wanted.is_identity:
            bundle = read_trust_bundle(value.text, secret)
            preflight.check_trust_bundle(bundle, secret, self._now())
            self._bundles[wanted.name] = value.version_id, bundle
            return self._with_lists(wanted, value.version_id, bundle)
        material = read_material(value.text, secret)
        preflight.check_material(material, wanted.reference.names, secret, self._now())
        valid = preflight.validity(material.certificate)
        return Checked(
            wanted,
            value.version_id,
            identity_resource(wanted.name, material),
            valid.not_before,
            valid.not_after - valid.not_before,
        )


def refuse_older(checked: Checked, served: Served) -> None:
    """
    Refuse to go back in time.

    A stale answer of AWS, or a label moved by hand, must not take a running proxy to an older certificate. A rollback
    puts QUARANTINED on the version that is served first: then nobody calls this.

    Raises:
        MaterialRejected: If the checked certificate was issued before the one that is served.
    """
    if checked.not_before < served.not_before:
        remedy = "A running proxy goes back only from a QUARANTINED version: roll back, or redeploy the service"
        fault = Fault("Certificate", f"it is older than the one served, version {served.version}", remedy)
        raise MaterialRejected(checked.wanted.reference.secret, (fault,))
