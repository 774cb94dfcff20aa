"""
The child that holds keys: it fetches, checks and installs at start, then looks for new versions for ever.

The AWS runtime is loaded first, so that it connects and gets credentials while Python loads the rest.
"""

from __future__ import annotations

import _thread
import gc
import os
import time
from typing import TYPE_CHECKING

from meshcert.contract import exit_codes
from meshcert.contract.environment import LOG_LEVEL, MATERIAL_DIR, PROXY_FROM, WORKLOAD_API_SOCKET
from meshcert.values.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from socket import socket
    from typing import Never

    from entrypoint.aws.signed_connection import Session
    from entrypoint.discovery.discoveries import Discoveries
    from entrypoint.envoy.acceptance import SecretCounters
    from entrypoint.envoy.admin import Admin
    from entrypoint.envoy.handover import Handover
    from entrypoint.judging.file_reading import FileReader
    from entrypoint.judging.revocation import RevocationLists
    from entrypoint.log import Log
    from entrypoint.rotating.federation.delivery import FederationDelivery
    from entrypoint.rotating.polling import Polling
    from entrypoint.rotating.routes import RouteDelivery
    from entrypoint.settings import Settings
    from entrypoint.workload_api.delivery import SvidDelivery
    from entrypoint.workload_api.settings import WorkloadApiSettings
    from entrypoint.workload_api.store import SvidStore
    from meshcert.errors import SettingsInvalid
    from meshcert.proxy import BackendTls

_WORKLOADS_WAIT_S = 5.0
"""How long an application's calls wait for a start, seconds; then they are answered that there is nothing yet."""


class WatcherArguments(NamedTuple):
    """
    The arguments that the supervisor passes to the watcher.

    Args:
        started: When the container started, in monotonic time.
        envoy: Tells Envoy's process id; 0 while there is none.
        installed: True if an earlier watcher has handed every secret over.
        accepted: True if Envoy has accepted every secret.
        report: Sends a byte of :mod:`entrypoint.container.reports` to the supervisor.
        sds_socket: The socket on which Envoy asks for its secrets; None if they are files.
        workload_socket: The socket on which the application asks for its SVIDs; None if there is none.
    """

    environ: Mapping[str, str]
    started: float
    supervisor: int
    envoy: Callable[[], int]
    installed: bool
    accepted: bool
    report: Callable[[bytes], object]
    sds_socket: socket | None = None
    workload_socket: socket | None = None


def run(arguments: WatcherArguments) -> int:
    """
    Watch until something ends that, and return the reason.

    Returns:
        One of :data:`meshcert.contract.exit_codes.EXIT_CODES`.
    """
    try:
        return _run(arguments)
    except Exception as error:  # noqa: BLE001  the last line of defence: no traceback, whose values could be secret
        from entrypoint.container.relay import relayed_log

        _tell(error, relayed_log(arguments.environ.get(LOG_LEVEL, "")))
        return exit_codes.INTERNAL


def _tell(error: Exception, log: Log) -> None:
    from entrypoint.log import place_of

    log.error("internal-fault", error=type(error).__name__, place=place_of(error))
    log.flush()


def _run(arguments: WatcherArguments) -> int:
    # A start loads two hundred modules and leaves no garbage in circles, but would be searched for it again and again.
    gc.disable()
    aws = _begin_aws(arguments.environ)

    # Everything else is loaded while the connection is being made and the credentials are fetched.
    from entrypoint.container import process
    from entrypoint.container.relay import relayed_log
    from entrypoint.container.reports import ACCEPTED, INSTALLED
    from entrypoint.rotating.first_delivery import exit_code_of
    from entrypoint.settings import Settings
    from meshcert.errors import MeshcertError

    process.end_with_parent(arguments.supervisor)
    process.hide_memory()
    log = relayed_log(arguments.environ.get(LOG_LEVEL, ""))
    try:
        settings = Settings.from_environ(arguments.environ, _stored_settings(arguments, aws))
        assert aws is not None
        parts = _Parts(arguments, settings, aws, log)
        deadline = arguments.started + settings.start_deadline_s
        parts.begin_discovery()
        if not parts.resumes:
            parts.begin_routes(deadline)
            parts.first.install(deadline)
            parts.install_routes()
            parts.await_discovery()
            arguments.report(INSTALLED)
        parts.serve()
        if not arguments.accepted:
            if parts.routes is not None:
                parts.routes.wait_for_envoy()
            parts.await_every_backend()
            parts.first.wait_for_envoy()
            arguments.report(ACCEPTED)
        if parts.resumes:
            from entrypoint.rotating.resuming import resume

            resume(parts.secrets, parts.handover, parts.source, log, time.sleep)
            if parts.federation is not None:
                parts.federation.resume()
        parts.offer_svids()
    except MeshcertError as error:
        code = exit_code_of(error)
        log.error("start-failed", error=type(error).__name__, reason=str(error), exit_code=code)  # noqa: TRY400  ours
        log.flush()
        return code
    gc.freeze()  # what is loaded stays, and is not searched again
    gc.enable()
    return _polling(arguments, settings, aws, parts, log).run()


class _Aws:
    """The AWS session and connection, begun before anything else is loaded."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        from entrypoint.aws.endpoint import secrets_manager_endpoint  # the supervisor needs none of this
        from entrypoint.aws.signed_connection import Session, SignedConnection
        from entrypoint.platform import platform_of

        region = environ.get("AWS_REGION", "")
        endpoint = secrets_manager_endpoint(region, environ)
        self.platform = platform_of(environ)
        self.session = Session.begin(environ, self.platform.credentials)
        self.connection = SignedConnection(endpoint, region, "secretsmanager", self.session)


def _begin_aws(environ: Mapping[str, str]) -> _Aws | None:
    """Begin the session and the connection; None if the environment is wrong, which the settings report."""
    try:
        return _Aws(environ)
    except ValueError:
        return None


def _stored_settings(arguments: WatcherArguments, aws: _Aws | None) -> str:
    """The proxy's settings, if the environment only names them; empty if it does not, or if it is wrong."""
    if aws is None or not arguments.environ.get(PROXY_FROM):
        return ""
    from entrypoint.stored_settings import fetch_settings  # few proxies have so many settings

    return fetch_settings(arguments.environ, arguments.started, aws.session)


class _Parts:
    """The parts of a watcher's start, put together."""

    def __init__(self, arguments: WatcherArguments, settings: Settings, aws: _Aws, log: Log) -> None:
        from entrypoint.aws.secrets_manager import SecretsReader
        from entrypoint.rotating.first_delivery import FirstDelivery
        from entrypoint.rotating.secret import secrets_of
        from entrypoint.rotating.source import SecretSource
        from meshcert.proxy import DeliveryMode

        over_socket = settings.proxy.delivery is DeliveryMode.SDS
        ways = _over_socket(arguments, settings, log) if over_socket else _by_files(settings)
        self.handover, endpoints, routes, self.serve = ways
        self.secrets = secrets_of(settings.proxy, self.handover)
        lists = _revocation_lists(arguments, settings, aws.session)
        reader = SecretsReader(aws.connection)
        self.source = SecretSource(reader, time.time, lists, _files(settings))
        self.federation: FederationDelivery | None = None
        if settings.proxy.federated_trusts:
            from entrypoint.rotating.federation.delivery import FederationDelivery  # few proxies have foreign peers

            self.federation = FederationDelivery(settings.proxy, self.secrets, reader, self.handover, log=log)
        self.first = FirstDelivery(
            settings, self.secrets, self.source, self.handover, log=log, federation=self.federation
        )
        # What an earlier watcher had in memory is lost; until Envoy has all of it, this is a new start.
        self.resumes = arguments.accepted if over_socket else arguments.installed
        self.discovery: Discoveries | None = None
        if settings.proxy.discovered:
            from entrypoint.discovery.discoveries import Discoveries  # a proxy that calls nobody needs none of it

            self.discovery = Discoveries(
                settings, arguments.environ, aws.session, endpoints, resumes=self.resumes, log=log
            )
        self.routes: RouteDelivery | None = None
        if settings.proxy.route_table:
            from entrypoint.rotating.routes import route_delivery

            self.routes = route_delivery(settings, arguments.environ, aws.session, routes, log)
        self._endpoints_are_files = not over_socket
        self.offer_svids = _workload_api(arguments, settings, self, log)

    def begin_discovery(self) -> None:
        """Begin to ask for endpoints, while the secrets are fetched."""
        if self.discovery is None:
            return
        if self._endpoints_are_files and not self.resumes:
            with self.first.writing():
                for each in self.discovery:
                    each.prepare()
        for each in self.discovery:
            each.start()

    def begin_routes(self, deadline: float) -> None:
        """Begin to read the route table, while the secrets are fetched."""
        if self.routes is not None:
            self.routes.begin(deadline)

    def install_routes(self) -> None:
        """Hand the route table over; raises as :meth:`RouteDelivery.install`, with SettingsInvalid for OSError."""
        if self.routes is not None:
            with self.first.writing():
                self.routes.install()

    def await_discovery(self) -> None:
        """Wait for endpoints if Envoy would start without them; over the socket it waits for them itself."""
        if self.discovery is not None and self._endpoints_are_files:
            from meshcert.envoy.endpoints import FIRST_ENDPOINTS_WITHIN_S  # loaded by the configuration

            self.discovery.wait(FIRST_ENDPOINTS_WITHIN_S)

    def await_every_backend(self) -> None:
        """Wait until Cloud Map, or DNS in its place, has answered about every backend; that takes 20 s at most."""
        if self.discovery is not None:
            from entrypoint.discovery.discovery import HEALTHY_WITHIN_S  # loaded by now

            self.discovery.wait(HEALTHY_WITHIN_S)


def _polling(arguments: WatcherArguments, settings: Settings, aws: _Aws, parts: _Parts, log: Log) -> Polling:
    # None of this delays a start: Envoy has its secrets by now.
    from entrypoint.rotating.acknowledgements import acknowledgement_writer
    from entrypoint.rotating.polling import Polling
    from entrypoint.rotating.rotation import Rotation
    from entrypoint.rotating.standing import Standings
    from entrypoint.trial.trial import Trial
    from meshcert.envoy import roots_name
    from meshcert.tls_sources import FederatedTrust

    proxy, secrets = settings.proxy, parts.secrets
    federation = parts.federation

    def roots(tls: BackendTls) -> str:
        if federation is not None and isinstance(tls.trust, FederatedTrust):
            return federation.roots(tls)
        return secrets[roots_name(tls.trust)].roots

    trial = Trial(proxy, settings.addresses, roots, log)
    by_dns = parts.discovery.found_by_dns if parts.discovery else tuple
    waiting = federation.trouble if federation else str
    standings = Standings(proxy, secrets, _admin(settings), by_dns, waiting)
    rotation = Rotation(proxy, secrets, parts.source, trial=trial, standings=standings, log=log)
    acknowledgements = acknowledgement_writer(
        settings, arguments.environ, aws.platform, aws.session, log, files=standings.files
    )
    routes = parts.routes

    def look() -> None:
        if routes is not None:
            # First: it takes one call, and a rotation may take long.
            routes.look()
        rotation.look()
        if federation is not None:
            federation.look(standings.shown)
        parts.offer_svids()

    if routes is None:
        return Polling(proxy.poll_interval_s, look, standings, acknowledgements)
    return Polling(proxy.poll_interval_s, look, standings, acknowledgements, routes=routes.standing)


def _files(settings: Settings) -> FileReader | None:
    if not (settings.proxy.certificate_files or settings.proxy.trust_files):
        return None
    from entrypoint.judging.file_reading import FileReader

    return FileReader()


def _revocation_lists(arguments: WatcherArguments, settings: Settings, session: Session) -> RevocationLists | None:
    from meshcert.proxy import Revocation  # loaded by the settings

    if all(bundle.revocation is Revocation.NONE for bundle in settings.proxy.trust_bundles.values()):
        return None
    from entrypoint.judging.revocation import revocation_lists

    return revocation_lists(arguments.environ, settings.region, session, time.time)


def _by_files(settings: Settings) -> tuple[Handover, Handover, Handover, Callable[[], object]]:
    """The handovers of secrets, of endpoints and of routes; Envoy itself reads the files."""
    from entrypoint.envoy.handover import FileHandover
    from entrypoint.envoy.install import ResourceFiles

    def counters(admin: Admin) -> dict[str, SecretCounters]:
        from entrypoint.envoy.acceptance import route_counters  # not needed to install

        return route_counters(admin)

    folders = (settings.paths.secrets, settings.paths.endpoints)
    secrets, endpoints = (FileHandover(ResourceFiles(folder), lambda: _admin(settings)) for folder in folders)
    routes = FileHandover(ResourceFiles(settings.paths.routes), lambda: _admin(settings), counters)
    return secrets, endpoints, routes, lambda: None


def _over_socket(
    arguments: WatcherArguments, settings: Settings, log: Log
) -> tuple[Handover, Handover, Handover, Callable[[], object]]:
    """
    The handovers over the socket, and how to start its server, whose thread loads HTTP/2 while Envoy starts.

    Loaded during the fetch, it would delay the checks: only one Python thread runs at a time.
    """
    from entrypoint.rotating.secret import wanted_secrets
    from entrypoint.sockets import Stores
    from entrypoint.xds.endpoints import ENDPOINTS, endpoints_body
    from entrypoint.xds.handover import SocketHandover
    from entrypoint.xds.resources import ResourceStore
    from entrypoint.xds.routes import ROUTES, route_configuration_body
    from entrypoint.xds.secrets import SECRETS, secret_body
    from meshcert.envoy import roots_name, route_names

    if (listener := arguments.sds_socket) is None:
        raise _no_socket(MATERIAL_DIR, f"in {settings.paths.folder}")
    names = [wanted.name for wanted in wanted_secrets(settings.proxy)]
    names += map(roots_name, settings.proxy.federated_trusts)
    stores = Stores(
        ResourceStore(SECRETS, names),
        ResourceStore(ENDPOINTS, (backend.name for backend in settings.proxy.discovered)),
        ResourceStore(ROUTES, route_names(settings.proxy)),
    )

    def run_server() -> Never:
        from entrypoint.sockets import serve

        serve(listener, stores, log, arguments.envoy)

    def admin() -> Admin:
        return _admin(settings)

    return (
        SocketHandover(stores.secrets, secret_body, admin),
        SocketHandover(stores.endpoints, endpoints_body, admin),
        SocketHandover(stores.routes, route_configuration_body, admin),
        _in_thread(run_server, log),
    )


def _workload_api(arguments: WatcherArguments, settings: Settings, parts: _Parts, log: Log) -> Callable[[], object]:
    """
    Begin to serve the SPIFFE Workload API, and return what offers the SVIDs that Envoy serves by then.

    Nobody asks before the container is healthy, as ECS starts the application after that; so its server loads HTTP/2
    when Envoy has accepted its secrets. If that takes long, it answers meanwhile that there is nothing yet.
    """
    if (wanted := settings.workload_api) is None:
        return bool
    from entrypoint.workload_api.store import SvidStore

    if (listener := arguments.workload_socket) is None:
        raise _no_socket(WORKLOAD_API_SOCKET, f"at {wanted.socket_path}")
    store = SvidStore()
    waiting = _thread.allocate_lock()
    waiting.acquire()
    delivery: SvidDelivery | None = None

    def run_server() -> Never:
        waiting.acquire(timeout=_WORKLOADS_WAIT_S)
        from entrypoint.sockets import serve_workloads

        serve_workloads(listener, store, wanted.users, log)

    _in_thread(run_server, log)()

    def offer() -> None:
        nonlocal delivery
        if delivery is None:
            delivery = _svid_delivery(wanted, parts, store, log)
        delivery.look()
        if waiting.locked():
            waiting.release()

    return offer


def _svid_delivery(wanted: WorkloadApiSettings, parts: _Parts, store: SvidStore, log: Log) -> SvidDelivery:
    # Not before Envoy has its secrets: the application starts after that.
    from entrypoint.rotating.resuming import fetch_again
    from entrypoint.workload_api.delivery import DeliveredSecrets, SvidDelivery
    from meshcert.envoy import identity_name, trust_name

    offered = DeliveredSecrets(
        identities={name: parts.secrets[identity_name(name)] for name in wanted.spiffe_ids},
        bundles=tuple(parts.secrets[trust_name(name)] for name in wanted.bundles),
        complete=lambda secret: fetch_again(secret, parts.source),
        foreign=parts.federation.foreign_bundles if parts.federation else dict,
    )
    return SvidDelivery(wanted, offered, store, log, time.time)


def _in_thread(run_server: Callable[[], Never], log: Log) -> Callable[[], object]:
    """How to start a server in a thread of its own; ``threading`` is not loaded for that alone."""

    def run() -> None:
        try:
            run_server()
        except Exception as error:  # noqa: BLE001  without this thread nobody gets anything: a new watcher has one
            _tell(error, log)
            os._exit(exit_codes.INTERNAL)

    return lambda: _thread.start_new_thread(run, ())


def _no_socket(variable: str, place: str) -> SettingsInvalid:
    from meshcert.errors import Fault, SettingsInvalid

    fault = Fault(variable, f"no socket could be made {place}", "An earlier line of this log says why")
    return SettingsInvalid("environment", (fault,))


def _admin(settings: Settings) -> Admin:
    from entrypoint.envoy.admin import Admin  # loaded while Envoy reads its configuration

    return Admin(settings.addresses.loopback)
