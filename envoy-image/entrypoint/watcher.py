"""
The child that holds keys: fetch, pre-flight and install at start, then look for new versions for ever.

The AWS runtime is loaded first, because it then connects and gets credentials while Python loads the rest.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from meshcert.contract import exit_codes
from meshcert.contract.environment import LOG_LEVEL, MATERIAL_DIR

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from socket import socket

    from entrypoint.aws.signed_connection import Session, SignedConnection
    from entrypoint.envoy.admin import Admin
    from entrypoint.envoy.handover import Handover
    from entrypoint.judging.revocation import RevocationLists
    from entrypoint.log import Log
    from entrypoint.rotating.delivery import Delivery
    from entrypoint.settings import Settings
    from entrypoint.xds.handover import SocketHandover


class Task(NamedTuple):
    """
    What the supervisor tells the watcher.

    Args:
        environ: The container's environment.
        started: When the container started, on the monotonic clock.
        supervisor: Process id of the supervisor.
        installed: Whether an earlier watcher has installed every secret.
        accepted: Whether Envoy has accepted every secret.
        report: Takes what :mod:`entrypoint.container.reports` lists.
        sds_socket: On which Envoy asks for its secrets; None if they are files.
    """

    environ: Mapping[str, str]
    started: float
    supervisor: int
    installed: bool
    accepted: bool
    report: Callable[[bytes], object]
    sds_socket: socket | None = None


def run(task: Task) -> int:
    """
    Watch until something ends it.

    Args:
        task: From the supervisor.

    Returns:
        Why it ended, one of :data:`meshcert.contract.exit_codes.EXIT_CODES`.
    """
    try:
        return _run(task)
    except Exception as error:  # noqa: BLE001  the last line of defence: no traceback, whose values could be secret
        from entrypoint.log import Log, place_of

        Log(task.environ.get(LOG_LEVEL, "")).error("internal-fault", error=type(error).__name__, place=place_of(error))
        return exit_codes.INTERNAL


def _run(task: Task) -> int:
    early = _begin_early(task.environ)

    # Everything else is loaded while the connection is being made and credentials are fetched.
    from entrypoint.aws.secrets_manager import SecretsManager
    from entrypoint.container import process
    from entrypoint.container.reports import ACCEPTED, INSTALLED
    from entrypoint.log import Log
    from entrypoint.rotating.delivery import Delivery
    from entrypoint.rotating.first_delivery import FirstDelivery, exit_code_of
    from entrypoint.settings import Settings
    from meshcert.errors import MeshcertError
    from meshcert.proxy import Delivery as DeliveryKind

    process.end_with_parent(task.supervisor)
    process.hide_memory()
    log = Log(task.environ.get(LOG_LEVEL, ""))
    try:
        settings = Settings.from_environ(task.environ)
        assert early is not None
        over_socket = settings.proxy.delivery is DeliveryKind.SDS
        handover = _over_socket(task, settings, log) if over_socket else _by_files(settings)
        lists = _revocation_lists(task, settings, early.session)
        delivery = Delivery(SecretsManager(early.connection), handover, time.time, lists)
        first = FirstDelivery(settings, delivery, log)
        # What an earlier watcher had in memory died with it; until Envoy has all of it, that is a new start.
        if not (task.accepted if over_socket else task.installed):
            first.install(task.started + settings.start_deadline_s)
            task.report(INSTALLED)
        handover.begin()
        if not task.accepted:
            first.wait_for_envoy()
            task.report(ACCEPTED)
        elif over_socket:
            _resume(handover, delivery, settings, log)
    except MeshcertError as error:
        code = exit_code_of(error)
        log.error("start-failed", error=type(error).__name__, reason=str(error), exit_code=code)  # noqa: TRY400  ours
        return code

    from entrypoint.rotating.acknowledgements import acknowledgements_of
    from entrypoint.rotating.rotation import Rotation

    acknowledgements = acknowledgements_of(settings, task.environ, early.session, log)
    return Rotation(settings, delivery, log, acknowledgements=acknowledgements).run()


def _revocation_lists(task: Task, settings: Settings, session: Session) -> RevocationLists | None:
    from meshcert.proxy import Revocation  # loaded by the settings

    if all(bundle.revocation is Revocation.NONE for bundle in settings.proxy.trust_bundles.values()):
        return None
    from entrypoint.judging.revocation import revocation_lists

    return revocation_lists(task.environ, settings.region, session, time.time)


def _by_files(settings: Settings) -> Handover:
    from entrypoint.envoy.handover import FileHandover
    from entrypoint.envoy.install import SecretFiles

    return FileHandover(SecretFiles(settings.paths.secrets), lambda: _admin(settings))


def _over_socket(task: Task, settings: Settings, log: Log) -> SocketHandover:
    """
    Secrets for the socket. HTTP/2 is loaded by the server's thread, so while Envoy reads its configuration.

    Beside the fetch it would be in the way of the checks: only one thread of Python runs at a time.
    """
    import threading

    from entrypoint.rotating.delivery import wanted_secrets
    from entrypoint.xds.handover import SocketHandover
    from entrypoint.xds.resources import ResourceStore
    from entrypoint.xds.secrets import SECRETS
    from meshcert.errors import Fault, SettingsInvalid

    if (listener := task.sds_socket) is None:
        problem = f"no socket could be made in {settings.paths.folder}"
        raise SettingsInvalid("environment", (Fault(MATERIAL_DIR, problem, "An earlier line of this log says why"),))
    store = ResourceStore(SECRETS, (wanted.name for wanted in wanted_secrets(settings.proxy)))

    def in_thread() -> None:
        try:
            from entrypoint.sockets import serve

            serve(listener, store, log, task.supervisor)
        except Exception as error:  # noqa: BLE001  without this thread Envoy gets nothing: a new watcher has one
            from entrypoint.log import place_of

            log.error("internal-fault", error=type(error).__name__, place=place_of(error))  # noqa: TRY400  ours
            os._exit(exit_codes.INTERNAL)

    return SocketHandover(store, threading.Thread(target=in_thread, name="sds", daemon=True).start)


def _resume(handover: Handover, delivery: Delivery, settings: Settings, log: Log) -> None:
    """Go on where an earlier watcher ended."""
    from entrypoint.rotating.delivery import wanted_secrets
    from entrypoint.xds.handover import SocketHandover, ask_envoy, resume

    assert isinstance(handover, SocketHandover)
    ask_envoy(handover, _admin(settings), time.sleep, log)
    resume(handover, delivery, wanted_secrets(settings.proxy), log)


def _admin(settings: Settings) -> Admin:
    from entrypoint.envoy.admin import Admin  # its HTTP client is loaded while Envoy reads its configuration

    return Admin(settings.addresses.loopback)


class _Early(NamedTuple):
    session: Session
    connection: SignedConnection


def _begin_early(environ: Mapping[str, str]) -> _Early | None:
    """Credentials and the connection to AWS, on their way; None if the environment misleads, as the settings report."""
    from entrypoint.aws.endpoint import secrets_manager_endpoint  # the supervisor needs none of this
    from entrypoint.aws.signed_connection import Session, SignedConnection

    region = environ.get("AWS_REGION", "")
    try:
        endpoint = secrets_manager_endpoint(region, environ)
        session = Session.begin(environ)
    except ValueError:
        return None
    return _Early(session, SignedConnection(endpoint, region, "secretsmanager", session))
