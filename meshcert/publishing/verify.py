"""Repeat the pre-flight on the current value of an identity's secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshcert.errors import Fault, IdentityMissing, MaterialRejected, SecretMalformed, SecretNotPublished
from meshcert.material.certificate_facts import CertificateFacts, certificate_facts
from meshcert.material.document import read_material
from meshcert.publishing.export import expectation
from meshcert.publishing.preflight import verify_material

if TYPE_CHECKING:
    from meshcert.clock import Clock
    from meshcert.identity import Identity
    from meshcert.material import Material
    from meshcert.publishing.ports import CertificateAuthorities, PublishedValues


@dataclass(frozen=True)
class Verified:
    """
    The result of checking an identity's published material.

    Args:
        subject: The identity's name.
        version_id: The current version; empty if there is none.
        facts: Public facts about its certificate; None if no certificate can be read.
        faults: A sentence for each fault; empty if there is none.
    """

    subject: str
    version_id: str = ""
    facts: CertificateFacts | None = None
    faults: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """A public summary that can be written as JSON; ``not_after`` is ISO 8601, UTC."""
        return {
            "subject": self.subject,
            "version_id": self.version_id,
            "serial_number": self.facts.serial_number if self.facts else "",
            "not_after": self.facts.not_after.isoformat() if self.facts else "",
            "faults": list(self.faults),
        }


def verify_published(
    identity: Identity, values: PublishedValues, authorities: CertificateAuthorities, clock: Clock
) -> Verified:
    """
    Check an identity's published material as strictly as before a publication. Nothing is changed.

    Returns:
        Every fault found. A missing or unreadable secret, or one that still holds the template's placeholder, is a
        fault too.

    Raises:
        AwsUnavailable: If AWS does not answer now.
        AwsRefused: If AWS denies a call, for example because a key is disabled.
    """
    version_id, facts = "", None
    try:
        current = values.current_value(identity.secret_id)
        version_id = current.version_id
        material = read_material(current.value, identity.secret_id)
        facts = _facts(material, identity.secret_id)
        verify_material(material, expectation(identity, authorities, clock))
    except MaterialRejected as error:
        faults = tuple(map(str, error.faults))
    except (IdentityMissing, SecretMalformed, SecretNotPublished) as error:
        return Verified(identity.name, version_id, facts, (str(error),))
    else:
        faults = ()
    return Verified(identity.name, version_id, facts, (*faults, *_name_faults(material, version_id)))


def _facts(material: Material, secret: str) -> CertificateFacts:
    try:
        return certificate_facts(material.certificate)
    except ValueError:
        raise SecretMalformed(secret, "Certificate is no X.509 certificate") from None


def _name_faults(material: Material, version_id: str) -> tuple[str, ...]:
    """A fault if the version is not named after its certificate: then another program has written it."""
    if material.version_id == version_id:
        return ()
    problem = f"it is named {version_id}, and its certificate would be {material.version_id}"
    return (str(Fault("secret version", problem, "Find out who wrote it, then have ACM renew the certificate")),)
