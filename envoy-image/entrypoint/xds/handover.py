"""Secrets handed to Envoy over the socket: in this process's memory, and in no file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from entrypoint.envoy.handover import REJECTED, Verdict
from entrypoint.xds.resources import VersionedResource
from entrypoint.xds.secrets import secret_body
from meshcert.envoy.secrets import discovery_response
from meshcert.errors import MeshcertError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from entrypoint.envoy.acceptance import SecretCounters
    from entrypoint.envoy.admin import Admin
    from entrypoint.log import Log
    from entrypoint.rotating.delivery import Delivery, Wanted
    from entrypoint.xds.resources import ResourceStatus, ResourceStore
    from meshcert.envoy.api import Json

ASK_ENVOY_EVERY_S = 0.2


class SocketHandover:
    """
    By the socket: secrets are offered in a store, and Envoy's ACK or NACK of each arrives there.

    Args:
        store: From which the server takes them.
        serve: Starts the server.
    """

    look_every_s = 0.002

    def __init__(self, store: ResourceStore, serve: Callable[[], object]) -> None:
        self._store = store
        self._serve = serve
        self._handed: dict[str, bytes] = {}
        self._shown_by_envoy: dict[str, bytes] = {}

    def install(self, name: str, resource: Json, version: str) -> bytes:
        """Offer it from now on; see :meth:`entrypoint.envoy.handover.Handover.install`."""
        self._store.offer(name, VersionedResource(version, secret_body(resource)))
        self._handed[name] = json.dumps(discovery_response(resource, version)).encode()
        return self._handed[name]

    def begin(self) -> None:
        """Start the server. Envoy may have been waiting on its socket for a while."""
        self._serve()

    def write(self, name: str, content: bytes) -> None:
        """Offer it again, or nothing if only Envoy has it; see :meth:`entrypoint.envoy.handover.Handover.write`."""
        self._handed[name] = content
        if not content or content == self._shown_by_envoy.get(name):
            self._store.withdraw(name)
            return
        response = json.loads(content)
        self._store.offer(name, VersionedResource(response["version_info"], secret_body(response["resources"][0])))

    def read(self, name: str) -> bytes:
        """Of what an earlier watcher handed over, not the key; see :meth:`entrypoint.envoy.handover.Handover.read`."""
        return self._handed.get(name, b"")

    def before(self, name: str) -> SecretCounters | None:
        """Nothing: Envoy's answer comes with the version it is about."""
        del name
        from entrypoint.envoy.acceptance import SecretCounters  # not needed to install

        return SecretCounters()

    def verdict(self, name: str, version: str, before: SecretCounters) -> Verdict | None:
        """An ACK or a NACK; see :meth:`entrypoint.envoy.handover.Handover.verdict`."""
        del before
        return _verdict(self._store.status(name, version))

    def first_verdicts(self, names: Iterable[str]) -> Mapping[str, Verdict]:
        """See :meth:`entrypoint.envoy.handover.Handover.first_verdicts`."""
        return {name: verdict for name in names if (verdict := _verdict(self._store.status(name)))}

    def learn(self, admin: Admin) -> None:
        """
        Read from Envoy what an earlier watcher handed over: versions and certificates; it shows no key.

        Args:
            admin: Its administration interface.

        Raises:
            OSError: If Envoy does not answer, or not as Envoy does.
        """
        text = admin.get("/config_dump?resource=dynamic_active_secrets")
        try:
            for entry in json.loads(text).get("configs", ()):
                if version := entry.get("version_info", ""):
                    content = json.dumps(discovery_response(entry["secret"], version)).encode()
                    self._handed[entry["name"]] = self._shown_by_envoy[entry["name"]] = content
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ConnectionError(f"/config_dump: the answer cannot be read ({type(error).__name__})") from error


def resume(handover: SocketHandover, delivery: Delivery, wanted: Iterable[Wanted], log: Log) -> None:
    """
    After the death of an earlier watcher: fetch what Envoy serves anew, so that it can be had over the socket again.

    What AWS holds by now may be something else, or not to be had. Envoy keeps what it has, and the rotation goes on
    from there.

    Args:
        handover: Knows what Envoy serves.
        delivery: Fetches and checks.
        wanted: Every secret.
        log: For what a person must know.
    """
    for one in wanted:
        try:
            checked = delivery.fetch(one)
        except MeshcertError as error:
            log.warning("secret-not-at-hand", secret=one.name, error=type(error).__name__, reason=str(error))
            continue
        # Of a bundle the lists may be newer by now, which is no other version of the secret.
        if checked.version.partition(".")[0] == delivery.served(one).secret_version:
            handover.install(one.name, checked.resource, checked.version)


def ask_envoy(handover: SocketHandover, admin: Admin, sleep: Callable[[float], object], log: Log) -> None:
    """
    Have a handover learn what Envoy serves; it returns when Envoy has answered.

    Without that knowledge nothing may be handed over: it could be older than what is served.

    Args:
        handover: That of this watcher.
        admin: Envoy's administration interface.
        sleep: Waits that many seconds.
        log: For what a person must know.
    """
    silent = False
    while True:
        try:
            return handover.learn(admin)
        except OSError as error:
            if not silent:
                log.warning("envoy-silent", reason=str(error))
            silent = True
            sleep(ASK_ENVOY_EVERY_S)


def _verdict(status: ResourceStatus | None) -> Verdict | None:
    """The verdict that Envoy's ACK or NACK is; ours comes before its reason for a refusal."""
    if status is None:
        return None
    if status.acknowledged:
        return Verdict(accepted=True)
    return Verdict(accepted=False, reason=f"{REJECTED}: {status.reason}" if status.reason else REJECTED)
