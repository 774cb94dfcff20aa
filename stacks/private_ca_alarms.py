"""The runbook's rows about certificates of AWS Private CA; a mesh without any does not get their alarms."""

from __future__ import annotations

from meshcert.issuing.private_ca import PRIVATE_CA
from stacks.runbook import Alarm, counted_alarm, lifetime_alarm

_AT = PRIVATE_CA.fractions
_LOOK = "`meshcert plan` names the identity"

SHORT_LIFETIMES = {
    "PrivateCaPublished": (
        "No other certificate of Private CA is published",
        f"{_LOOK}; read the export function's log, then `meshcert renew NAME`",
    ),
    "PrivateCaServed": (
        "A task still serves a certificate of Private CA near its end",
        "`meshcert status` names the task; read its log (event rotation-waits), replace it if nothing else helps",
    ),
}
"""What it means, and what to do, if much of a life is gone, by subject."""


def private_ca_alarms(mesh: str) -> tuple[Alarm, ...]:
    """The alarms of a mesh in which Private CA issues for keys of meshcert's own."""
    return (
        *(
            lifetime_alarm(mesh, what, round(fraction * 100), means, remedy)
            for what, (means, remedy) in SHORT_LIFETIMES.items()
            for fraction in (_AT.warning, _AT.page)
        ),
        counted_alarm(
            mesh,
            "MayBePaidAgain",
            "A request to Private CA was sent again so late that a second certificate may be paid for",
            "Nothing for one. If it comes often, read in the export function's log what ends it before it is done",
        ),
        counted_alarm(
            mesh,
            "RequestsDropped",
            "A stored request to Private CA was dropped for a new one: it was too old, or it was spoiled",
            "Nothing after an outage. Otherwise look who wrote the table of issuances (CloudTrail)",
        ),
    )
