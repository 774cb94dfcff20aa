"""A secret of this proxy: the first kind of resource that is delivered to Envoy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrypoint.judging.preflight import certificate_fields
from entrypoint.log import iso_time
from entrypoint.rotating.resource import Resource
from meshcert.envoy import certificate_name, identity_name, roots_name, secrets_used, trust_name
from meshcert.material import split_certificates
from meshcert.proxy import SecretReference, TlsMode
from meshcert.values.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from entrypoint.envoy.handover import EnvoyResource, Handover
    from entrypoint.judging.der import CertificateFields
    from meshcert.material import TrustBundle
    from meshcert.proxy import ProxySettings
    from meshcert.tls_sources import CertificateFile, TrustFile


class WantedSecret(NamedTuple):
    """
    A secret that this proxy needs.

    Args:
        name: SDS name.
        reference: Where it comes from, and what must be in it.
        is_identity: True if it holds material, False if it holds a trust bundle.
        file: Files of the user's, if it comes from them and not from Secrets Manager; the reference then names the
            first one.
        roles: What a certificate in files is for: ``serverAuth``, ``clientAuth`` or both.
    """

    name: str
    reference: SecretReference
    is_identity: bool
    file: CertificateFile | TrustFile | None = None
    roles: frozenset[str] = frozenset()


class SecretContent(NamedTuple):
    """
    One version of a secret in the form that Envoy is handed, with the facts that this container needs.

    Args:
        envoy: The form that Envoy is handed. Its version is the VersionId; for a bundle with revocation lists, followed
            by a dot and a text that identifies the lists.
        leaf: The fields of an identity's certificate; None for a trust bundle.
        roots: A trust bundle's roots, PEM; empty for an identity.
        bundle: Says where revocation lists are; None for an identity, and for a bundle that an earlier watcher fetched.
        trouble: What is wrong with the revocation lists; empty if nothing is.
    """

    envoy: EnvoyResource
    leaf: CertificateFields | None = None
    roots: str = ""
    bundle: TrustBundle | None = None
    trouble: str = ""

    @property
    def version_id(self) -> str:
        """The VersionId, which has no dot."""
        return self.envoy.version.partition(".")[0]

    @property
    def not_after(self) -> int:
        """When nothing in it is of use any more, seconds since 1970, UTC: the leaf's end, or that of the last root."""
        if self.leaf:
            return self.leaf.not_after
        return max((certificate_fields(pem).not_after for pem in split_certificates(self.roots)), default=0)

    @classmethod
    def of_envoy(cls, envoy: EnvoyResource) -> SecretContent:
        """
        Read what an earlier watcher handed over.

        Raises:
            ValueError: If it holds something else in a certificate's place.
        """
        try:
            chain = envoy.body.get("tls_certificate", {}).get("certificate_chain", {}).get("inline_string", "")
            roots = envoy.body.get("validation_context", {}).get("trusted_ca", {}).get("inline_string", "")
        except AttributeError:
            raise ValueError("it is no secret of Envoy's") from None
        leaf = next(iter(split_certificates(str(chain))), "")
        return cls(envoy, certificate_fields(leaf) if leaf else None, str(roots))


class Secret(Resource[SecretContent]):
    """
    A secret of this proxy.

    Args:
        used: True if Envoy asks for it.
    """

    def __init__(self, wanted: WantedSecret, handover: Handover, *, used: bool) -> None:
        super().__init__(wanted.name, handover, used=used)
        self.wanted = wanted
        self.expired = ""
        """A text that says that the served certificate has expired; empty if it has not."""
        self.lists_trouble = ""
        """Why peers are not looked up in revocation lists; empty if they are."""
        self.newer = ""
        """The newer version that was logged and that only a deployment takes over."""
        self._expiry_told = ""

    @property
    def version_id(self) -> str:
        """The VersionId of the version that Envoy was handed last; empty if there is none."""
        return self.content.version_id if self.content else ""

    @property
    def roots(self) -> str:
        """The roots that Envoy was handed last, PEM; empty if there are none."""
        return self.content.roots if self.content else ""

    def check_expiry(self, now: float) -> str:
        """
        Check whether the served certificate has expired; it stays, because an Envoy without one would be no better.

        Args:
            now: Seconds since 1970, UTC.

        Returns:
            When it expired (:func:`entrypoint.log.iso_time`) if that is still to be logged; otherwise empty.
        """
        self.expired = ""
        leaf = self.content.leaf if self.content else None
        if leaf is None or now < leaf.not_after:
            return ""
        since = iso_time(leaf.not_after)
        self.expired = f"the served certificate expired on {since}"
        if self._expiry_told == self.version:
            return ""
        self._expiry_told = self.version
        return since

    def note_lists(self, trouble: str) -> bool:
        """Note what is wrong with the revocation lists; True if that has changed."""
        news = trouble != self.lists_trouble
        self.lists_trouble = trouble
        return news

    def note_newer(self, version: str) -> bool:
        """Note a version that only a deployment takes over; True if that is still to be logged."""
        news = version != self.newer
        self.newer = version
        return news


def wanted_secrets(proxy: ProxySettings) -> tuple[WantedSecret, ...]:
    """Every secret that the settings name, trust bundles first, as they are published, and files last."""
    bundles, identities = proxy.trust_bundles.items(), proxy.identities.items()
    return (
        *(WantedSecret(trust_name(name), reference, is_identity=False) for name, reference in bundles),
        *(WantedSecret(identity_name(name), reference, is_identity=True) for name, reference in identities),
        *_wanted_files(proxy),
    )


def _wanted_files(proxy: ProxySettings) -> Iterator[WantedSecret]:
    for trust in proxy.trust_files:
        reference = SecretReference(trust.certificate_chain)
        yield WantedSecret(roots_name(trust), reference, is_identity=False, file=trust)
    served = {listener.tls.certificate for listener in proxy.listeners if listener.tls.mode is not TlsMode.DISABLED}
    shown = {backend.tls.certificate for backend in proxy.backends if backend.tls}
    for certificate in proxy.certificate_files:
        roles = {"serverAuth"} if certificate in served else set()
        roles |= {"clientAuth"} if certificate in shown else set()
        name, reference = certificate_name(certificate), SecretReference(certificate.certificate_chain)
        yield WantedSecret(name, reference, is_identity=True, file=certificate, roles=frozenset(roles))


def secrets_of(proxy: ProxySettings, handover: Handover) -> dict[str, Secret]:
    """Every secret of a proxy by its SDS name, nothing handed over yet."""
    used = secrets_used(proxy)
    return {wanted.name: Secret(wanted, handover, used=wanted.name in used) for wanted in wanted_secrets(proxy)}
