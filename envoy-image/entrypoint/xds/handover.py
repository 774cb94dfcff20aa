"""Resources handed to Envoy over the socket: in this process's memory, and in no file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrypoint.envoy.handover import REJECTED, EnvoySilent, Verdict, earlier_resource
from entrypoint.xds.resources import VersionedResource
from meshcert.bounded_json import read_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from entrypoint.envoy.admin import Admin
    from entrypoint.envoy.handover import EnvoyResource, Ticket
    from entrypoint.xds.resources import ResourceStatus, ResourceStore
    from meshcert.envoy.api import Json


class SocketHandover:
    """
    Resources over the socket; Envoy's ACK or NACK is the verdict. See :class:`entrypoint.envoy.handover.Handover`.

    Args:
        store: The resources that the server offers.
        body: Encodes a resource of the store's type, without its name.
        admin: Returns Envoy's administration interface. It is called only when that is first needed, because of what it
            loads.
    """

    ask_every_s = 0.002

    def __init__(self, store: ResourceStore, body: Callable[[Json], bytes], admin: Callable[[], Admin]) -> None:
        self._store = store
        self._body = body
        self._admin = admin

    def put(self, name: str, resource: EnvoyResource) -> None:
        """Offer it from now on."""
        self._store.offer(name, VersionedResource(resource.version, self._body(resource.body)))

    def hand(self, name: str, resource: EnvoyResource) -> Ticket:
        """Offer it from now on; Envoy's answer names the version that it is about."""
        self.put(name, resource)
        return _SocketTicket(self._store, name, resource.version)

    def restore(self, name: str, resource: EnvoyResource | None) -> None:
        """Offer it again, or nothing if it is missing or incomplete: Envoy keeps what it has."""
        if resource and resource.complete:
            self.put(name, resource)
        else:
            self._store.withdraw(name)

    def first_verdicts(self, names: Iterable[str]) -> Mapping[str, Verdict]:
        """Envoy's first answer to each."""
        return {name: verdict for name in names if (verdict := _verdict(self._store.status(name)))}

    def earlier(self, names: Iterable[str]) -> Mapping[str, EnvoyResource]:
        """Ask Envoy, which shows versions and certificates and no key."""
        try:
            text = self._admin().get("/config_dump?resource=dynamic_active_secrets")
        except OSError as error:
            raise EnvoySilent(str(error)) from error
        try:
            return {
                entry["name"]: earlier_resource(version, entry["secret"], complete=False)
                for entry in read_json(text).get("configs", ())
                if (version := entry.get("version_info", "")) and entry["name"] in names
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EnvoySilent(f"/config_dump: the answer cannot be read ({type(error).__name__})") from error


class _SocketTicket:
    def __init__(self, store: ResourceStore, name: str, version: str) -> None:
        self._store = store
        self._name = name
        self._version = version

    def verdict(self) -> Verdict | None:
        return _verdict(self._store.status(self._name, self._version))


def _verdict(status: ResourceStatus | None) -> Verdict | None:
    """The verdict for Envoy's ACK or NACK, with a text of ours before its reason for a refusal."""
    if status is None:
        return None
    if status.acknowledged:
        return Verdict(accepted=True)
    return Verdict(accepted=False, reason=f"{REJECTED}: {status.reason}" if status.reason else REJECTED)
