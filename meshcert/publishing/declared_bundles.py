"""
The CAs of each trust bundle, as the stacks declare them in the deploy function's environment.

CloudFormation alone writes that environment. Requests name CAs too; whoever may invoke the function could otherwise
have a hierarchy's peers trust another root of the mesh, or leave out its revocation lists.

The text has ``HIERARCHY=ROOT,ROOT/LISTED,LISTED`` for each bundle, with blanks between them; CAs by their ids.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LONGEST = 3_000
"""Characters of all bundles: a function's whole environment has 4 KB (Lambda quotas)."""
ID_LENGTH = 36
"""Characters of a CA's id, a UUID: what comes after the slash in its ARN."""


@dataclass(frozen=True)
class DeclaredBundle:
    """
    The CAs of one trust bundle.

    Args:
        roots: Ids of the root CAs in it.
        listed: Ids of the CAs whose revocation lists are checked with it.
    """

    roots: frozenset[str]
    listed: frozenset[str]

    def is_as_declared(self, root_arns: Iterable[str], listed_arns: Iterable[str]) -> bool:
        """
        True for exactly the CAs that are declared; their account and region are those of the function's rights.

        Args:
            listed_arns: Of CAs of the mesh's own; of others what :func:`listed_elsewhere` gives.
        """
        return self.roots == set(map(_id, root_arns)) and self.listed == set(map(_id, listed_arns))


def entry(hierarchy: str, roots: Iterable[str], listed: Iterable[str]) -> str:
    """
    The text of one bundle.

    Args:
        hierarchy: Name of the hierarchy.
        roots: Ids of CAs.
        listed: The same.
    """
    return f"{hierarchy}={','.join(roots)}/{','.join(listed)}"


def listed_elsewhere(certificate_authority_arn: str, locations: Iterable[str]) -> str:
    """What stands for the revocation lists of a CA that is not the mesh's: it covers where each of them lies."""
    text = "\n".join((certificate_authority_arn, *locations))
    return hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]


def length(hierarchy: str, cas: int) -> int:
    """Characters of one bundle's text, with a blank."""
    return len(f"{hierarchy}=/ ") + cas * (ID_LENGTH + 1)


def read_bundles(text: str) -> Mapping[str, DeclaredBundle]:
    """The bundles that a text declares, by hierarchy; what is no bundle's text declares none."""
    bundles = {}
    for part in text.split():
        hierarchy, _, cas = part.partition("=")
        roots, _, listed = cas.partition("/")
        bundles[hierarchy] = DeclaredBundle(_ids(roots), _ids(listed))
    return bundles


def _ids(text: str) -> frozenset[str]:
    return frozenset(text.split(",")) - {""}


def _id(arn: str) -> str:
    return arn.rpartition("/")[2]
