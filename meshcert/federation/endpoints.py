"""
The bundle endpoints of a mesh, as the stacks declare them in the federate function's environment.

CloudFormation alone writes that environment: whoever may invoke the function cannot have another endpoint believed.
The text has ``TRUST_DOMAIN=URL`` for each, with blanks between them: neither may hold a blank, and no trust domain an
equals sign.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class DeclaredEndpoint(NamedTuple):
    """
    Where a foreign trust domain publishes its bundle.

    Args:
        trust_domain: Its name.
        url: An https URL; whoever answers proves to be its host by a certificate of a public CA (``https_web``).
    """

    trust_domain: str
    url: str


def write_endpoints(endpoints: Iterable[DeclaredEndpoint]) -> str:
    """The text of these endpoints."""
    return " ".join(f"{each.trust_domain}={each.url}" for each in endpoints)


def read_endpoints(text: str) -> tuple[DeclaredEndpoint, ...]:
    """The endpoints that a text declares, in its order."""
    return tuple(DeclaredEndpoint(*each.split("=", 1)) for each in text.split() if "=" in each)
