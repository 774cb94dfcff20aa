"""What breaks a rule of an X509-SVID is not asked for, and what comes back so is neither published nor served."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from entrypoint.judging import x509_svid as in_container
from entrypoint.judging.usages import usage_faults
from evidence.simulation.private_ca import SimulatedPrivateCa
from meshcert.errors import (
    CertificateNotAsRequested,
    CertificateNotOwned,
    CertificateRequestInvalid,
    MaterialRejected,
)
from meshcert.san import Uri
from tests.meshcert.contract.broken_spiffe_ids import BROKEN
from tests.meshcert.issuing.issuing_world import FRONT, NAMES, TERMS, IssuingWorld
from tests.meshcert.issuing.private_ca import issued, key_usage

if TYPE_CHECKING:
    from meshcert.issuing.certificate_request import CertificateRequest

TEXTS = [text for _, _, text in BROKEN]
WRITABLE = [text for text in TEXTS if text.isascii()]
"""A certificate holds ASCII alone (RFC 5280, IA5String)."""
HOST, WORKLOAD = x509.DNSName(str(NAMES[0])), x509.UniformResourceIdentifier(str(NAMES[1]))
DOMAIN = x509.UniformResourceIdentifier("spiffe://color.example")
SECOND_URI = x509.UniformResourceIdentifier("https://color.example/front")
ANSWERS: dict[str, dict[str, Any]] = {
    "no URI": {"names": [HOST]},
    "two SPIFFE IDs": {"names": [HOST, WORKLOAD, x509.UniformResourceIdentifier("spiffe://color.example/back")]},
    "another URI beside it": {"names": [HOST, WORKLOAD, SECOND_URI]},
    "another URI before it": {"names": [HOST, SECOND_URI, WORKLOAD]},
    "the ID of the trust domain": {"names": [HOST, DOMAIN]},
    "a CA": {"ca": True},
    "a CA that signs": {"ca": True, "usage": key_usage("digital_signature", "key_cert_sign", "crl_sign")},
    "no key usage": {"usage": None},
    "key usage that is not critical": {"usage_critical": False},
    "no digitalSignature": {"usage": key_usage("key_encipherment", "key_agreement")},
    "keyCertSign": {"usage": key_usage("digital_signature", "key_cert_sign")},
    "cRLSign": {"usage": key_usage("digital_signature", "crl_sign")},
    "serverAuth alone": {"roles": (ExtendedKeyUsageOID.SERVER_AUTH,)},
    "clientAuth alone": {"roles": (ExtendedKeyUsageOID.CLIENT_AUTH,)},
    "neither role": {"roles": (ExtendedKeyUsageOID.CODE_SIGNING,)},
    "no subject, and names that are not critical": {"subject": x509.Name([])},
}
"""Section by section of X509-SVID.md: 2, 3.1, 4.1, 4.3, 4.4."""


@pytest.mark.parametrize("text", TEXTS, ids=[f"{name}: {text[:40]!r}" for name, _, text in BROKEN])
def test_an_id_that_breaks_a_rule_is_not_asked_for(text: str) -> None:
    """Whoever has declared it: no key is made, nothing is stored, nothing is billed, and what is published stays."""
    world = IssuingWorld()
    world.deploy()
    before, names = world.published, (NAMES[0], Uri(text))
    world.declarations.declared["front"] = replace(TERMS, names=names)

    with pytest.raises(CertificateRequestInvalid, match="names"):
        world.deploy(replace(FRONT, names=names))

    assert (len(world.authority.issued), len(world.epochs.rows)) == (1, 1)
    assert world.published == before


class _OtherwisePrivateCa(SimulatedPrivateCa):
    """
    Gives back something else than it was asked for.

    Args:
        otherwise: What: arguments of :func:`tests.meshcert.issuing.private_ca.issued`.
    """

    otherwise: dict[str, Any] | None = None

    def issue(self, request: CertificateRequest) -> str:
        arn = super().issue(request)
        if self.otherwise is not None:
            self.issued[arn] = issued(request, **self.otherwise)
        return arn


def _refuse(otherwise: dict[str, Any]) -> list[str]:
    """Have a CA answer so; nothing is published, and the container's own check refuses the answer as well."""
    world = IssuingWorld()
    authority = world.authority = _OtherwisePrivateCa(world.clock)
    world.deploy()
    before, old = world.published, world.row.certificate_arn
    authority.otherwise = otherwise

    with pytest.raises((CertificateNotAsRequested, CertificateNotOwned, MaterialRejected)):
        world.replace(old)

    assert world.published == before
    answer = authority.issued[world.row.certificate_arn]
    faults = [*usage_faults(answer, "Certificate", "-"), *in_container.svid_faults(answer, "Certificate", "-")]
    return [fault.problem for fault in faults]


@pytest.mark.parametrize("otherwise", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_breaks_a_rule_is_neither_published_nor_served(otherwise: dict[str, Any]) -> None:
    """By the functions, and by the container, should it stand in its secret all the same."""
    assert _refuse(otherwise)


@pytest.mark.parametrize("text", WRITABLE, ids=[f"{name}: {text[:40]!r}" for name, _, text in BROKEN if text.isascii()])
def test_an_answer_with_such_an_id_is_neither_published_nor_served(text: str) -> None:
    """The same for every rule of the ID."""
    assert _refuse({"names": [HOST, x509.UniformResourceIdentifier(text)]})
