"""An SVID whose issuer must not sign (X509-SVID sections 3.2 and 4) is neither published nor served."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from entrypoint.judging.preflight import check_material
from local.pkcs8 import encrypt_private_key
from meshcert.errors import MaterialRejected
from meshcert.material import EncryptedPrivateKey, Material, Passphrase
from meshcert.publishing.preflight import Expectation, verify_certificate
from meshcert.san import Uri
from tests.meshcert.issuing.private_ca import BOTH_ROLES, key_usage

WORKLOAD = Uri("spiffe://color.example/front")
NOW = dt.datetime.now(dt.UTC)
SIGNS, DIGITAL = key_usage("key_cert_sign", "crl_sign"), key_usage("digital_signature", "key_encipherment")
ISSUERS: dict[str, dict[str, Any]] = {
    "it is no CA": {"ca": False},
    "an SVID": {"ca": False, "usage": DIGITAL, "uri": "spiffe://color.example/back"},
    "it may not sign": {"usage": DIGITAL},
    "nothing says that it is a CA": {"ca": None},
}
Signed = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def _signed(
    name: str,
    by: Signed | None,
    *,
    ca: bool | None = True,
    usage: x509.KeyUsage = SIGNS,
    uri: str = "",
    roles: bool = False,
) -> Signed:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signer = (by[0].subject, by[1]) if by else (subject, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - dt.timedelta(days=1))
        .not_valid_after(NOW + dt.timedelta(days=1))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(usage, critical=True)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if uri:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
        builder = builder.add_extension(names, critical=False)
    if roles:
        builder = builder.add_extension(x509.ExtendedKeyUsage(BOTH_ROLES), critical=False)
    return builder.sign(signer, hashes.SHA256()), key


def _pem(signed: Signed) -> str:
    return signed[0].public_bytes(Encoding.PEM).decode()


def _judged(issuer: dict[str, Any]) -> list[str]:
    """What the functions and the container say of an SVID that such an issuer has signed."""
    root = _signed("color root", None)
    issuing = _signed("color issuing", root, **issuer)
    leaf = _signed("front", issuing, ca=False, usage=DIGITAL, uri=str(WORKLOAD), roles=True)
    chain = _pem(issuing) + _pem(root)
    key = EncryptedPrivateKey(encrypt_private_key(leaf[1], "a passphrase", "pbes2-sha1"))
    said = []
    for check in (
        lambda: verify_certificate(_pem(leaf), chain, Expectation("front", (WORKLOAD,), (), _pem(root), NOW)),
        lambda: check_material(
            Material(_pem(leaf), chain, key, Passphrase("a passphrase")), [WORKLOAD], "the secret", time.time()
        ),
    ):
        try:
            check()
        except MaterialRejected as error:
            said.append(str(error))
    return said


@pytest.mark.parametrize("issuer", ISSUERS.values(), ids=ISSUERS)
def test_what_must_not_sign_has_signed_nothing(issuer: dict[str, Any]) -> None:
    """By both programs; a chain with such a link leads nowhere."""
    assert len(_judged(issuer)) == 2


@pytest.mark.parametrize("uri", ["", "spiffe://color.example"], ids=["without an ID", "of the trust domain"])
def test_what_may_sign_may_have_the_id_of_its_trust_domain(uri: str) -> None:
    """X509-SVID section 3.2: it should have it, and AWS's have none."""
    assert _judged({"uri": uri}) == []
