"""
This container's Unix sockets: what is served on each, and to whom. Services and sockets meet only here.

The supervisor binds a socket before it starts Envoy, and never closes it. So Envoy can always connect, even while a
watcher that died is being replaced: its connection waits in the queue until the next watcher accepts it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from meshcert.contract.environment import PROXY, PROXY_FROM, WORKLOAD_API_SOCKET
from meshcert.values.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from socket import socket
    from typing import Never

    from entrypoint.grpc.server import ServedSocket
    from entrypoint.grpc.socket import Peer
    from entrypoint.log import Log
    from entrypoint.workload_api.store import SvidStore
    from entrypoint.xds.resources import ResourceStore

_LONGEST_NAME = 100


class Stores(NamedTuple):
    """What Envoy is offered over its socket: a store for each type."""

    secrets: ResourceStore
    endpoints: ResourceStore
    routes: ResourceStore


def is_wanted(environ: Mapping[str, str]) -> bool:
    """
    Return whether this container's secrets are delivered over a socket.

    If the settings cannot be read, they are not; the watcher reports what is wrong. Settings that are still to be
    fetched may want it.
    """
    if environ.get(PROXY_FROM):
        return True
    text = environ.get(PROXY, "")
    if '"sds"' not in text:
        return False  # the word decides nothing, but without it Envoy need not wait for the parser to load
    from meshcert.bounded_json import JsonInvalid, read_json  # the watcher needs it as well, and inherits it

    try:
        return bool(read_json(text).get("delivery") == "sds")
    except (JsonInvalid, AttributeError):
        return False


def kept(listener: socket | None, environ: Mapping[str, str], path: str, log: Callable[[], Log]) -> socket | None:
    """
    Return the socket for Envoy: the existing one, or a new one if the path no longer leads to it.

    Args:
        listener: The existing socket; None at first.
        log: Called for the log only if there is something to log.

    Returns:
        None if secrets are not delivered over a socket, or if it cannot be bound, which is logged.
    """
    return _kept("sds", listener, path, 0o600, log) if is_wanted(environ) else None


def kept_for_workloads(listener: socket | None, environ: Mapping[str, str], log: Callable[[], Log]) -> socket | None:
    """
    Return the socket for the application, as :func:`kept` does that for Envoy.

    The kernel lets everybody connect to whom the folder is mounted; who is served is decided by user.
    """
    path = environ.get(WORKLOAD_API_SOCKET, "")
    return _kept("workload-api", listener, path, 0o666, log) if path else None


def _kept(name: str, listener: socket | None, path: str, mode: int, log: Callable[[], Log]) -> socket | None:
    from entrypoint.grpc.socket import bind, is_at  # most containers have no socket

    if listener is not None:
        if is_at(listener, path):
            return listener
        listener.close()
    try:
        return bind(path, mode)
    except OSError as error:
        # The watcher then ends the container, with the right exit code.
        log().error(f"{name}-socket-not-bound", reason=str(error))
        return None


def serve(listener: socket, stores: Stores, log: Log, envoy: Callable[[], int]) -> Never:
    """Serve :func:`discovery_socket` for ever, in a thread of its own."""
    from entrypoint.grpc.server import Server

    server = Server("sds", [discovery_socket(listener, stores, log, envoy)], log)
    for store in stores:
        store.on_change(server.wake)
    server.run()


def discovery_socket(listener: socket, stores: Stores, log: Log, envoy: Callable[[], int]) -> ServedSocket:
    """
    Return the socket over which Envoy gets what is delivered. Other programs of the same user may read them too.

    Args:
        envoy: Tells Envoy's process id; 0 while there is none.
    """
    from entrypoint.grpc.server import ServedSocket  # it loads HTTP/2
    from entrypoint.log import WarningsOnce
    from entrypoint.xds.subscriptions import discovery_services

    warnings = WarningsOnce(log)

    def attributes_of(peer: Peer) -> dict[str, bool]:
        # The supervisor is PID 1: orphans become its children, and whoever enters from outside has pid 0 here.
        return {"envoy": peer.pid != 0 and peer.pid == envoy()}

    def warn_of_unknown(asked: str) -> None:
        warnings.warning("sds-unknown-secret", asked=asked[:_LONGEST_NAME])

    def warn_of_unknown_backend(asked: str) -> None:
        warnings.warning("eds-unknown-backend", asked=asked[:_LONGEST_NAME])

    def warn_of_unknown_routes(asked: str) -> None:
        warnings.warning("rds-unknown-routes", asked=asked[:_LONGEST_NAME])

    def is_envoy(peer: Peer) -> bool:
        return bool(peer.attributes["envoy"])

    services = {
        **discovery_services(stores.secrets, is_envoy, warn_of_unknown),
        **discovery_services(stores.endpoints, is_envoy, warn_of_unknown_backend),
        **discovery_services(stores.routes, is_envoy, warn_of_unknown_routes),
    }
    return ServedSocket("sds", listener, services, {os.getuid()}, attributes_of=attributes_of)


def serve_workloads(listener: socket, store: SvidStore, users: Collection[int], log: Log) -> Never:
    """Serve :func:`workload_socket` for ever, in a thread of its own: an application cannot keep Envoy waiting."""
    from entrypoint.grpc.server import Server

    server = Server("workload-api", [workload_socket(listener, store, users)], log)
    store.on_change(server.wake)
    server.run()


def workload_socket(listener: socket, store: SvidStore, users: Collection[int]) -> ServedSocket:
    """
    Return the socket over which the application gets its SVIDs, and nothing of what Envoy is offered.

    Args:
        users: The only users that may ask.
    """
    from entrypoint.grpc.connection import Limits
    from entrypoint.grpc.server import ServedSocket
    from entrypoint.workload_api.service import workload_services

    # A server of many processes has a client, and so a connection, in each. Requests are empty.
    limits = Limits(connections=64, streams=8, message=1024)
    return ServedSocket("workload-api", listener, workload_services(store), users, limits)
