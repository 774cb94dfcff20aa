"""
The last check of a foreign trust domain's bundle before Envoy gets it.

Envoy takes none of a proxy's trust domains if it cannot read the bundle of one. So the bundle of a domain that others
run is judged by itself, and what fails goes no further.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from entrypoint.judging.preflight import certificate_fields
from meshcert.errors import Fault, MaterialRejected
from meshcert.material import split_certificates

if TYPE_CHECKING:
    from meshcert.material.foreign_bundle import ForeignBundle

_ASK = "Ask who runs the trust domain; its last good bundle serves on"


def check_foreign_bundle(bundle: ForeignBundle, subject: str, now: float) -> None:
    """
    Refuse a bundle that Envoy could not read, or with which it would refuse every peer of the domain.

    An empty one passes: it says that nobody of the domain is to be admitted (SPIFFE_Trust_Domain_and_Bundle, 4.1).

    Args:
        subject: The secret's name, for the error.
        now: Seconds since 1970, UTC.

    Raises:
        MaterialRejected: If there are faults; it lists all of them.
    """
    faults: list[Fault] = []
    ends: list[int] = []
    for number, pem in enumerate(split_certificates(bundle.certificates)):
        place = f"{bundle.trust_domain}[{number}]"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cadata=pem)
            authority: Any = context.get_ca_certs()[0]
            fields = certificate_fields(pem)
        except (ssl.SSLError, ValueError, IndexError):
            faults.append(Fault(place, "it is no CA certificate", _ASK))
            continue
        # Envoy takes no part of a chain for the whole: a bundle of intermediate CAs alone admits nobody.
        if authority["subject"] == authority["issuer"]:
            ends.append(fields.not_after)
    if bundle.certificates and not faults and not ends:
        faults.append(Fault(bundle.trust_domain, "it holds no self-signed root", _ASK))
    if ends and max(ends) < now:
        faults.append(Fault(bundle.trust_domain, "every root in it has expired", _ASK))
    if faults:
        raise MaterialRejected(subject, tuple(faults))
