"""The memory of an identity during a run: one copy, with one owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt

    from meshcert.lifecycle.memory import Change
    from meshcert.lifecycle.ports import Lease, LifecycleTable


class OwnedMemory:
    """
    The only copy of the memory during a run.

    Other code gets or gives changes to it, never a copy: something forgotten cannot come back through an old copy.
    """

    def __init__(self, lease: Lease, table: LifecycleTable) -> None:
        self.memory = lease.memory
        self._lease, self._table = lease, table

    def change(self, change: Change) -> None:
        """Apply a change; it is written when the lease is given back."""
        self.memory = change(self.memory)

    def save(self, change: Change) -> None:
        """Apply a change and write it at once; if that fails, nothing is changed."""
        changed = change(self.memory)
        self._table.save(self._lease, changed)
        self.memory = changed

    def release(self, look_at: dt.datetime | None, *, settled: bool) -> bool:
        """Write the memory and give the lease back; true if another look wanted the identity meanwhile."""
        return self._table.release(self._lease, self.memory, look_at, settled=settled)
