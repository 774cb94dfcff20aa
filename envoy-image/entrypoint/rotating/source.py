"""The source of secrets, which fetches, reads and checks them before Envoy gets them."""

from __future__ import annotations

import hashlib
import ssl
from typing import TYPE_CHECKING, Protocol

from entrypoint.aws.secrets_manager import SecretLabels
from entrypoint.envoy.handover import EnvoyResource
from entrypoint.judging import preflight
from entrypoint.rotating.secret import SecretContent
from meshcert.envoy import file_resource, identity_resource, trust_resource
from meshcert.errors import SecretMalformed, VersionQuarantined
from meshcert.material import TrustBundle
from meshcert.material.document import read_material, read_trust_bundle
from meshcert.tls_sources import TrustFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrypoint.aws.secrets_manager import SecretVersion
    from entrypoint.judging.file_reading import FileReader
    from entrypoint.judging.revocation import RevocationLists
    from entrypoint.rotating.secret import WantedSecret
    from meshcert.tls_sources import CertificateFile


class Secrets(Protocol):
    """Stores secrets; :class:`entrypoint.aws.secrets_manager.SecretsReader` in the container."""

    def labels(self, secret: str) -> SecretLabels:
        """The versions that its labels are attached to."""

    def current_value(self, secret: str) -> SecretVersion:
        """The version that is labelled AWSCURRENT."""


class SecretSource:
    """
    Fetches secrets and checks them.

    Args:
        now: Returns seconds since 1970, UTC.
        revocation: The revocation lists; None if no bundle needs them.
        files: Reads files of the user's; None if nothing comes from them.
    """

    def __init__(
        self,
        secrets: Secrets,
        now: Callable[[], float],
        revocation: RevocationLists | None = None,
        files: FileReader | None = None,
    ) -> None:
        self._secrets = secrets
        self._now = now
        self._revocation = revocation
        self._files = files

    def labels(self, wanted: WantedSecret) -> SecretLabels:
        """
        The versions that the secret's labels are attached to; raises as :meth:`fetch` does.

        Files have one version: their content of now.
        """
        if wanted.file and self._files:
            return SecretLabels(_version(self._files.read(*wanted.file)))
        return self._secrets.labels(wanted.reference.secret)

    def fetch(self, wanted: WantedSecret) -> SecretContent:
        """
        The current version, after all checks.

        Raises:
            NotReady: If AWS cannot answer now, the export function has not published yet, or a file cannot be read.
            Rejected: If AWS refuses, or the value must not be served because it is bad or its rollout failed.
        """
        if wanted.file and self._files:
            return self._of_files(wanted, wanted.file, self._files.read(*wanted.file))
        secret = wanted.reference.secret
        value = self._secrets.current_value(secret)
        if value.quarantined:
            raise VersionQuarantined(secret, value.version_id)
        try:
            return self._checked(wanted, value)
        except (ValueError, TypeError, RecursionError, ssl.SSLError) as error:
            # A value that no check foresaw. The error may quote it, so only its type is told, and no cause.
            raise SecretMalformed(secret, f"it cannot be read or checked ({type(error).__name__})") from None

    def served_bundle(self, wanted: WantedSecret, served: SecretContent) -> TrustBundle:
        """
        The trust bundle that an earlier watcher has handed over.

        The current version, which may be newer, says where its lists lie. Raises as :meth:`fetch` does.
        """
        secret = wanted.reference.secret
        current = read_trust_bundle(self._secrets.current_value(secret).text, secret)
        return current._replace(certificates=served.roots)

    def with_lists(self, wanted: WantedSecret, version_id: str, bundle: TrustBundle) -> SecretContent:
        """A trust bundle with the revocation lists of now; raises as :meth:`fetch` does."""
        if self._revocation is None:
            envoy = EnvoyResource(version_id, trust_resource(wanted.name, bundle))
            return SecretContent(envoy, None, bundle.certificates, bundle)
        lists = self._revocation.current(bundle, wanted.reference.revocation, wanted.name)
        envoy = EnvoyResource(lists.version(version_id), trust_resource(wanted.name, bundle, lists.pem))
        return SecretContent(envoy, None, bundle.certificates, bundle, lists.problem)

    def _of_files(
        self, wanted: WantedSecret, file: CertificateFile | TrustFile, contents: tuple[bytes, ...]
    ) -> SecretContent:
        from entrypoint.judging.files import certificate_of_files, roots_of_file  # most proxies have none

        version = _version(contents)
        if isinstance(file, TrustFile):
            roots = roots_of_file(contents[0], file.certificate_chain, self._now())
            body = trust_resource(wanted.name, TrustBundle(roots))
            return SecretContent(EnvoyResource(version, body), roots=roots)
        chain, key = contents
        pair = certificate_of_files(chain, key, file, wanted.roles, self._now())
        body = file_resource(wanted.name, pair.certificate_chain, pair.private_key)
        return SecretContent(EnvoyResource(version, body), pair.leaf)

    def _checked(self, wanted: WantedSecret, value: SecretVersion) -> SecretContent:
        secret = wanted.reference.secret
        if not wanted.is_identity:
            bundle = read_trust_bundle(value.text, secret)
            preflight.check_trust_bundle(bundle, secret, self._now())
            return self.with_lists(wanted, value.version_id, bundle)
        material = read_material(value.text, secret)
        leaf = preflight.check_material(material, wanted.reference.names, secret, self._now())
        return SecretContent(EnvoyResource(value.version_id, identity_resource(wanted.name, material)), leaf)


def _version(contents: tuple[bytes, ...]) -> str:
    """What identifies the content of files."""
    return hashlib.sha256(b"".join(hashlib.sha256(content).digest() for content in contents)).hexdigest()
