"""The assumptions about AWS that only an account can confirm, one check each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.aws_checks import (
    alarms,
    attached,
    authorities,
    certificates,
    cluster,
    existing_authorities,
    federation,
    granted,
    issuances,
    keys,
    load_balancers,
    logs,
    namespace,
    network,
    renewals,
    rights,
    secrets,
    services,
)

if TYPE_CHECKING:
    from tools.aws_checks.verdicts import Check

BEFORE: tuple[Check[Any], ...] = (
    *network.CHECKS,
    *namespace.CHECKS,
    *cluster.CHECKS,
    *logs.CHECKS,
    *keys.CHECKS,
    *existing_authorities.CHECKS,
    *load_balancers.CHECKS,
)
"""Checks of what is yours, which a deploy asks before it makes anything."""

CHECKS: tuple[Check[Any], ...] = (
    *BEFORE,
    *certificates.CHECKS,
    *issuances.CHECKS,
    *authorities.CHECKS,
    *secrets.CHECKS,
    *rights.CHECKS,
    *granted.CHECKS,
    *federation.CHECKS,
    *services.CHECKS,
    *attached.CHECKS,
    *renewals.CHECKS,
    *alarms.CHECKS,
)
"""Every check, in the order of the report."""
