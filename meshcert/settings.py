"""What each program reads from its environment: one frozen dataclass a program, all faults in one error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshcert.errors import Fault, SettingsInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class ExportSettings:
    """
    The export function's environment.

    Args:
        mesh: ``MESHCERT_MESH``: name of the mesh.
        identities_table: ``MESHCERT_IDENTITIES_TABLE``: name of the table ``identities``.
    """

    mesh: str
    identities_table: str

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> ExportSettings:
        """
        Read the environment.

        Args:
            environ: ``os.environ``, or what a stack puts there.

        Raises:
            SettingsInvalid: With every variable that is missing or empty.
        """
        variables = {"mesh": "MESHCERT_MESH", "identities_table": "MESHCERT_IDENTITIES_TABLE"}
        values = {field: environ.get(variable, "").strip() for field, variable in variables.items()}
        faults = tuple(
            Fault(variables[field], "it is not set", "Set it on the function; the Identities stack does")
            for field, value in values.items()
            if not value
        )
        if faults:
            raise SettingsInvalid("the export function's environment", faults)
        return cls(**values)
