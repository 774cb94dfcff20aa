"""The start of a watcher whose predecessor has died: it goes on with what Envoy serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrypoint.envoy.handover import EnvoySilent
from entrypoint.rotating.secret import SecretContent
from meshcert.errors import MeshcertError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from entrypoint.envoy.handover import EnvoyResource, Handover
    from entrypoint.log import Log
    from entrypoint.rotating.secret import Secret
    from entrypoint.rotating.source import SecretSource

ASK_ENVOY_EVERY_S = 0.2


def resume(
    secrets: Mapping[str, Secret],
    handover: Handover,
    source: SecretSource,
    log: Log,
    sleep: Callable[[float], object],
) -> None:
    """
    Take up what an earlier watcher handed over, and keep it at hand. Returns when Envoy has answered.

    Nothing may be handed over before it is known what is served, because it could be older. Secrets that only Envoy
    has completely are fetched again. If AWS has another version by now, or does not answer, Envoy keeps what it has,
    and the rotation goes on from there.

    Args:
        secrets: All secrets of the proxy, by SDS name.
        handover: Finds out what was handed over, from Envoy if necessary.
        log: Takes ``envoy-silent`` and ``secret-not-at-hand``.
        sleep: Waits that many seconds.
    """
    for name, envoy in earlier_resources(secrets, handover, log, sleep).items():
        try:
            secrets[name].take_up(SecretContent.of_envoy(envoy))
        except ValueError as error:
            log.warning("secret-not-at-hand", secret=name, error=type(error).__name__, reason=str(error))
    for secret in secrets.values():
        if secret.content and secret.content.envoy.complete:
            continue
        try:
            fetch_again(secret, source)
        except MeshcertError as error:
            log.warning("secret-not-at-hand", secret=secret.name, error=type(error).__name__, reason=str(error))


def fetch_again(secret: Secret, source: SecretSource) -> None:
    """
    Have all of what Envoy serves at hand again, if it is still the current version; raises as the source does.

    A bundle's lists may be newer by now; it is still the same version of the secret.
    """
    content = source.fetch(secret.wanted)
    if content.version_id == secret.version_id:
        secret.put(content)


def earlier_resources(
    names: Iterable[str], handover: Handover, log: Log, sleep: Callable[[float], object]
) -> Mapping[str, EnvoyResource]:
    """What an earlier watcher handed over; the arguments are those of :func:`resume`, and it returns as that does."""
    silent = False
    while True:
        try:
            return handover.earlier(names)
        except EnvoySilent as error:
            if not silent:
                log.warning("envoy-silent", reason=str(error))
            silent = True
            sleep(ASK_ENVOY_EVERY_S)
