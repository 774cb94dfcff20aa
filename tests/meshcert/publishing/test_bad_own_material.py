"""The bad peers' certificates as our own material: what Envoy would serve, and what keeps it from doing so."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from entrypoint.judging.preflight import check_material
from meshcert.errors import MaterialRejected
from meshcert.material import EncryptedPrivateKey, Material, Passphrase, join_certificates, split_certificates
from meshcert.publishing.preflight import Expectation, verify_material
from meshcert.san import Dns
from tests.envoy.peers_cases import CASES, TLS_1_2
from tests.envoy.peers_pki import PeerPki

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "colorteller.mtls.svc.cluster.local"
PASSPHRASE = "opens-the-key"
CERTIFICATES = [
    name
    for name, case in CASES.items()
    if case.versions[0] == TLS_1_2 and case.trusts_us and not case.groups and name not in {"no certificate", "P-384"}
]
"""The cases that are about a certificate, which all but P-384 is wrong with."""


def _material(pki: PeerPki, case: str) -> Material:
    credential = CASES[case].make(pki)
    assert credential is not None
    encryption = BestAvailableEncryption(PASSPHRASE.encode())
    key = credential.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()
    leaf, *issuers = split_certificates(credential.pem)
    return Material(
        certificate=join_certificates([leaf]),
        certificate_chain=join_certificates([*issuers, pki.trust_bundle.certificates]),
        private_key=EncryptedPrivateKey(key),
        passphrase=Passphrase(PASSPHRASE),
    )


def _refuses(check: Callable[[], object]) -> bool:
    try:
        check()
    except MaterialRejected:
        return True
    return False


@pytest.mark.parametrize("case", CERTIFICATES)
def test_nothing_of_it_is_published(case: str) -> None:
    """The export function's pre-flight is the stricter one: also what Envoy would accept from a peer ends there."""
    pki = PeerPki(NAME)
    material = _material(pki, case)
    expected = Expectation(
        identity="colorteller",
        names=(Dns(NAME),),
        peer_rules=((Dns(NAME),),),
        trust_anchors=pki.trust_bundle.certificates,
        at=dt.datetime.now(dt.UTC),
    )

    assert _refuses(lambda: verify_material(material, expected))


@pytest.mark.parametrize("case", CERTIFICATES)
def test_nothing_of_it_is_handed_to_envoy(case: str) -> None:
    """The proxy's own pre-flight has no X.509 library, and refuses the same."""
    material = _material(PeerPki(NAME), case)

    assert _refuses(lambda: check_material(material, (Dns(NAME),), "the secret", time.time()))


def test_a_good_certificate_passes_both() -> None:
    """The same code lets material through that has no fault."""
    pki = PeerPki(NAME)
    material = _material(pki, "P-384")
    expected = Expectation(
        "colorteller", (Dns(NAME),), ((Dns(NAME),),), pki.trust_bundle.certificates, dt.datetime.now(dt.UTC)
    )

    assert verify_material(material, expected) == material
    check_material(material, (Dns(NAME),), "the secret", time.time())
