"""
When certificates that meshcert has issued by itself are renewed: each at a moment of its own, without coordination.

The moments are fractions of a life, which is counted from the issue (:meth:`meshcert.lifecycle.policy.Policy.at`). A
keyed hash draws each from the identity and the certificate's serial number: every look comes to the same moment,
nothing has to be remembered, and nobody without the key can choose names that are renewed together.
"""

from __future__ import annotations

import datetime as dt
import hmac
import math

from meshcert.issuing.private_ca_lives import RENEWED_FROM, RENEWED_ON_AVERAGE, RENEWED_UNTIL

_FROM, _UNTIL, _AVERAGE = float(RENEWED_FROM), float(RENEWED_UNTIL), float(RENEWED_ON_AVERAGE)
_EVEN = _FROM / _AVERAGE
"""6/7: the share of identities whose first renewal comes before any later renewal could."""

FIRST_WAIT = 1 / 96
"""The wait after a first failure, as a fraction of the life: a quarter of an hour of a day."""
LONGEST_FIRST_WAIT = dt.timedelta(hours=1)
"""The same, however long the life is."""
LONGEST_WAIT = dt.timedelta(days=1)
_OF_WHAT_REMAINS = 1 / 4
"""No wait takes more of the rest of a life, so that the tries come closer together towards the end."""
_EARLIEST_SHARE = 0.75
"""A wait is shortened by up to a quarter, so that identities that failed together do not come back together."""


def renewal_fraction(key: bytes, identity: str, serial_number: str) -> float:
    """
    The elapsed fraction of its life at which a certificate is renewed: drawn evenly from 1/2 to 2/3.

    Args:
        key: The mesh's own; the same for all looks.
        serial_number: The certificate's, as :class:`meshcert.issuing.issuer.Issuance` has it.
    """
    return _FROM + (_UNTIL - _FROM) * _draw(key, "renewal", identity, serial_number)


def first_renewal_fraction(key: bytes, identity: str, serial_number: str) -> float:
    """
    The same for the first certificate of an identity, which may have been issued together with all others of a mesh.

    It is drawn from the spread into which renewals settle in the long run, so that they are spread from the start. That
    is the stationary distribution of the time until the next renewal (the equilibrium distribution of renewal theory):
    even up to 1/2 of the life, then falling to nothing at 2/3.
    """
    drawn = _draw(key, "first renewal", identity, serial_number)
    if drawn < _EVEN:
        return _AVERAGE * drawn
    # From 1/2 on, its density is (2/3 - x) / (1/6) of what it was before; this is its distribution's inverse.
    return _UNTIL - math.sqrt(2 * _AVERAGE * (_UNTIL - _FROM) * (1 - drawn))


def next_try(
    key: bytes,
    identity: str,
    serial_number: str,
    *,
    issued_at: dt.datetime,
    ends_at: dt.datetime,
    failed_at: dt.datetime,
    failures: int,
) -> dt.datetime:
    """
    When a renewal that has failed is tried again.

    The wait doubles with each failure, from :data:`FIRST_WAIT` of the life to a day. It is never more than a quarter of
    what remains of the life, unless that is less than the first wait; so it ends in steady tries, also after the end.

    Args:
        issued_at: When the certificate in use was issued.
        ends_at: When it ends.
        failed_at: When the latest try failed.
        failures: Failures one after the other, 1 or more.
    """
    first = min((ends_at - issued_at) * FIRST_WAIT, LONGEST_FIRST_WAIT)
    doubled = first * 2.0 ** min(failures - 1, 32)
    wait = max(first, min(doubled, LONGEST_WAIT, (ends_at - failed_at) * _OF_WHAT_REMAINS))
    shortened = 1 - (1 - _EARLIEST_SHARE) * _draw(key, f"try {failures}", identity, serial_number)
    return failed_at + wait * shortened


def _draw(key: bytes, purpose: str, identity: str, serial_number: str) -> float:
    """A number from 0 up to 1, without it."""
    # Names and serial numbers have no NUL, so different arguments are different messages.
    message = f"{purpose}\0{identity}\0{serial_number}".encode()
    # 53 bits: what a float holds exactly.
    return (int.from_bytes(hmac.digest(key, message, "sha256")[:8]) >> 11) / 2**53
