"""
How long end entities' certificates live here, in proportion to what was asked for: a day in a minute.

Whoever asks Private CA names a life that AWS would take, and nothing that runs on AWS knows of the factor.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from local.aws.certificates.x509_signing import Period
from local.aws.json_service import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class LifeScale:
    """
    The factor of one account, more than 0 and at most 1.

    Args:
        factor: What it begins with.

    Raises:
        ValueError: If the factor is out of bounds: a longer life could outlive the CA.
    """

    def __init__(self, factor: float = 1.0) -> None:
        self._factor = _checked(factor)

    def set(self, request: Mapping[str, float]) -> dict[str, float]:
        """
        Issue by another factor from now on.

        Args:
            request: ``factor``; without it, nothing is changed.

        Returns:
            The factor now.

        Raises:
            ValueError: If it is out of bounds.
        """
        self._factor = _checked(float(request.get("factor", self._factor)))
        return {"factor": self._factor}

    def scaled(self, asked: Period, issued_at: datetime) -> Period:
        """
        The period that a certificate gets: both its ends as much nearer to the moment of the issue.

        X.509 knows whole seconds. Rounding takes them from the life, so that it is never longer than asked for.

        Args:
            asked: The period that was asked for.
            issued_at: A whole second, aware UTC.

        Raises:
            ServiceError: InvalidArgsException if no second is left of it.
        """
        start = _second(issued_at + (asked.not_before - issued_at) * self._factor, up=True)
        end = _second(issued_at + (asked.not_after - issued_at) * self._factor, up=False)
        if end <= max(start, issued_at):
            raise ServiceError(
                "InvalidArgsException",
                f"the local AWS scales lives by {self._factor}: nothing is left of one that ends at "
                f"{asked.not_after:%FT%TZ}",
            )
        return Period(start, end)


def _checked(factor: float) -> float:
    if not 0 < factor <= 1:
        raise ValueError(f"the factor {factor} of lives is not more than 0 and at most 1")
    return factor


def _second(moment: datetime, *, up: bool) -> datetime:
    begun = moment.replace(microsecond=0)
    return begun + timedelta(seconds=1) if up and begun < moment else begun
