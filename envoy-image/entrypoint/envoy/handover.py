"""The way of a secret to Envoy and of Envoy's verdict back: one form for both deliveries, and that of files."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from entrypoint.envoy.acceptance import SecretCounters
    from entrypoint.envoy.admin import Admin
    from entrypoint.envoy.install import SecretFiles
    from meshcert.envoy.api import Json

REJECTED = "Envoy rejected it"


class Verdict(NamedTuple):
    """
    What Envoy made of a version it was handed.

    Args:
        accepted: Whether it took it over.
        reason: If not, that in words, with Envoy's own where they are known.
    """

    accepted: bool
    reason: str = ""


class Handover(Protocol):
    """How secrets are handed to Envoy; secrets are told apart by their SDS names."""

    look_every_s: float
    """How often it is worth asking for a verdict, seconds."""

    def install(self, name: str, resource: Json, version: str) -> bytes:
        """
        Hand one secret over; the answer is what :meth:`write` takes to do it again.

        Raises:
            OSError: If that is not possible; what was handed over before stays.
        """

    def begin(self) -> None:
        """Let Envoy have it; called once, when the first secrets have been handed over or a new watcher goes on."""

    def write(self, name: str, content: bytes) -> None:
        """Hand over again what :meth:`install` or :meth:`read` has answered; see :meth:`install`."""

    def read(self, name: str) -> bytes:
        """What was last handed over, also by an earlier watcher; empty if nothing was."""

    def before(self, name: str) -> SecretCounters | None:
        """What :meth:`verdict` needs to know of the time before; None if Envoy does not answer."""

    def verdict(self, name: str, version: str, before: SecretCounters) -> Verdict | None:
        """What Envoy made of this version; None if it has not said so yet."""

    def first_verdicts(self, names: Iterable[str]) -> Mapping[str, Verdict]:
        """What Envoy made of its first secrets, as far as it has said so."""


class FileHandover:
    """
    By files that Envoy watches. What it made of them is read from its counters.

    Args:
        files: Where they lie.
        admin: Gives Envoy's administration interface; asked when it is needed first, because of what it loads.
    """

    look_every_s = 0.002

    def __init__(self, files: SecretFiles, admin: Callable[[], Admin]) -> None:
        self._files = files
        self._admin = admin
        self.install = files.install
        self.write = files.write
        self.read = files.read

    def begin(self) -> None:
        """Nothing: the files are there."""

    def before(self, name: str) -> SecretCounters | None:
        """Its counters; see :meth:`Handover.before`."""
        from entrypoint.envoy.acceptance import SecretCounters  # not needed to install

        counters = self._counters()
        return None if counters is None else counters.get(name, SecretCounters())

    def verdict(self, name: str, version: str, before: SecretCounters) -> Verdict | None:
        """By version or by a counter that has grown; see :meth:`Handover.verdict`."""
        after = self.before(name)
        if after is None:
            return None
        if after.version == version:
            return Verdict(accepted=True)
        if (after.rejected, after.failed) > (before.rejected, before.failed):
            return Verdict(accepted=False, reason=REJECTED)
        return None

    def first_verdicts(self, names: Iterable[str]) -> Mapping[str, Verdict]:
        """
        See :meth:`Handover.first_verdicts`.

        File SDS makes Envoy LIVE whatever is in the files (it then resets every connection), so counters are read.
        Envoy judges secrets of one TLS context together and blames the one that arrived last.
        """
        found = {}
        for name, counters in (self._counters() or {}).items():
            if name in names and counters.accepted:
                found[name] = Verdict(accepted=True)
            elif name in names and (counters.rejected or counters.failed):
                found[name] = Verdict(accepted=False, reason=f"{REJECTED}, or a secret used together with it")
        return found

    def _counters(self) -> dict[str, SecretCounters] | None:
        from entrypoint.envoy.acceptance import secret_counters

        try:
            return secret_counters(self._admin())
        except OSError:
            return None
