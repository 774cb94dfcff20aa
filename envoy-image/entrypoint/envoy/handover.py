"""Handing resources to Envoy and getting its verdicts: the protocol that files and socket share, and the files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from meshcert.bounded_json import read_json
from meshcert.values.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from entrypoint.envoy.acceptance import SecretCounters
    from entrypoint.envoy.admin import Admin
    from entrypoint.envoy.install import ResourceFiles
    from meshcert.envoy.api import Json

    CountersOf = Callable[[Admin], dict[str, SecretCounters]]

REJECTED = "Envoy rejected it"


class EnvoySilent(ConnectionError):
    """Envoy's administration interface does not answer, or not as Envoy's does."""


class Verdict(NamedTuple):
    """
    Envoy's verdict on a version that it was handed.

    Args:
        accepted: True if Envoy serves it.
        reason: Why not, in Envoy's own words where they are known.
    """

    accepted: bool
    reason: str = ""


class EnvoyResource(NamedTuple):
    """
    One version of a resource in the form that Envoy is handed; ``repr`` shows the version alone.

    Args:
        version: Its ``version_info``.
        body: Its message as JSON. A secret's contains the encrypted key.
        complete: False if only Envoy has all of it, because Envoy shows no keys. Then it cannot be handed over again.
    """

    version: str
    body: Json
    complete: bool = True

    def __repr__(self) -> str:
        return f"<EnvoyResource {self.version}>"


def earlier_resource(version: Any, body: Any, *, complete: bool = True) -> EnvoyResource:
    """
    A resource that an earlier watcher handed over.

    Raises:
        TypeError: If it has not the form of one.
    """
    if not isinstance(version, str) or not isinstance(body, dict):
        raise TypeError("a version and an object were expected")
    return EnvoyResource(version, body, complete)


class Ticket(Protocol):
    """One version that was handed over."""

    def verdict(self) -> Verdict | None:
        """Envoy's verdict on it; None if there is none yet."""


class Handover(Protocol):
    """A way to hand resources to Envoy, by their xDS names."""

    ask_every_s: float
    """Seconds between two questions for a verdict; asking more often gains nothing."""

    def put(self, name: str, resource: EnvoyResource) -> None:
        """
        Hand over a version that needs no verdict, because Envoy has not started yet or does not use the resource.

        Raises:
            OSError: If that fails; what was handed over before stays.
        """

    def hand(self, name: str, resource: EnvoyResource) -> Ticket:
        """
        Hand over a version and return the ticket for its verdict.

        Raises:
            EnvoySilent: If the verdict could not be distinguished from an earlier one. Nothing is handed over.
            OSError: As :meth:`put`.
        """

    def restore(self, name: str, resource: EnvoyResource | None) -> None:
        """Go back to what Envoy serves (None if it serves nothing). Raises as :meth:`put` does."""

    def first_verdicts(self, names: Iterable[str]) -> Mapping[str, Verdict]:
        """Envoy's verdicts on the first version of each resource, as far as there are any."""

    def earlier(self, names: Iterable[str]) -> Mapping[str, EnvoyResource]:
        """
        Return the resources that an earlier watcher handed over.

        Raises:
            EnvoySilent: If only Envoy knows them, and it does not answer.
        """


class FileHandover:
    """
    Resources in files that Envoy watches; the verdict is read from its counters. See :class:`Handover`.

    Args:
        admin: Returns Envoy's administration interface. It is called only when that is first needed, because of what it
            loads.
        counters: Asks it about resources of this type; None for secrets.
    """

    ask_every_s = 0.002

    def __init__(self, files: ResourceFiles, admin: Callable[[], Admin], counters: CountersOf | None = None) -> None:
        self._files = files
        self._admin = admin
        self._counters_of = counters

    def put(self, name: str, resource: EnvoyResource) -> None:
        """Replace the file."""
        self._files.install(name, resource.body, resource.version)

    def hand(self, name: str, resource: EnvoyResource) -> Ticket:
        """Replace the file; the ticket keeps the counters from before."""
        ticket = _FileTicket(self, name, resource.version)
        self.put(name, resource)
        return ticket

    def restore(self, name: str, resource: EnvoyResource | None) -> None:
        """Replace the file if there is a version to go back to."""
        if resource:
            self.put(name, resource)

    def first_verdicts(self, names: Iterable[str]) -> Mapping[str, Verdict]:
        """
        Read the counters.

        File SDS makes Envoy LIVE whatever is in the files (it then resets every connection), so only counters tell.
        Envoy judges secrets of one TLS context together and blames the one that arrived last.
        """
        try:
            counters = self.counters()
        except EnvoySilent:
            return {}
        found = {}
        for name, of_name in counters.items():
            if name in names and of_name.accepted:
                found[name] = Verdict(accepted=True)
            elif name in names and (of_name.rejected or of_name.failed):
                found[name] = Verdict(accepted=False, reason=f"{REJECTED}, or a secret used together with it")
        return found

    def earlier(self, names: Iterable[str]) -> Mapping[str, EnvoyResource]:
        """Read the files."""
        found = {}
        for name in names:
            try:
                response = read_json(self._files.read(name))
                (body,) = response["resources"]
                found[name] = earlier_resource(response["version_info"], body)
            except (ValueError, KeyError, TypeError):
                continue  # there is no such file, or it is not ours
        return found

    def counters(self) -> dict[str, SecretCounters]:
        """Envoy's counters by name; EnvoySilent if it does not answer."""
        from entrypoint.envoy.acceptance import secret_counters  # not needed to install

        try:
            return (self._counters_of or secret_counters)(self._admin())
        except OSError as error:
            raise EnvoySilent(str(error)) from error


class _FileTicket:
    """The ticket for a file: the version that is served, or a counter that has grown, shows the verdict."""

    def __init__(self, handover: FileHandover, name: str, version: str) -> None:
        self._handover = handover
        self._name = name
        self._version = version
        self._before = self._counters()

    def verdict(self) -> Verdict | None:
        try:
            after = self._counters()
        except EnvoySilent:
            return None
        if after.version == self._version:
            return Verdict(accepted=True)
        if (after.rejected, after.failed) > (self._before.rejected, self._before.failed):
            return Verdict(accepted=False, reason=REJECTED)
        return None

    def _counters(self) -> SecretCounters:
        from entrypoint.envoy.acceptance import SecretCounters

        return self._handover.counters().get(self._name, SecretCounters())
