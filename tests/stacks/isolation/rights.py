"""The rights of roles, in words that are the same in every account and cell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.stacks.isolation.deployed import DeployedCell

_WORDS = (
    (re.compile(r"\b\d{12}\b"), "ACCOUNT"),
    (re.compile(r"certificate-authority/.+"), "certificate-authority/ID"),
    (re.compile(r"\b(frontend|backend)\.yelb\.internal\b"), "yelb.internal"),
    (re.compile(r"\byelb-(frontend|backend)-(?=pki|identities|services|renewal)"), "yelb-"),
)


class Right(NamedTuple):
    """
    One action on one resource.

    Args:
        role: The end of its name.
        conditions: Operators, keys and values.
    """

    role: str
    action: str
    resource: str
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...]

    @property
    def limited_by(self) -> tuple[str, str, str]:
        """Role, action, and the keys of the conditions."""
        return self.role, self.action, " ".join(key for _, key, _ in self.conditions)


def rights_of(cells: Iterable[DeployedCell]) -> set[Right]:
    """All rights of all roles; accounts, ids of CAs, namespaces and stacks have the same names everywhere."""
    return {
        Right(
            _everywhere(caller.name).rpartition("-")[2],
            action,
            _everywhere(resource),
            tuple(
                sorted((operator, key, tuple(map(_everywhere, values))) for operator, key, values in right.conditions)
            ),
        )
        for cell in cells
        for caller in cell.callers
        for right in caller.rights
        for action in right.actions
        for resource in right.resources
    }


def _everywhere(text: str) -> str:
    for pattern, instead in _WORDS:
        text = pattern.sub(instead, text)
    return text
