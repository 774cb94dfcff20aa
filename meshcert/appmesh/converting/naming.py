"""Names of the mesh file made of App Mesh's: shorter, in lower case, each for one thing."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from meshcert.appmesh.report import Fate
from meshcert.appmesh.resources import Unset
from meshcert.mesh.checks.names import RESERVED
from meshcert.mesh.mesh import LONGEST_NAME
from meshcert.mesh.naming import NAME

if TYPE_CHECKING:
    from meshcert.appmesh.report import ImportReport

_KINDS = re.compile(r"-(vn|vr|vs|vg|node|virtual-node|router|virtual-router|virtual-gateway)$")
_HASHED = 4


class Names:
    """
    Gives each thing of one section of the mesh file a name of its own.

    Args:
        section: For example ``virtual_nodes``.
        report: Gets every name that changes.
    """

    def __init__(self, section: str, report: ImportReport) -> None:
        self._section = section
        self._report = report
        self._taken: set[str] = set(RESERVED) if section == "services" else set()

    def take(self, name: str, what: str, longest: int = LONGEST_NAME, *, tells: bool = True) -> str:
        """
        A name that is free, as near to the given one as the mesh file's rules allow.

        Args:
            what: What is named, for the report.
            tells: False if nobody has to know that it changes.
        """
        made = fitting(name, longest)
        if made in self._taken:
            made = _with_hash(made, name, longest)
        number = 2
        while made in self._taken:
            made = f"{made[: longest - len(str(number)) - 1].rstrip('-')}-{number}"
            number += 1
        self._taken.add(made)
        if tells and isinstance(name, Unset):
            self._report.ask(
                what,
                f"its name is {name}: what is that? Meanwhile it is called {made}",
                f"{self._section}.{made}",
                answer_of(name),
            )
        elif tells and made != name:
            why = f"a name has lower-case letters, digits and hyphens, {longest} at most"
            self._report.tell(Fate.CHANGED, "names", why, f"{what} is {self._section}.{made}")
        return made


def fitting(name: str, longest: int = LONGEST_NAME) -> str:
    """A valid name made of any text; two texts may get the same."""
    made = re.sub(r"[^a-z0-9]+", "-", name[:512].lower()).strip("-")
    if len(made) > longest:
        made = _KINDS.sub("", made)
    made = made if made and made[0].isalpha() else f"x-{made}".rstrip("-")
    if len(made) > longest:
        made = _with_hash(made, name, longest)
    return made


def is_name(text: str, longest: int = LONGEST_NAME) -> bool:
    """True if a text can be a name as it is."""
    return len(text) <= longest and NAME.fullmatch(text) is not None


def answer_of(unset: Unset) -> str:
    """How a person answers what a placeholder stands for."""
    said = " ".join(f"--parameter {name}=..." for name in dict.fromkeys(unset.names) if re.fullmatch(r"[\w.:-]+", name))
    return f"{said}, or write it into the mesh file" if said else "Write it into the mesh file"


def _with_hash(made: str, name: str, longest: int) -> str:
    digest = hashlib.sha256(name.encode(errors="replace")).hexdigest()[:_HASHED]
    return f"{made[: longest - _HASHED - 1].rstrip('-')}-{digest}"
