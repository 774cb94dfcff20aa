"""
The pre-flight: checks that material may be served.

The path from the leaf to the trust anchor is built and verified by ``cryptography``'s X.509 verification, in both roles
of mutual TLS. Further checks name single faults, so that a person sees all of them at once.

Not checked: revocation (no CRL or OCSP answer is read), and whether a peer really trusts the anchor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, Store, VerificationError

from meshcert.contract.key_encryption import OPENED_BY_ENVOY
from meshcert.errors import Fault, MaterialRejected
from meshcert.material import EncryptedPrivateKey, join_certificates
from meshcert.material.certificate_facts import UNREADABLE, extension_of, load_certificates, sans_of
from meshcert.material.key_encryption import describe_encryption
from meshcert.material.pem import CERTIFICATE, ENCRYPTED_PRIVATE_KEY, sole_block
from meshcert.material.x509_svid import svid_name_faults, usage_faults
from meshcert.san import Dns, Uri

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator

    from meshcert.material import Material, TrustBundle
    from meshcert.san import San

_ROLES = {"serverAuth": ExtendedKeyUsageOID.SERVER_AUTH, "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH}
_LEAST_RSA_BITS, _MOST_RSA_BITS = 2048, 4096
"""A signature of 16,384 bits takes seconds of a small task's CPU."""
_EXPORT_AGAIN = "Have ACM issue a new certificate, then export it again"


@dataclass(frozen=True)
class Expectation:
    """
    The requirements on a certificate.

    Args:
        identity: The identity's name, for messages.
        names: The DNS names and URIs that it must have: these and no others, in any order.
        peer_rules: For each peer that checks names, the names it accepts. The certificate must have one of them.
        trust_anchors: The hierarchy's root certificates, PEM, as the CA itself gives them.
        at: The time at which it must be valid, aware.
    """

    identity: str
    names: tuple[San, ...]
    peer_rules: tuple[tuple[San, ...], ...]
    trust_anchors: str
    at: dt.datetime


def verify_certificate(certificate: str, certificate_chain: str, expected: Expectation) -> None:
    """
    Check the public half: the path to a trust anchor in both roles, validity, names and usages.

    Args:
        certificate: The leaf, PEM.
        certificate_chain: Its issuers in any order, with or without the root, PEM.

    Raises:
        MaterialRejected: With every fault found.
    """
    faults, _ = _certificate_faults(certificate, certificate_chain, expected)
    if faults:
        raise MaterialRejected(expected.identity, tuple(faults))


def verify_material(material: Material, expected: Expectation) -> Material:
    """
    Check everything that :func:`verify_certificate` checks, and the private key.

    Returns:
        The same material with its chain in order, issuing CA first, trust anchor last, and nothing around its blocks.

    Raises:
        MaterialRejected: With every fault found.
    """
    faults, path = _certificate_faults(material.certificate, material.certificate_chain, expected)
    faults += _key_faults(material)
    if faults:
        raise MaterialRejected(expected.identity, tuple(faults))
    return material._replace(
        certificate=sole_block(material.certificate, CERTIFICATE),
        certificate_chain=join_certificates(_pem(issuer) for issuer in path[1:]),
        private_key=EncryptedPrivateKey(sole_block(material.private_key.reveal(), ENCRYPTED_PRIVATE_KEY)),
    )


def verify_trust_bundle(bundle: TrustBundle, hierarchy: str, at: dt.datetime) -> None:
    """
    Check that a trust bundle holds only self-signed CA certificates that are valid at a given time.

    Args:
        hierarchy: The hierarchy's name, for messages.
        at: The time at which its certificates must be valid, aware.

    Raises:
        MaterialRejected: With every fault found.
    """
    subject = f"trust bundle {hierarchy}"
    roots = _load(bundle.certificates)
    faults = [fault for root in roots for fault in _root_faults(root, at)]
    if not roots:
        faults = [Fault("trust bundle", "it is not PEM certificates", "Check that the root CA is ACTIVE")]
    if faults:
        raise MaterialRejected(subject, tuple(faults))


def _certificate_faults(
    certificate: str, certificate_chain: str, expected: Expectation
) -> tuple[list[Fault], list[x509.Certificate]]:
    leaves, issuers, anchors = _load_one(certificate), _load(certificate_chain), _load(expected.trust_anchors)
    faults = [
        Fault(place, f"it is not {what}", _EXPORT_AGAIN)
        for place, what, broken in (
            ("certificate", "one PEM certificate that can be read, with nothing around it", len(leaves) != 1),
            ("certificate chain", "PEM certificates that can be read", not issuers),
            ("trust anchor", "PEM certificates: the root CA gave none", not anchors),
        )
        if broken
    ]
    if len(leaves) != 1:
        return faults, []
    usages = list(_usage_faults(leaves[0]))
    faults += [*_validity_faults(leaves[0], expected.at), *_name_faults(leaves[0], expected), *usages]
    if any(isinstance(name, Uri) for name in expected.names):
        faults += [*svid_name_faults(leaves[0]), *(() if usages else usage_faults(leaves[0]))]
    if not issuers or not anchors:
        return faults, []
    path, path_faults = _path(leaves[0], issuers, anchors, expected.at)
    faults += path_faults
    if not faults:
        faults += _role_faults(leaves[0], issuers, anchors, expected)
    return faults, path


def _validity_faults(leaf: x509.Certificate, at: dt.datetime) -> Iterator[Fault]:
    if at > leaf.not_valid_after_utc:
        yield Fault("certificate", f"it expired at {leaf.not_valid_after_utc.isoformat()}", _EXPORT_AGAIN)
    if at < leaf.not_valid_before_utc:
        remedy = "Check the clocks, or wait until then"
        yield Fault("certificate", f"it is not valid before {leaf.not_valid_before_utc.isoformat()}", remedy)


def _name_faults(leaf: x509.Certificate, expected: Expectation) -> Iterator[Fault]:
    names = sans_of(leaf)
    if set(names) != set(expected.names):
        problem = f"it has the names {_listed(names)}, declared are {_listed(expected.names)}"
        yield Fault("certificate names", problem, "Deploy the mesh file again, so that ACM issues what it declares")
    for rule in expected.peer_rules:
        if not any(name.proves(demanded) for name in names for demanded in rule):
            yield Fault(
                "certificate names",
                f"a peer accepts only {_listed(rule)}, and it has {_listed(names)}",
                "Add the name to the identity, or change the peer's subject_alternative_names",
            )


def _usage_faults(leaf: x509.Certificate) -> Iterator[Fault]:
    usages = extension_of(leaf, x509.ExtendedKeyUsage)
    missing = [role for role, oid in _ROLES.items() if usages is None or oid not in usages]
    if missing:
        problem = f"its extended key usage lacks {' and '.join(missing)}; mutual TLS needs both"
        yield Fault("certificate", problem, "Have the CA use the template EndEntityCertificate/V1")
    constraints = extension_of(leaf, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        yield Fault("certificate", "it is a CA's, not a leaf", _EXPORT_AGAIN)
    usage = extension_of(leaf, x509.KeyUsage)
    if usage and (usage.key_cert_sign or usage.crl_sign):
        yield Fault("certificate", "it may sign certificates or revocation lists, as only a CA may", _EXPORT_AGAIN)
    if usage and not usage.digital_signature:
        yield Fault("certificate", "its key usage lacks digitalSignature, which TLS needs", _EXPORT_AGAIN)
    if not _peers_take_its_key(leaf):
        problem = "its key is neither RSA of 2048 to 4096 bits nor EC P-256 or P-384: peers refuse it, or should"
        yield Fault("certificate", problem, "Choose a key algorithm that ACM offers")


def _peers_take_its_key(leaf: x509.Certificate) -> bool:
    """
    True if Envoy accepts the leaf's key from a peer.

    Envoy accepts RSA keys of any size; as a client it refuses P-521 and Ed25519 (docs/proxy.md).
    """
    try:
        key = leaf.public_key()
    except UNREADABLE:
        return False
    if isinstance(key, rsa.RSAPublicKey):
        return _LEAST_RSA_BITS <= key.key_size <= _MOST_RSA_BITS
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, (ec.SECP256R1, ec.SECP384R1))


def _path(
    leaf: x509.Certificate, issuers: list[x509.Certificate], anchors: list[x509.Certificate], at: dt.datetime
) -> tuple[list[x509.Certificate], list[Fault]]:
    """
    The path from the leaf to a trust anchor, and its faults.

    It is verified at a time at which the leaf is valid, so that a leaf that has expired does not hide faults of the
    path.
    """
    moment = min(max(at, leaf.not_valid_before_utc), leaf.not_valid_after_utc)
    verifier = (
        PolicyBuilder()
        .store(Store(anchors))
        .time(moment)
        .extension_policies(ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=ExtensionPolicy.permit_all())
        .build_client_verifier()
    )
    try:
        return verifier.verify(leaf, issuers).chain, []
    except VerificationError as error:
        problem = (
            f"it does not lead to the trust anchor {_listed(anchor.subject.rfc4514_string() for anchor in anchors)}: "
            f"{_reason(error)}"
        )
        remedy = "An issuing CA is missing, expired, or of another hierarchy: compare it with the CA that issued this"
        return [], [Fault("certificate chain", problem, remedy)]


def _role_faults(
    leaf: x509.Certificate, issuers: list[x509.Certificate], anchors: list[x509.Certificate], expected: Expectation
) -> Iterator[Fault]:
    """Faults found by the library's own full policy in both roles: it has rules that no check above covers."""
    policy = PolicyBuilder().store(Store(anchors)).time(expected.at)
    try:
        policy.build_client_verifier().verify(leaf, issuers)
        # The library identifies a server only by a DNS name. Without one, the checks above cover a server's usages.
        if host := next((str(name) for name in expected.names if isinstance(name, Dns)), ""):
            policy.build_server_verifier(x509.DNSName(_concrete(host))).verify(leaf, issuers)
    except VerificationError as error:
        yield Fault("certificate", f"X.509 verification refuses it: {_reason(error)}", _EXPORT_AGAIN)


def _key_faults(material: Material) -> Iterator[Fault]:
    pem = material.private_key.reveal().encode()
    encryption = describe_encryption(material.private_key)
    if encryption not in OPENED_BY_ENVOY:
        yield Fault(
            "private key",
            f"it is encrypted with {encryption}, which Envoy cannot open, or not in time",
            "Export it again: ACM encrypts with PBES2, AES-256-CBC and PBKDF2 with HMAC-SHA1",
        )
        # Another derivation may cost any time and memory.
        return
    try:
        key = load_pem_private_key(pem, material.passphrase.reveal().encode())
    except UNREADABLE:
        yield Fault("private key", "the passphrase does not open it", "Export both again: they are made together")
        return
    leaves = _load_one(material.certificate)
    if len(leaves) == 1 and key.public_key() != leaves[0].public_key():
        remedy = "Export all parts again at once: a renewal replaces certificate and key together"
        yield Fault("private key", "it belongs to another certificate", remedy)


def _root_faults(root: x509.Certificate, at: dt.datetime) -> Iterator[Fault]:
    subject = root.subject.rfc4514_string()
    constraints = extension_of(root, x509.BasicConstraints)
    if root.issuer != root.subject or constraints is None or not constraints.ca:
        yield Fault("trust bundle", f"{subject} is no root CA certificate", "Name the hierarchy's root CA")
    if not root.not_valid_before_utc <= at <= root.not_valid_after_utc:
        validity = f"{root.not_valid_before_utc.isoformat()} to {root.not_valid_after_utc.isoformat()}"
        yield Fault("trust bundle", f"{subject} is valid from {validity}", "Reissue the root CA's certificate")


def _load(pem: str) -> list[x509.Certificate]:
    try:
        return load_certificates(pem)
    except ValueError:
        return []


def _load_one(pem: str) -> list[x509.Certificate]:
    try:
        return load_certificates(sole_block(pem, CERTIFICATE))
    except ValueError:
        return []


def _concrete(name: str) -> str:
    return name.replace("*", "any", 1)


def _reason(error: VerificationError) -> str:
    return str(error).removeprefix("validation failed: ")


def _listed(names: Iterable[object]) -> str:
    return ", ".join(sorted({str(name) for name in names})) or "none"


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
