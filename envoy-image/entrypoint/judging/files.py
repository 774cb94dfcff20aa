"""
The last check of certificates and roots in files of the user's before Envoy gets them.

It is that of :mod:`entrypoint.judging.preflight`, as far as files tell: their chains end below the root, which only
peers have, and a certificate that only ever answers need not be one for clients.
"""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, Any, NamedTuple

from entrypoint.judging.memory_file import memory_file
from entrypoint.judging.preflight import (
    CIPHERS,
    NO_CHECK_TIME,
    certificate_fields,
    key_faults,
    shake_hands,
    time_faults,
)
from entrypoint.judging.usages import usage_faults
from meshcert.errors import Fault, FilesRejected
from meshcert.material import PrivateKey, join_certificates, split_certificates

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from entrypoint.judging.der import CertificateFields
    from meshcert.tls_sources import CertificateFile

_KEY = re.compile(r"-----BEGIN ((?:RSA |EC |ENCRYPTED )?PRIVATE KEY)-----(\s[^-]*)-----END \1-----")
_PROC_TYPE = "Proc-Type:"
"""Stands in a key that is encrypted in the traditional way (RFC 1421 section 4.6.1.1)."""
_MOST_CERTIFICATES, _MOST_ROOTS = 16, 100
_MISMATCHES = {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"}
_ANEW = "Write certificate and key anew, both of one request"
_PEM = "Write the leaf and then its issuers as PEM, BEGIN CERTIFICATE"


class FilePair(NamedTuple):
    """
    A certificate and its key, which may be served.

    Args:
        certificate_chain: The leaf and its issuers, PEM, with nothing else around them.
        leaf: The fields of the leaf.
    """

    certificate_chain: str
    private_key: PrivateKey
    leaf: CertificateFields


def certificate_of_files(
    chain: bytes, private_key: bytes, paths: CertificateFile, roles: Collection[str], now: float
) -> FilePair:
    """
    The certificate and key in two files.

    Args:
        chain: What the first file holds.
        private_key: What the second one holds.
        roles: What the certificate is for: ``serverAuth``, ``clientAuth`` or both.
        now: Seconds since 1970, UTC.

    Raises:
        FilesRejected: If they must not be served; it lists all faults.
    """
    faults: list[Fault] = []
    found: list[tuple[str, CertificateFields]] = []
    certificates = split_certificates(chain.decode("utf-8", "replace"))
    if not 0 < len(certificates) <= _MOST_CERTIFICATES:
        problem = f"it holds {len(certificates)} certificates, and 1 to {_MOST_CERTIFICATES} are expected"
        faults.append(Fault(paths.certificate_chain, problem, _PEM))
    for number, pem in enumerate(certificates[:_MOST_CERTIFICATES]):
        place = f"{paths.certificate_chain}[{number}]"
        try:
            found.append((place, certificate_fields(pem)))
        except ValueError:
            faults.append(Fault(place, "it is no X.509 certificate", _PEM))
    key, key_fault = _key(private_key, paths.private_key)
    faults += key_fault
    if faults or key is None:
        raise FilesRejected(paths.certificate_chain, tuple(faults))
    of_leaf = [*key_faults(found[0][1], found[0][0], _ANEW), *usage_faults(certificates[0], found[0][0], _ANEW, roles)]
    faults = [*of_leaf, *time_faults(found, now, _ANEW)]
    # A very large key could keep OpenSSL busy for any time.
    faults += [] if of_leaf else _handshake_faults(certificates, key, paths, roles)
    if faults:
        raise FilesRejected(paths.certificate_chain, tuple(faults))
    return FilePair(join_certificates(certificates), key, found[0][1])


def roots_of_file(content: bytes, path: str, now: float) -> str:
    """
    The roots in a file, PEM, with nothing else around them.

    Args:
        path: For messages.
        now: Seconds since 1970, UTC.

    Raises:
        FilesRejected: If they would have every peer refused; it lists all faults.
    """
    faults: list[Fault] = []
    ends: list[int] = []
    certificates = split_certificates(content.decode("utf-8", "replace"))
    if not 0 < len(certificates) <= _MOST_ROOTS:
        problem = f"it holds {len(certificates)} certificates, and 1 to {_MOST_ROOTS} are expected"
        faults.append(Fault(path, problem, "Write the root CAs' certificates as PEM, BEGIN CERTIFICATE"))
    for number, pem in enumerate(certificates[:_MOST_ROOTS]):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cadata=pem)
            authority: Any = context.get_ca_certs()[0]
        except (ssl.SSLError, ValueError, IndexError):
            faults.append(Fault(f"{path}[{number}]", "it is no CA certificate", "Leave only certificates of CAs"))
            continue
        if authority["subject"] == authority["issuer"]:
            ends.append(certificate_fields(pem).not_after)
    if not faults and not ends:
        faults.append(Fault(path, "it holds no self-signed root", "Add the root CA's own certificate"))
    if ends and max(ends) < now:
        faults.append(Fault(path, "every root in it has expired", "Replace it by the roots that sign now"))
    if faults:
        raise FilesRejected(path, tuple(faults))
    return join_certificates(certificates)


def _key(content: bytes, path: str) -> tuple[PrivateKey | None, list[Fault]]:
    text = content.decode("utf-8", "replace")
    keys = list(_KEY.finditer(text))
    if _PROC_TYPE not in text and len(keys) != 1:
        problem = f"it holds {len(keys)} private keys, and 1 is expected"
        return None, [Fault(path, problem, "Write the key as PEM, BEGIN PRIVATE KEY")]
    if _PROC_TYPE in text or "ENCRYPTED" in keys[0][1]:
        remedy = "Write it unencrypted, in a folder that only Envoy's user may read"
        return None, [Fault(path, "the key is encrypted, and a file has no passphrase", remedy)]
    return PrivateKey(keys[0][0] + "\n"), []


def _handshake_faults(
    certificates: list[str], key: PrivateKey, paths: CertificateFile, roles: Collection[str]
) -> Iterator[Fault]:
    """Shake hands in memory, in the roles that the certificate has here; its last issuer is taken for the anchor."""
    chain = join_certificates(certificates)
    try:
        server, client = (
            _context(side, chain, key, certificates[-1]) for side in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT)
        )
    except ssl.SSLError as error:
        if error.reason in _MISMATCHES:
            yield Fault(paths.private_key, f"it is not the key of {paths.certificate_chain}", _ANEW)
        else:
            yield Fault(paths.certificate_chain, f"OpenSSL does not load it ({error.reason})", _ANEW)
        return
    client.verify_mode = ssl.CERT_REQUIRED if "serverAuth" in roles else ssl.CERT_NONE
    server.verify_mode = ssl.CERT_REQUIRED if "clientAuth" in roles else ssl.CERT_NONE
    try:
        shake_hands(server, client)
    except ssl.SSLCertVerificationError as error:
        remedy = "Write the leaf first and then each one's issuer; the root may be left out"
        yield Fault(paths.certificate_chain, f"it is no chain ({error.verify_message})", remedy)
    except ssl.SSLError as error:
        yield Fault(paths.certificate_chain, f"OpenSSL refuses the handshake ({error.reason})", _ANEW)


def _context(protocol: ssl._SSLMethod, chain: str, key: PrivateKey, anchor: str) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.set_ciphers(CIPHERS)
    with memory_file(chain) as certificates, memory_file(key.reveal()) as private_key:
        # Without a password, OpenSSL would ask for one on the terminal.
        context.load_cert_chain(certificates, private_key, password="")
    context.verify_flags |= NO_CHECK_TIME | ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=anchor)
    return context
