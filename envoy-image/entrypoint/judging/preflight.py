"""
The last check before Envoy gets material. Envoy checks little: it serves an expired certificate like any other.

OpenSSL (through ``ssl``) shakes hands with itself in memory, once, with the material in both roles of mutual TLS and
the material's own root as the only trust anchor. The key is in a memory file while OpenSSL reads it, never on a disk.
Not checked are revocation, and whether any peer trusts that root.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from entrypoint.judging import der
from entrypoint.judging.memory_file import memory_file
from entrypoint.judging.names import names_of
from entrypoint.judging.usages import usage_faults
from entrypoint.log import iso_time
from meshcert.contract.key_encryption import OPENED_BY_ENVOY
from meshcert.errors import Fault, MaterialRejected
from meshcert.material import split_certificates
from meshcert.san import Uri

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from entrypoint.judging.der import CertificateFields
    from meshcert.material import Material, TrustBundle
    from meshcert.san import San

NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME: times are judged one by one, so that all faults are reported together."""
_ISSUER_CODES = frozenset({2, 18, 19, 20, 21})
"""X509_V_ERR_*: an issuer is missing, or the last certificate is not self-signed."""
_PURPOSE_CODE = 26
"""X509_V_ERR_INVALID_PURPOSE."""

_KEY_ALGORITHMS = {
    bytes.fromhex("300d06092a864886f70d0101010500"): "RSA",
    bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107"): "P-256",
    bytes.fromhex("301006072a8648ce3d020106052b81040022"): "P-384",
}
"""AlgorithmIdentifier, DER (RFC 3279 section 2.3.1, RFC 5480 section 2.1.1). As a client, Envoy accepts no others."""
_LARGEST_RSA_KEY = 540
"""Bytes of an RSA key of 4096 bits, with a usual exponent, as a BIT STRING."""
_RSA_BITS = range(2048, 4096 + 1)
"""As the functions take them; OpenSSL rounds, and lets a few bits less pass."""
_MOST_FAULTS = 10
CIPHERS = "DEFAULT:@SECLEVEL=2"
"""OpenSSL's level 2 refuses RSA below 2048 bits and SHA-1 signatures. A build of Python may have another default."""

_MOST_FLIGHTS = 8
"""Most turns of each side in a TLS handshake, which takes two or three."""

_EXPORT_AGAIN = "Have it exported and published again"
_RENEW_WITH_KEY = "Choose a key algorithm that ACM offers, then have it renewed, exported and published again"
_RENEW_FOR_USE = "Have the CA use the template EndEntityCertificate/V1, then have it exported and published again"
_RENEW = "Have the certificate renewed, then exported and published again"


def check_material(material: Material, names: Collection[San], subject: str, now: float) -> CertificateFields:
    """
    Refuse material that must not be served, and return the fields of its certificate.

    Args:
        names: The names that this task's deploy declares. The certificate must carry one of them; others it may have
            lost or gained, because a deploy that changes them publishes it before it replaces the tasks. That it has
            exactly the declared ones, the functions check. With a SPIFFE ID it may have no other URI.
        subject: The secret's name, for the error.
        now: Seconds since 1970, UTC.

    Raises:
        MaterialRejected: If there are faults; it lists all of them.
    """
    faults: list[Fault] = []
    certificates: list[tuple[str, CertificateFields]] = []
    for place, pem in _certificates(material):
        try:
            certificates.append((place, certificate_fields(pem)))
        except ValueError:
            if len(faults) >= _MOST_FAULTS:
                break
            faults.append(Fault(place, "it is no X.509 certificate", _EXPORT_AGAIN))
    try:
        encryption = der.key_encryption(material.private_key.reveal())
    except ValueError as error:
        faults.append(Fault("PrivateKey", str(error), _EXPORT_AGAIN))
    if not faults:
        keys = [*_encryption_faults(encryption), *key_faults(certificates[0][1], "Certificate", _RENEW_WITH_KEY)]
        usages = list(usage_faults(material.certificate, "Certificate", _RENEW_FOR_USE))
        rules = _spiffe_faults(material, names)
        faults = [*keys, *time_faults(certificates, now, _RENEW), *usages, *rules]
        # A key of another derivation, or a very large one, could keep OpenSSL busy for any time.
        faults += [] if keys else _handshake_faults(material, names, usages_told=bool(usages))
    if faults:
        raise MaterialRejected(subject, tuple(faults))
    return certificates[0][1]


def check_trust_bundle(bundle: TrustBundle, subject: str, now: float) -> None:
    """
    Refuse a trust bundle that would make Envoy refuse every peer, or that holds anything but roots.

    Args:
        subject: The secret's name, for the error.
        now: Seconds since 1970, UTC.

    Raises:
        MaterialRejected: If there are faults; it lists all of them.
    """
    faults = []
    ends = []
    for number, pem in enumerate(split_certificates(bundle.certificates)):
        place = f"TrustBundle[{number}]"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cadata=pem)
            root: Any = context.get_ca_certs()[0]
        except (ssl.SSLError, ValueError, IndexError):
            faults.append(Fault(place, "it is no CA certificate", "Publish the hierarchy's root certificate"))
            continue
        if root["subject"] != root["issuer"]:
            faults.append(Fault(place, "it is not self-signed", "Publish the root, not an issuing CA"))
        ends.append(certificate_fields(pem).not_after)
    if ends and max(ends) < now:
        faults.append(Fault("TrustBundle", "every root in it has expired", "Reissue the root CA's certificate"))
    if faults:
        raise MaterialRejected(subject, tuple(faults))


def certificate_fields(certificate: str) -> CertificateFields:
    """
    Read a PEM certificate; nothing in it is judged.

    Raises:
        ValueError: If it is not a certificate.
    """
    return der.read_certificate(ssl.PEM_cert_to_DER_cert(certificate.strip()))


def _certificates(material: Material) -> list[tuple[str, str]]:
    chain = split_certificates(material.certificate_chain)
    return [("Certificate", material.certificate), *((f"CertificateChain[{n}]", pem) for n, pem in enumerate(chain))]


def _encryption_faults(encryption: str) -> Iterator[Fault]:
    if encryption not in OPENED_BY_ENVOY:
        remedy = "Encrypt it as ACM does: PBES2 with AES-256-CBC and PBKDF2 HMAC-SHA1 or HMAC-SHA256"
        yield Fault("PrivateKey", f"Envoy cannot open a key encrypted by {encryption}", remedy)


def _spiffe_faults(material: Material, names: Collection[San]) -> Iterable[Fault]:
    """The rules of an X509-SVID that the certificate breaks, if it is to be one, or has a URI although it need not."""
    if not any(isinstance(name, Uri) for name in names):
        return ()
    from entrypoint.judging.x509_svid import svid_faults, uris_of  # most identities have DNS names only

    if any(not isinstance(name, Uri) for name in names) and uris_of(material.certificate) == []:
        return ()
    return svid_faults(material.certificate, "Certificate", _RENEW_FOR_USE)


def time_faults(certificates: Iterable[tuple[str, CertificateFields]], now: float, renew: str) -> Iterator[Fault]:
    """The faults in certificates' validity, by their places; ``renew`` is the remedy for those that have ended."""
    for place, fields in certificates:
        if now > fields.not_after:
            yield Fault(place, f"it expired on {iso_time(fields.not_after)}", renew)
        if now < fields.not_before:
            remedy = "Check the clocks of this host and of the CA, or wait"
            yield Fault(place, f"it is not valid before {iso_time(fields.not_before)}", remedy)


def key_faults(certificate: CertificateFields, place: str, remedy: str) -> Iterator[Fault]:
    """The fault in a certificate's key, if Envoy would not take it or OpenSSL would be long busy with it."""
    try:
        (info,) = der.elements(certificate.public_key)
        algorithm, bits = der.elements(info.content)
        kind = _KEY_ALGORITHMS.get(algorithm.encoding, "")
        fits = kind != "RSA" or (len(bits.content) <= _LARGEST_RSA_KEY and _rsa_bits(bits.content) in _RSA_BITS)
    except (ValueError, IndexError, StopIteration):
        kind, fits = "", False
    if not kind or not fits:
        kinds = ", ".join(_KEY_ALGORITHMS.values())
        yield Fault(place, f"its key is not {kinds}, or too small or too large", remedy)


def _rsa_bits(key: bytes) -> int:
    """The size of an RSA key, from its BIT STRING's content (RFC 8017 appendix A.1.1)."""
    (whole,) = der.elements(key[1:])
    modulus = next(der.elements(whole.content))
    return int.from_bytes(modulus.content, "big").bit_length()


def _handshake_faults(material: Material, names: Iterable[San], *, usages_told: bool) -> Iterator[Fault]:
    try:
        server = _context(ssl.PROTOCOL_TLS_SERVER, material)
        client = _context(ssl.PROTOCOL_TLS_CLIENT, material)
    except ssl.SSLError as error:
        yield _loading_fault(error)
        return
    presented: Any = None
    try:
        presented = shake_hands(server, client)
    except ssl.SSLCertVerificationError:
        # One of the roles failed. Each is checked on its own, to name every fault and still read the names.
        for trusting, other in ((client, server), (server, client)):
            other.verify_mode = ssl.CERT_NONE
            try:
                presented = shake_hands(server, client)
            except ssl.SSLCertVerificationError as error:
                if not (usages_told and error.verify_code == _PURPOSE_CODE):
                    yield _verification_fault(error)
                if error.verify_code != _PURPOSE_CODE:
                    return  # the chain is broken in either role
            other.verify_mode = trusting.verify_mode
    except ssl.SSLError as error:
        yield Fault("Certificate", f"OpenSSL refuses the handshake ({error.reason})", _EXPORT_AGAIN)
    if presented:
        yield from _name_faults(names_of(presented), names)


def _name_faults(carried: frozenset[San], names: Iterable[San]) -> Iterator[Fault]:
    if carried.isdisjoint(names):
        missing = [str(name) for name in names]
        told = ", ".join(sorted(str(name) for name in carried)) or "none"
        remedy = f"It carries {told}: check which secret this proxy is given"
        yield Fault("Certificate", f"it lacks the name(s) {', '.join(missing)}", remedy)
        return
    declared = {name for name in names if isinstance(name, Uri)}
    others = sorted(str(name) for name in carried.difference(declared) if isinstance(name, Uri))
    # Where none is declared, a later deploy may bring one.
    if declared and others:
        remedy = "Check which secret this proxy is given"
        yield Fault("Certificate", f"its SPIFFE ID is another one: {', '.join(others)}", remedy)


def _context(protocol: ssl._SSLMethod, material: Material) -> ssl.SSLContext:
    """A context that presents the material and trusts only the last certificate of its chain."""
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.set_ciphers(CIPHERS)
    with memory_file(material.presented_chain) as chain, memory_file(material.private_key.reveal()) as key:
        context.load_cert_chain(chain, key, password=material.passphrase.reveal())
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= NO_CHECK_TIME
    context.load_verify_locations(cadata=split_certificates(material.certificate_chain)[-1])
    return context


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> Any:
    """Return one side's view of its verified peer; raises the error of a side that refuses the other."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    # The client comes first, because it speaks first.
    ends = [client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True)]
    open_ends = list(ends)
    for _ in range(_MOST_FLIGHTS):
        for end in tuple(open_ends):
            try:
                end.do_handshake()
                open_ends.remove(end)
            except ssl.SSLWantReadError:
                continue
        if not open_ends:
            return ends[0].getpeercert() or ends[1].getpeercert()
    raise ssl.SSLError("the handshake does not end")


def _loading_fault(error: ssl.SSLError) -> Fault:
    if error.reason in {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"}:
        return Fault("PrivateKey", "it belongs to another certificate", _EXPORT_AGAIN)
    if error.reason is None:
        # The certificates and the key's outer form were read before, so only its decryption can have failed.
        return Fault("Passphrase", "it does not open the private key", _EXPORT_AGAIN)
    return Fault("Certificate", f"OpenSSL does not load it ({error.reason})", _EXPORT_AGAIN)


def _verification_fault(error: ssl.SSLCertVerificationError) -> Fault:
    if error.verify_code in _ISSUER_CODES:
        remedy = "Publish the issuing CA first and the self-signed root last, as acm:ExportCertificate gives them"
        return Fault("CertificateChain", f"it does not lead to its own root ({error.verify_message})", remedy)
    return Fault("CertificateChain", f"it cannot be verified ({error.verify_message})", _EXPORT_AGAIN)
