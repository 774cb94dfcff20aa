"""
The material with which a proxy proves an identity, and the roots against which it checks a peer.

Private keys, encrypted or not, and passphrases are secret texts. Wherever Python prints them, they appear as a digest
or as ``***``; only :meth:`reveal` gives their content.
"""

from __future__ import annotations

import hashlib
import re
import ssl
from typing import TYPE_CHECKING, Never

from meshcert.values.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

# A body has no "-", so that a text of many beginnings without an end is searched once and not for each of them.
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\s[^-]*-----END CERTIFICATE-----")


class _Secret:
    """Text that never shows itself: not in ``repr``, ``str``, format strings, pickles or JSON encoders."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The content. The caller is responsible for where it goes."""
        return self._text

    def __repr__(self) -> str:
        return f"<{type(self).__name__} ***>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, _Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash((type(self), self._text))

    def __reduce__(self) -> Never:
        msg = f"{type(self).__name__} is never serialised: publish it through meshcert.material.document"
        raise TypeError(msg)


class Passphrase(_Secret):
    """The passphrase of an encrypted private key. ASCII without ``#``, ``$`` and ``%`` (acm:ExportCertificate)."""

    __slots__ = ()


class EncryptedPrivateKey(_Secret):
    """A private key as encrypted PKCS#8 PEM (``BEGIN ENCRYPTED PRIVATE KEY``)."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<EncryptedPrivateKey sha256:{hashlib.sha256(self._text.encode()).hexdigest()[:12]}>"

    __str__ = __repr__


class PrivateKey(_Secret):
    """A private key as PEM that is not encrypted, as users keep it in files."""

    __slots__ = ()


class Material(NamedTuple):
    """
    A certificate, its chain, its encrypted private key and the passphrase, which belong together.

    Nothing is checked here; :mod:`meshcert.publishing.preflight` does that.

    Args:
        certificate: The leaf, PEM.
        certificate_chain: Its issuers as ACM exports them: issuing CA first, root last, PEM.
    """

    certificate: str
    certificate_chain: str
    private_key: EncryptedPrivateKey
    passphrase: Passphrase

    @property
    def version_id(self) -> str:
        """The id of the secret version that holds this material; see :func:`certificate_version`."""
        return certificate_version(self.certificate)

    @property
    def presented_chain(self) -> str:
        """
        The certificates that a TLS peer is sent (Envoy's ``certificate_chain``): the leaf and its issuers but the root.

        The root is left out because a peer trusts only its own copy of it (RFC 8446 section 4.4.2). The last
        certificate of a chain is the root; a chain of one certificate is that of a single-tier hierarchy.
        """
        issuers = split_certificates(self.certificate_chain)
        return join_certificates([*split_certificates(self.certificate), *issuers[:-1]])


LIST_LOCATION = (
    r"s3://[a-z0-9][a-z0-9-]+[a-z0-9]/[A-Za-z0-9_.-][A-Za-z0-9_./-]*"
    r"|http://[a-z0-9][a-z0-9.-]*(:[1-9][0-9]*)?/[A-Za-z0-9_./-]*"
)
"""Where a revocation list may lie, as a regular expression: an object of Amazon S3, or a web server's."""


class ListSource(NamedTuple):
    """
    The location of a CA's revocation list (CRL), and the CA that signs it.

    Args:
        bucket: Its bucket of Amazon S3; empty if a web server has it.
        authority: The CA's own certificate, PEM. The list must be signed with its key.
        url: Its URL at a web server, http; empty if it lies in Amazon S3.
    """

    bucket: str
    key: str
    authority: str
    url: str = ""

    @classmethod
    def at(cls, location: str, authority: str = "") -> ListSource:
        """
        A list by its location, as the mesh file names it.

        Args:
            location: Of :data:`LIST_LOCATION`.
        """
        if location.startswith("s3://"):
            bucket, _, key = location.removeprefix("s3://").partition("/")
            return cls(bucket, key, authority)
        return cls("", "", authority, location)

    @property
    def location(self) -> str:
        """``s3://BUCKET/KEY``, or its URL."""
        return self.url or f"s3://{self.bucket}/{self.key}"


class TrustBundle(NamedTuple):
    """
    The roots against which the certificates of a hierarchy are checked.

    Args:
        certificates: One or more self-signed CA certificates, PEM.
        lists: The revocation lists of these roots and of every CA below them; empty if revocation is not checked.
    """

    certificates: str
    lists: tuple[ListSource, ...] = ()

    @property
    def version_id(self) -> str:
        """
        The id of the secret version that holds this bundle: SHA-256 over its certificates' DER, sorted.

        It also covers the locations of the revocation lists.
        """
        parts = sorted(ssl.PEM_cert_to_DER_cert(pem) for pem in split_certificates(self.certificates))
        parts += sorted(
            f"{source.location}\n".encode() + ssl.PEM_cert_to_DER_cert(source.authority.strip())
            for source in self.lists
        )
        return hashlib.sha256(b"".join(parts)).hexdigest()


def certificate_version(certificate: str) -> str:
    """
    The id of the secret version that holds a certificate: SHA-256 of its DER, 64 lower-case hex digits.

    Secrets Manager takes the ClientRequestToken, of at most 64 characters, as the VersionId
    (secretsmanager:PutSecretValue). So a program can tell whether a certificate is published without reading the
    secret.

    Args:
        certificate: One certificate, PEM.

    Raises:
        ValueError: If it is not PEM.
    """
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.strip())).hexdigest()


def split_certificates(pem: str) -> list[str]:
    """The certificates of a PEM text, in order; text between them is dropped."""
    return _CERTIFICATE.findall(pem)


def join_certificates(certificates: Iterable[str]) -> str:
    """One PEM text with a line break after each certificate: Envoy refuses blocks without one between them."""
    return "".join(pem.strip() + "\n" for pem in certificates)
