"""Every use that a certificate may name, and keys of every size: both pre-flights take the same ones."""

from __future__ import annotations

import datetime as dt
import time
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from entrypoint.judging.preflight import check_material
from evidence.fixtures.pki import Hierarchy
from meshcert.errors import MaterialRejected
from meshcert.publishing.preflight import Expectation, verify_material
from meshcert.san import Dns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshcert.material import Material

NAME = "colorteller.mtls.svc.cluster.local"
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
ANY, SIGNING = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE, ExtendedKeyUsageOID.CODE_SIGNING
ROLES = [(), (SERVER,), (CLIENT,), (SERVER, CLIENT), (ANY,), (SERVER, CLIENT, SIGNING)]
BITS = ("digital_signature", "key_cert_sign", "crl_sign")
KEY_USAGES = [None, *product([True, False], repeat=3)]


@pytest.fixture(scope="module")
def hierarchy() -> Hierarchy:
    """Who signs all of them."""
    return Hierarchy()


def _key_usage(bits: tuple[bool, ...]) -> x509.KeyUsage:
    said = dict.fromkeys(("content_commitment", "data_encipherment", "key_agreement"), False)
    others: dict[str, Any] = {**said, "encipher_only": False, "decipher_only": False, "key_encipherment": True}
    return x509.KeyUsage(**dict(zip(BITS, bits, strict=True)), **others)


def _usages(bits: tuple[bool, ...] | None, roles: tuple[Any, ...], *, ca: bool | None) -> list[x509.ExtensionType]:
    said: list[x509.ExtensionType] = [] if ca is None else [x509.BasicConstraints(ca=ca, path_length=None)]
    said += [_key_usage(bits)] if bits else []
    return [*said, x509.ExtendedKeyUsage(list(roles))] if roles else said


def _verdicts(material: Material, hierarchy: Hierarchy) -> tuple[bool, bool]:
    """Whether it is published, and whether it is served."""
    expected = Expectation("teller", (Dns(NAME),), ((Dns(NAME),),), hierarchy.root_pem, dt.datetime.now(dt.UTC))
    checks: tuple[Callable[[], object], ...] = (
        lambda: verify_material(material, expected),
        lambda: check_material(material, (Dns(NAME),), "the secret", time.time()),
    )
    published, served = map(_takes, checks)
    return published, served


def _takes(check: Callable[[], object]) -> bool:
    try:
        check()
    except MaterialRejected:
        return False
    return True


def _all() -> Iterator[tuple[bool | None, tuple[bool, ...] | None, tuple[Any, ...]]]:
    """Every pair of constraint and key usage, and every list of roles with those that are good."""
    yield from product([None, False, True], KEY_USAGES, [(SERVER, CLIENT)])
    yield from product([None, False], [None, (True, False, False)], ROLES)


def test_only_a_leaf_that_signs_nothing_but_handshakes_in_both_roles_is_taken(hierarchy: Hierarchy) -> None:
    """A CA's basic constraints, the right to sign certificates or lists, no signatures, a missing role."""
    for ca, bits, roles in _all():
        is_leaf = ca is not True and (bits is None or bits == (True, False, False))
        is_good = is_leaf and {SERVER, CLIENT} <= set(roles)

        verdicts = _verdicts(hierarchy.issue([NAME], usages=_usages(bits, roles, ca=ca)), hierarchy)

        assert verdicts == (is_good, is_good), (ca, bits, roles)


def _rsa(bits: int) -> Callable[[], rsa.RSAPrivateKey]:
    return lambda: rsa.generate_private_key(public_exponent=65537, key_size=bits)


KEYS: dict[str, tuple[Callable[[], Any], bool]] = {
    "RSA 1024": (_rsa(1024), False),
    "RSA 2040": (_rsa(2040), False),
    "RSA 2048": (_rsa(2048), True),
    "RSA 4096": (_rsa(4096), True),
    "RSA 4112": (_rsa(4112), False),
    "P-224": (lambda: ec.generate_private_key(ec.SECP224R1()), False),
    "P-256": (lambda: ec.generate_private_key(ec.SECP256R1()), True),
    "P-384": (lambda: ec.generate_private_key(ec.SECP384R1()), True),
    "P-521": (lambda: ec.generate_private_key(ec.SECP521R1()), False),
    "secp256k1": (lambda: ec.generate_private_key(ec.SECP256K1()), False),
    "Ed25519": (ed25519.Ed25519PrivateKey.generate, False),
}


@pytest.mark.parametrize("name", KEYS)
def test_only_keys_that_acm_offers_and_peers_take_are_taken(hierarchy: Hierarchy, name: str) -> None:
    """What peers refuse, and what keeps a small task's CPU busy for seconds, ends here."""
    make, is_good = KEYS[name]
    material = hierarchy.issue([NAME], key=make())

    assert _verdicts(material, hierarchy) == (is_good, is_good)
