"""
What an identity's certificates are asked for with, and the request for one of them, with a new key.

What cannot be issued is refused here, before a key is made and before anything is billed.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from meshcert.bounded_json import JsonInvalid, read_json
from meshcert.errors import CertificateRequestInvalid, Fault
from meshcert.issuing.certificate_request import LONGEST_TOKEN, CertificateRequest, general_name
from meshcert.issuing.private_ca_lives import BACK_DATING
from meshcert.material import PrivateKey
from meshcert.san import SanInvalid, Uri, parse_sans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.san import San

LONGEST_CSR = 32_768
"""Bytes of a CSR's PEM (acm-pca:IssueCertificate)."""
MOST_DNS_NAMES = 75
"""So many fit in a CSR beside a SPIFFE ID and a key of RSA_4096, however long they are."""
SCHEMA = 1
_LONGEST_LIFE_S = 366 * 86_400
_LONGEST_IN_SUBJECT = 64
"""Characters of an organization or a unit (RFC 5280 appendix A.1)."""

_CURVES: dict[str, type[ec.EllipticCurve]] = {"EC_prime256v1": ec.SECP256R1, "EC_secp384r1": ec.SECP384R1}
_RSA_BITS = {"RSA_2048": 2048, "RSA_3072": 3072, "RSA_4096": 4096}
KEY_ALGORITHMS = (*_CURVES, *_RSA_BITS)
"""The algorithms that a key can have, by ACM's names: those that Envoy takes from a peer."""


@dataclass(frozen=True)
class IssuanceTerms:
    """
    What is asked for in every epoch of an identity.

    Args:
        authority_arn: ARN of the CA that issues.
        signing_algorithm: The algorithm it signs with, of the family of its own key, for example ``SHA256WITHECDSA``.
        template_arn: Its template, for example ``arn:aws:acm-pca:::template/EndEntityCertificate/V1``, which takes the
            names from the CSR.
        key_algorithm: Algorithm of the key, one of :data:`KEY_ALGORITHMS`; of any family.
        names: DNS names, and at most one SPIFFE ID.
        life: From the moment of the request to the end of validity.
        back_dating: How long before that moment the validity begins, for peers whose clocks are slow.
    """

    authority_arn: str
    signing_algorithm: str
    template_arn: str
    key_algorithm: str
    names: tuple[San, ...]
    life: dt.timedelta
    back_dating: dt.timedelta = BACK_DATING

    def document(self) -> dict[str, Any]:
        """As :func:`read_terms` reads it, once it is JSON; the back-dating is not in it. Texts may be CDK tokens."""
        return {
            "Schema": SCHEMA,
            "AuthorityArn": self.authority_arn,
            "SigningAlgorithm": self.signing_algorithm,
            "TemplateArn": self.template_arn,
            "KeyAlgorithm": self.key_algorithm,
            "Names": [str(name) for name in self.names],
            "LifeS": self.life // dt.timedelta(seconds=1),
        }

    def asked_by(self, request: CertificateRequest) -> bool:
        """True if a request asks for these terms, whatever its times."""
        return (
            request.authority_arn == self.authority_arn
            and request.signing_algorithm == self.signing_algorithm
            and request.template_arn == self.template_arn
            and request.names == self.names
            and request.key_algorithm == self.key_algorithm
            and request.not_after - request.made_at == self.life
        )


def read_terms(text: str, identity: str) -> IssuanceTerms:
    """
    Read :meth:`IssuanceTerms.document` as JSON.

    Raises:
        CertificateRequestInvalid: If it is not such JSON. What names and algorithms are worth is not checked here:
            :func:`make_request` does that.
    """
    try:
        return _read_terms(read_json(text))
    except (JsonInvalid, SanInvalid, ValueError) as error:
        remedy = "Deploy the identities stack again: CloudFormation alone writes it"
        faults = (Fault("issuance terms", str(error), remedy),)
        raise CertificateRequestInvalid(f"declaration of identity {identity}", faults) from None


def _read_terms(value: Any) -> IssuanceTerms:
    if not isinstance(value, dict) or value.get("Schema") != SCHEMA:
        raise ValueError(f"it is no object of schema {SCHEMA}")
    texts = ("AuthorityArn", "SigningAlgorithm", "TemplateArn", "KeyAlgorithm")
    if missing := [name for name in texts if not isinstance(value.get(name), str) or not value[name]]:
        raise ValueError(f"missing or empty: {', '.join(missing)}")
    life_s = value.get("LifeS")
    if not isinstance(life_s, int) or not 0 < life_s <= _LONGEST_LIFE_S:
        raise ValueError("LifeS is no number of seconds")
    return IssuanceTerms(
        authority_arn=value["AuthorityArn"],
        signing_algorithm=value["SigningAlgorithm"],
        template_arn=value["TemplateArn"],
        key_algorithm=value["KeyAlgorithm"],
        names=parse_sans(value.get("Names"), "Names"),
        life=dt.timedelta(seconds=life_s),
    )


def make_request(terms: IssuanceTerms, mesh: str, identity: str, epoch: str, now: dt.datetime) -> CertificateRequest:
    """
    A new request, with a new key.

    Args:
        mesh: Name of the mesh: several meshes may share a CA.
        now: Aware.

    Raises:
        CertificateRequestInvalid: If no certificate could be issued for it. No key has been made then.
    """
    if faults := tuple(_terms_faults(terms, mesh, identity)):
        raise CertificateRequestInvalid(f"request for identity {identity}", faults)
    made_at = now.astimezone(dt.UTC).replace(microsecond=0)
    key = _new_key(terms.key_algorithm)
    csr = _csr(key, terms.names, mesh, identity)
    return CertificateRequest(
        identity=identity,
        epoch=epoch,
        authority_arn=terms.authority_arn,
        signing_algorithm=terms.signing_algorithm,
        template_arn=terms.template_arn,
        token=_token(mesh, identity, epoch, csr),
        names=terms.names,
        csr=csr,
        private_key=PrivateKey(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()),
        made_at=made_at,
        not_before=made_at - terms.back_dating,
        not_after=made_at + terms.life,
    )


def _terms_faults(terms: IssuanceTerms, mesh: str, identity: str) -> Iterator[Fault]:
    yield from _name_faults(terms.names)
    if terms.key_algorithm not in KEY_ALGORITHMS:
        problem = f"{terms.key_algorithm!r:.50} is no key algorithm here"
        yield Fault("key_algorithm", problem, f"Choose one of {', '.join(KEY_ALGORITHMS)}")
    if terms.life < dt.timedelta(seconds=1):
        yield Fault("validity", "it is shorter than a second", "Choose a longer one")
    if terms.back_dating < dt.timedelta(0):
        yield Fault("validity", "it would begin after the request", "Choose a back-dating of 0 or more")
    if not all(0 < len(text) <= _LONGEST_IN_SUBJECT for text in (mesh, identity)):
        problem = f"mesh and identity need names of 1 to {_LONGEST_IN_SUBJECT} characters: they stand in the subject"
        yield Fault("subject", problem, "Choose a shorter name")


def _name_faults(names: tuple[San, ...]) -> Iterator[Fault]:
    uris = sum(isinstance(name, Uri) for name in names)
    if not names:
        yield Fault("names", "there are none", "Declare dns_names, a spiffe_id, or both")
    if uris > 1:
        yield Fault("names", f"there are {uris} URIs, and a certificate has one (X509-SVID section 2)", "Keep one")
    if len(names) - uris > MOST_DNS_NAMES:
        yield Fault("names", f"there are more than {MOST_DNS_NAMES} DNS names", "Divide them between identities")
    if len(set(names)) != len(names):
        yield Fault("names", "a name stands twice", "Keep one")
    try:
        if parse_sans([str(name) for name in names], "names") != names:
            yield Fault(
                "names", "a name is of the other kind than its text", "Write a URI with ://, a DNS name without"
            )
    except SanInvalid as error:
        yield Fault(error.place, error.problem, "Correct the name")


def _new_key(algorithm: str) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm]())
    return rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS[algorithm])


def _csr(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, names: tuple[San, ...], mesh: str, identity: str) -> str:
    # Audit reports show the subject and no names. A common name would be taken for a host by whoever looks there if a
    # certificate has no DNS name (OpenSSL's X509_check_host), and it is not declared as one.
    subject = [(NameOID.ORGANIZATION_NAME, mesh), (NameOID.ORGANIZATIONAL_UNIT_NAME, identity)]
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(oid, text) for oid, text in subject]))
        .add_extension(x509.SubjectAlternativeName(map(general_name, names)), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
        .decode()
    )


def _token(mesh: str, identity: str, epoch: str, csr: str) -> str:
    """
    A token of this request alone: AWS issues for it once.

    An epoch has one request, for the table ``issuances`` has it. The table goes with the last identity of Private CA,
    and with a deploy that is rolled back: the next deploy makes another request for the same epoch. With the same token
    AWS would refuse that for five minutes.
    """
    return hashlib.sha256(f"{mesh}\0{identity}\0{epoch}\0{csr}".encode()).hexdigest()[:LONGEST_TOKEN]
