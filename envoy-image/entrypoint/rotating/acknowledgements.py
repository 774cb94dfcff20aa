"""
Acknowledgements: what this task serves, in one row of a DynamoDB table that the renewal function reads.

They are never urgent for the proxy itself: they are written between two looks at the secrets, every wait has a limit,
and a failure is logged and nothing more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from entrypoint.aws.dynamodb import DynamoDb
from entrypoint.aws.endpoint import dynamodb_endpoint
from entrypoint.aws.retrying import ProcessClock
from entrypoint.aws.signed_connection import SignedConnection
from entrypoint.envoy.admin import Admin
from entrypoint.log import place_of
from entrypoint.rotating.permissive import PermissiveListeners
from meshcert.contract import acknowledgements as field
from meshcert.errors import MeshcertError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from entrypoint.aws.dynamodb import Value
    from entrypoint.aws.signed_connection import Session
    from entrypoint.log import Log
    from entrypoint.platform import ContainerPlatform
    from entrypoint.rotating.permissive import PermissiveCounts
    from entrypoint.rotating.routes import RouteStanding
    from entrypoint.rotating.standing import FileStanding, Standing
    from entrypoint.settings import Settings
    from meshcert.proxy import ProxySettings

LONGEST_WRITE_S = 10.0
"""Longest time of one attempt, in which every wait takes its full limit, seconds."""

_FIRST_RETRY_S = 1.0
_LONGEST_RETRY_S = 60.0
_KEPT_AFTER_S = 86_400
"""Seconds for which the row of a task that is gone is kept, beyond three intervals."""


class ItemTable(Protocol):
    """Stores rows; :class:`entrypoint.aws.dynamodb.DynamoDb` in the container."""

    def put(self, table: str, item: Mapping[str, Value]) -> None:
        """Replace a row; raises MeshcertError if that fails."""


class AcknowledgementWriter:
    """
    Writes a change at once, and repeats it from time to time. Only the latest state counts; missed ones stay missed.

    Args:
        proxy: Names the table, the service and the interval.
        find_task: Returns this task's ARN; raises ConnectionError if the platform does not answer now.
        log: Takes ``acknowledgement-waits``, ``acknowledgement-recovered`` and ``acknowledged``.
        clock: For intervals and the time.
        count: Returns what each PERMISSIVE listener has been asked, by its port. It is asked at every look, so that the
            time of the last request in plain text is good to one. The first over TLS and the first in plain text are
            told at once, further ones with the next row that is due.
        files: Returns the standing of what comes from files of the user's, by its SDS name.
        settings: The version of the proxy's settings, if a row had them.
    """

    def __init__(
        self,
        proxy: ProxySettings,
        table: ItemTable,
        find_task: Callable[[], str],
        log: Log,
        clock: ProcessClock | None = None,
        *,
        count: Callable[[], Mapping[int, PermissiveCounts]] = dict,
        files: Callable[[], Mapping[str, FileStanding]] = dict,
        settings: str = "",
    ) -> None:
        self._proxy = proxy
        self._table = table
        self._find_task = find_task
        self._log = log
        self._clock = clock or ProcessClock()
        self._count = count
        self._files = files
        self._settings = settings
        self._told_files: Mapping[str, FileStanding] = {}
        self._task = ""
        self._standings: Mapping[str, Standing] = {}
        self._routes: RouteStanding | None = None
        self._counts: Mapping[int, PermissiveCounts] = {}
        self._attempts = 0
        self._reasons: set[str] = set()
        self.due_at = 0.0
        """When the row is written next if nothing changes, in monotonic time."""

    def write(self, standings: Mapping[str, Standing], routes: RouteStanding | None = None) -> None:
        """
        Write this task's row if it is due or something has changed; never raises.

        Args:
            standings: By identity name; empty while they are unknown.
            routes: Of the route table; None for a proxy without one.
        """
        files = self._files()
        if not standings and not files:
            return
        counts = self._count()
        seen, self._counts = _ways_seen(self._counts), counts
        told = (self._standings, self._told_files, self._routes, seen)
        if (standings, files, routes, _ways_seen(counts)) != told:
            self._standings, self._told_files, self._routes = dict(standings), files, routes
            self._attempts = 0
        elif self._clock.monotonic() < self.due_at:
            return
        try:
            self._put()
        except (MeshcertError, ConnectionError) as error:
            self._failed(str(error))
        except Exception as error:  # noqa: BLE001  rotating must go on, whatever this is
            self._failed(f"internal fault: {type(error).__name__} at {place_of(error)}")
        else:
            self._succeeded()

    def _put(self) -> None:
        self._task = self._task or self._find_task()
        at = int(self._clock.now())
        item = row(
            self._proxy,
            self._task,
            at,
            self._standings,
            self._routes,
            counts=self._counts,
            files=self._told_files,
            settings=self._settings,
        )
        self._table.put(self._proxy.acknowledgements, item)

    def _failed(self, reason: str) -> None:
        pause = min(_LONGEST_RETRY_S, self._proxy.acknowledge_every_s, _FIRST_RETRY_S * 2.0 ** min(self._attempts, 16))
        self._attempts += 1
        self.due_at = self._clock.monotonic() + pause * (0.5 + 0.5 * self._clock.jitter())
        if reason not in self._reasons:
            self._reasons.add(reason)
            self._log.warning("acknowledgement-waits", reason=reason)

    def _succeeded(self) -> None:
        self._attempts = 0
        self.due_at = self._clock.monotonic() + self._proxy.acknowledge_every_s
        if self._reasons:
            self._reasons.clear()
            self._log.info("acknowledgement-recovered")
        self._log.debug("acknowledged", secrets={name: standing.version for name, standing in self._standings.items()})


def row(
    proxy: ProxySettings,
    task: str,
    at: int,
    standings: Mapping[str, Standing],
    routes: RouteStanding | None = None,
    *,
    counts: Mapping[int, PermissiveCounts] | None = None,
    files: Mapping[str, FileStanding] | None = None,
    settings: str = "",
) -> dict[str, Value]:
    """
    A task's row.

    Args:
        proxy: Names the service. The row's key is this name, not the one in the task's metadata, because the task's
            role may write no other key.
        task: The task's ARN.
        at: When the row is written, seconds since 1970, UTC.
        standings: By identity name.
        routes: Of the route table; None for a proxy without one.
        counts: Of each PERMISSIVE listener, by its port.
        files: Of what comes from files of the user's, by its SDS name.
        settings: The version of the proxy's settings, if a row had them.
    """
    of_routes: dict[str, Value] = {}
    if routes:
        told = {field.VERSION: routes.version, field.REFUSED: routes.refused, field.ERROR: routes.error}
        of_routes = {field.ROUTES: told}
    of_listeners: dict[str, Value] = {}
    if counts:
        of_listeners = {field.LISTENERS: {str(port): _counted(taken) for port, taken in counts.items()}}
    of_files: dict[str, Value] = {}
    if files:
        of_files = {field.FILES: {name: _file(standing) for name, standing in files.items()}}
    return {
        **of_routes,
        **of_listeners,
        **of_files,
        **({field.SETTINGS: settings} if settings else {}),
        field.SERVICE: proxy.service,
        field.TASK: task,
        field.SCHEMA: field.SCHEMA_VERSION,
        field.AT: at,
        field.EXPIRES: at + int(3 * proxy.acknowledge_every_s) + _KEPT_AFTER_S,
        field.SECRETS: {name: _secret(standing) for name, standing in standings.items()},
    }


def _secret(standing: Standing) -> dict[str, Value]:
    refused_by = {field.REFUSED_BY: standing.refused_by} if standing.refused_by else {}
    return {
        **refused_by,
        field.VERSION: standing.version,
        field.SERIAL_NUMBER: standing.serial_number,
        field.NOT_AFTER: standing.not_after,
        field.REFUSED: standing.refused,
        field.ERROR: standing.error,
    }


def _file(standing: FileStanding) -> dict[str, Value]:
    return {
        field.VERSION: standing.version,
        field.NOT_AFTER: standing.not_after,
        field.REFUSED: standing.refused,
        field.ERROR: standing.error,
    }


def _ways_seen(counts: Mapping[int, PermissiveCounts]) -> dict[int, tuple[bool, bool]]:
    """Whether each listener has been asked over TLS, and in plain text."""
    return {port: (taken.tls > 0, taken.plain > 0) for port, taken in counts.items()}


def _counted(taken: PermissiveCounts) -> dict[str, Value]:
    return {
        field.OVER_TLS: taken.tls,
        field.IN_PLAIN_TEXT: taken.plain,
        field.LAST_IN_PLAIN_TEXT: taken.last_plain_at,
    }


def acknowledgement_writer(
    settings: Settings,
    environ: Mapping[str, str],
    platform: ContainerPlatform,
    session: Session,
    log: Log,
    *,
    files: Callable[[], Mapping[str, FileStanding]] = dict,
) -> AcknowledgementWriter | None:
    """
    This container's acknowledgements; None if they are off, or if the platform cannot say which task this is.

    Args:
        environ: May name DynamoDB's endpoint.
        platform: Says which task this is.
        log: Also takes ``acknowledgements-off``.
        files: Returns the standing of what comes from files of the user's.
    """
    proxy = settings.proxy
    if not proxy.acknowledgements or not (proxy.identities or proxy.certificate_files or proxy.trust_files):
        return None
    if reason := platform.anonymous():
        log.warning("acknowledgements-off", reason=reason)
        return None

    def connect() -> SignedConnection:
        return SignedConnection(dynamodb_endpoint(settings.region, environ), settings.region, "dynamodb", session)

    clock = ProcessClock()
    listeners = PermissiveListeners(settings.proxy, Admin(settings.addresses.loopback), clock.now)
    return AcknowledgementWriter(
        settings.proxy,
        DynamoDb(connect),
        platform.instance,
        log,
        clock,
        count=listeners.read,
        files=files,
        settings=settings.version,
    )
