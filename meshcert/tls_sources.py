"""Where a proxy's certificate, or the roots that it trusts, come from if no secret of this mesh holds them."""

from __future__ import annotations

import re
from typing import Any

from meshcert.values.named_tuple import NamedTuple

LONGEST_PATH = 200
"""Characters of a path; its SDS name is the name of a file too."""
PATH_PATTERN = rf"/[A-Za-z0-9._@/-]{{1,{LONGEST_PATH - 1}}}"
"""An absolute path that needs no escaping, wherever it stands."""
LONGEST_SOCKET_PATH = 107
"""Most bytes of a socket's path; ``sun_path`` of unix(7) is one longer, for the zero at its end."""
_PATH = re.compile(PATH_PATTERN)


class CertificateFile(NamedTuple):
    """
    A certificate in files of the user's (App Mesh's ``file``); the entrypoint reads and checks them.

    Args:
        certificate_chain: Path in Envoy's container: the leaf, then its issuers, PEM.
        private_key: Path of its key, PEM, not encrypted.
    """

    certificate_chain: str
    private_key: str

    def __str__(self) -> str:
        return f"file {self.certificate_chain}"


class TrustFile(NamedTuple):
    """
    Roots in a file of the user's (App Mesh's ``file``); the entrypoint reads and checks it.

    Args:
        certificate_chain: Path in Envoy's container: CA certificates, PEM.
    """

    certificate_chain: str

    def __str__(self) -> str:
        return f"file {self.certificate_chain}"


class SdsSecret(NamedTuple):
    """
    What an SDS server of the user's gives to Envoy (App Mesh's ``sds``); the entrypoint never sees it.

    Args:
        secret_name: The name under which Envoy asks for it.
    """

    secret_name: str

    def __str__(self) -> str:
        return f"SDS secret {self.secret_name}"


class PublicRoots(NamedTuple):
    """
    The public CAs, for hosts outside the mesh; Envoy itself reads them from its image.

    Args:
        file: Path in Envoy's container: CA certificates, PEM.
    """

    file: str

    def __str__(self) -> str:
        return "the public CAs"


class FederatedTrust(NamedTuple):
    """
    Roots of several SPIFFE trust domains: each is believed about SPIFFE IDs of its own domain, and about no other.

    Args:
        hierarchy: The hierarchy of this mesh whose roots speak for ``trust_domain``; empty: nobody of this mesh is let
            in.
        trust_domain: This mesh's; empty without a hierarchy.
        foreign: Names of foreign trust domains, in the file's order; see
            :class:`~meshcert.material.foreign_bundle.ForeignBundle`.
    """

    hierarchy: str
    trust_domain: str
    foreign: tuple[str, ...]

    def __str__(self) -> str:
        own = [f"hierarchy {self.hierarchy}"] if self.hierarchy else []
        return " and ".join([*own, *(f"trust domain {each}" for each in self.foreign)])


TlsCertificate = str | CertificateFile | SdsSecret
"""Where a certificate comes from; a text is the name of an identity, and empty for none."""
TlsTrust = str | TrustFile | SdsSecret | PublicRoots | FederatedTrust
"""Where roots come from; a text is the name of a hierarchy, and empty for none."""


def of_mesh(source: TlsCertificate | TlsTrust) -> str:
    """The identity or hierarchy of this mesh that is the source; empty if it is none."""
    return source if isinstance(source, str) else ""


def hierarchy_of(trust: TlsTrust) -> str:
    """The hierarchy of this mesh whose roots are trusted, alone or beside foreign trust domains; empty if none is."""
    return trust.hierarchy if isinstance(trust, FederatedTrust) else of_mesh(trust)


def is_path(text: str) -> bool:
    """Whether it is an absolute path of plain characters."""
    return bool(_PATH.fullmatch(text)) and ".." not in text.split("/")


def read_tls_certificate(value: Any) -> TlsCertificate:
    """
    A certificate's source from JSON.

    Raises:
        TypeError: If it has other fields.
    """
    if not isinstance(value, dict):
        return str(value)
    return SdsSecret(**value) if "secret_name" in value else CertificateFile(**value)


def read_tls_trust(value: Any) -> TlsTrust:
    """
    A trust's source from JSON.

    Raises:
        TypeError: If it has other fields.
    """
    if not isinstance(value, dict):
        return str(value)
    if "foreign" in value:
        return FederatedTrust(**value | {"foreign": tuple(map(str, value["foreign"]))})
    if "file" in value:
        return PublicRoots(**value)
    return SdsSecret(**value) if "secret_name" in value else TrustFile(**value)
