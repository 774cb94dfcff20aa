"""The roots of a foreign SPIFFE trust domain, and the JSON of its secret, schema 1."""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple

from meshcert.contract.spiffe_id import SCHEME, SpiffeId, SpiffeIdInvalid
from meshcert.errors import SecretMalformed
from meshcert.material.document import SCHEMA, read_fields
from meshcert.material.material import join_certificates
from meshcert.material.pem import CERTIFICATE, blocks

MOST_CERTIFICATES = 32
"""Roots of one trust domain: each is tried against the peers of its domain."""
SHORTEST_HINT_S, LONGEST_HINT_S = 300, 86_400
"""Bounds of a refresh hint, seconds. Below five minutes it would cost a call a minute, above a day a withdrawn root
would be believed for days."""


class ForeignBundle(NamedTuple):
    """
    What a foreign trust domain is believed by.

    Args:
        trust_domain: Its name.
        certificates: Its roots, PEM, one after the other; empty: nobody of that domain is let in.
        sequence: ``spiffe_sequence`` of the bundle that was read; None if it had none, or none was read yet.
        refresh_hint_s: Seconds between two looks at its endpoint, within the bounds of this module.
    """

    trust_domain: str
    certificates: str = ""
    sequence: int | None = None
    refresh_hint_s: int = SHORTEST_HINT_S

    def dumps(self) -> str:
        """The value of its secret."""
        return json.dumps(
            {
                "Schema": SCHEMA,
                "TrustDomain": self.trust_domain,
                "Certificates": self.certificates,
                "Sequence": self.sequence,
                "RefreshHintSeconds": self.refresh_hint_s,
            }
        )

    @property
    def version_id(self) -> str:
        """The id of the secret version that holds it: SHA-256 of its value, 64 lower-case hex digits."""
        return hashlib.sha256(self.dumps().encode()).hexdigest()

    @classmethod
    def loads(cls, text: str, secret: str) -> ForeignBundle:
        """
        The bundle in a secret; its certificates are the PEM blocks that were there, and nothing else.

        Args:
            text: The secret's value.
            secret: Its name or ARN, for messages.

        Raises:
            SecretNotPublished: If it is the template's placeholder.
            SecretMalformed: If it is not what :meth:`dumps` writes.
        """
        value = read_fields(text, secret)
        return cls(
            trust_domain=_trust_domain(value.get("TrustDomain"), secret),
            certificates=_certificates(value.get("Certificates"), secret),
            sequence=_sequence(value.get("Sequence"), secret),
            refresh_hint_s=_refresh_hint(value.get("RefreshHintSeconds"), secret),
        )


def clamped(hint_s: int) -> int:
    """A refresh hint within the bounds of this module, seconds."""
    return min(max(hint_s, SHORTEST_HINT_S), LONGEST_HINT_S)


def _trust_domain(value: object, secret: str) -> str:
    try:
        if isinstance(value, str) and not SpiffeId.parse(f"{SCHEME}://{value}").path:
            return value
    except SpiffeIdInvalid:
        pass
    raise SecretMalformed(secret, "TrustDomain is not the name of one")


def _certificates(value: object, secret: str) -> str:
    if not isinstance(value, str):
        raise SecretMalformed(secret, "Certificates is not text")
    try:
        found = blocks(value, CERTIFICATE)
    except ValueError as error:
        raise SecretMalformed(secret, f"Certificates: {error}") from None
    if len(found) > MOST_CERTIFICATES or bool(found) != bool(value):
        raise SecretMalformed(secret, f"Certificates holds {len(found) or 'no'} PEM certificates, or more than them")
    return join_certificates(found)


def _sequence(value: object, secret: str) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise SecretMalformed(secret, "Sequence is no whole number of 0 or more")


def _refresh_hint(value: object, secret: str) -> int:
    if isinstance(value, int) and SHORTEST_HINT_S <= value <= LONGEST_HINT_S:
        return value
    raise SecretMalformed(secret, f"RefreshHintSeconds is not from {SHORTEST_HINT_S} to {LONGEST_HINT_S}")
