"""
Lives of certificates that AWS Private CA issues for meshcert's own keys: when they are renewed, how short they may be.

Nothing here depends on a mesh: the lifecycle, the mesh file's checks and the costs read the same numbers.
"""

from __future__ import annotations

import datetime as dt
import math
from fractions import Fraction

RENEWED_FROM, RENEWED_UNTIL = Fraction(1, 2), Fraction(2, 3)
"""The elapsed fractions of a life between which it is renewed, each identity at a moment of its own."""
RENEWED_ON_AVERAGE = (RENEWED_FROM + RENEWED_UNTIL) / 2
"""7/12: the moments are spread evenly."""

BACK_DATING = dt.timedelta(hours=1)
"""How long before a request the validity begins, for peers whose clocks are slow. Private CA takes the same where a
request says nothing (AWS Private CA user guide, "Issue a private end-entity certificate"), and so does ACM."""

LONGEST_SHORT_LIVED = dt.timedelta(days=7)
"""Longest life under a CA of usage mode SHORT_LIVED_CERTIFICATE (AWS Private CA user guide, "Short-lived
certificates")."""

_DAY = dt.timedelta(hours=24)
MOST_VERSIONS = 100
"""Versions of one secret (Secrets Manager user guide, "Quotas"). Those younger than 24 hours are never removed
(secretsmanager:PutSecretValue), and a put beyond them is refused with LimitExceededException."""
OLDER_VERSIONS = 2
"""Versions that a label keeps for longer than 24 hours: LASTGOOD and QUARANTINED. The other labels stand on versions of
the last two epochs, which are younger at such lives."""
PUTS_OF_AN_EPOCH = 2
"""Versions of one epoch: its certificate, and one more where a crash or a quarantine costs a second certificate. The
repetition of a put has the same token and makes no version."""

FEWEST_A_DAY = 6


def shortest_life(puts_of_an_epoch: int = PUTS_OF_AN_EPOCH) -> dt.timedelta:
    """
    The shortest life of a certificate that Secrets Manager can follow; one hour by the numbers above.

    The identity that is always renewed first begins an epoch after every :data:`RENEWED_FROM` of a life, so 24 hours
    hold the beginnings of ``24 h / (life x RENEWED_FROM) + 1`` epochs at most. Their versions and the older ones must
    not be more than :data:`MOST_VERSIONS`.

    Args:
        puts_of_an_epoch: Versions that are put in each epoch.

    Raises:
        ValueError: If so many versions an epoch leave no room for a second epoch.
    """
    epochs = Fraction(MOST_VERSIONS - OLDER_VERSIONS, puts_of_an_epoch)
    if epochs <= 1:
        raise ValueError(f"{puts_of_an_epoch} versions an epoch leave no room for a second epoch in a secret")
    seconds = Fraction(_DAY // dt.timedelta(seconds=1)) / RENEWED_FROM / (epochs - 1)
    return dt.timedelta(seconds=float(seconds))


def certificates_a_day(life: dt.timedelta) -> int:
    """
    The budget of one identity: certificates that may be paid for in 24 hours, whatever goes wrong.

    It is what :data:`PUTS_OF_AN_EPOCH` allows to as many epochs as 24 hours can have, and never less than
    :data:`FEWEST_A_DAY`, so that a person who orders a renewal of a long-lived certificate is not refused.
    """
    epochs = Fraction(_DAY // dt.timedelta(seconds=1)) / (Fraction(life // dt.timedelta(seconds=1)) * RENEWED_FROM) + 1
    return max(FEWEST_A_DAY, PUTS_OF_AN_EPOCH * math.ceil(epochs))
