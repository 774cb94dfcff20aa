"""The command line over a mesh in memory: what it prints, and how it ends."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from meshcert.cli.__main__ import main
from meshcert.cli.account import Account
from tests.meshcert.lifecycle.world import LifecycleWorld

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping

    import pytest

    from meshcert.errors import MeshcertError
    from meshcert.lifecycle.audit import AuditEntry

VERDICT = {
    "subject": "CN=colorteller.mtls.svc.cluster.local",
    "version_id": "a" * 64,
    "serial_number": "0b" * 16,
    "not_after": "2027-01-31T12:00:00+00:00",
    "faults": [],
}


class Broken:
    """A port that fails, whatever is asked of it."""

    def __init__(self, error: MeshcertError) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        def fail(*_: Any, **__: Any) -> Any:
            raise self._error

        return fail


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What a script reads."""
        return json.loads(self.out)


class Terminal:
    """
    Runs commands on a mesh in memory; the renewal function works while a command waits.

    Args:
        capsys: What is printed.
        world: The mesh.
    """

    def __init__(self, capsys: pytest.CaptureFixture[str], world: LifecycleWorld | None = None) -> None:
        self._capsys = capsys
        self.world = world or LifecycleWorld()
        self.order_is_taken = True
        self.verdict: dict[str, Any] = dict(VERDICT)
        self._messages = count(1)
        self.account = Account(
            mesh="color",
            region="eu-west-1",
            declared=self.world.declared,
            observers=self.world.observers(),
            remembered=self.world.table,
            orders=self,
            verifier=self,
            history=self.history,
            values=self.world.vault,
            policy=self.world.policy,
            pauses=self,
        )

    def run(self, *arguments: str) -> Ended:
        """Run ``meshcert --mesh color …``."""
        code = main(["--mesh", "color", *arguments], self._open)
        printed = self._capsys.readouterr()
        return Ended(code, printed.out, printed.err)

    def breaks(self, **parts: Any) -> None:
        """Put other ports in the place of some, of the account or of its observers."""
        observers = {name: port for name, port in parts.items() if hasattr(self.account.observers, name)}
        others = {name: port for name, port in parts.items() if name not in observers}
        self.account = replace(self.account, observers=replace(self.account.observers, **observers), **others)

    def send(self, order: str, identity: str, reason: str, version: str = "") -> str:
        """The orders queue; the function takes the order up at once if it is told to."""
        message = f"message-{next(self._messages)}"
        if self.order_is_taken:
            self.world.look(order, message=message, reason=reason, identity=identity, version=version)
        return message

    def verify(self, identity: str) -> dict[str, Any]:
        """The verify function."""
        assert identity in self.world.declared.rows
        return self.verdict

    def history(self, identity: str, since: dt.datetime) -> Iterator[AuditEntry]:
        """The audit log."""
        entries = self.world.audit.entries
        return (entry for entry in list(entries) if entry.identity == identity and entry.at >= since)

    def monotonic(self) -> float:
        """The world's time."""
        return self.world.clock.now().timestamp()

    def sleep(self, seconds: float) -> None:
        """Meanwhile the tick comes."""
        self.world.clock.sleep(seconds)
        self.world.tick()

    def _open(self, mesh: str, environ: Mapping[str, str]) -> Account:
        assert (mesh, "PATH" in environ) == ("color", True)
        return self.account
