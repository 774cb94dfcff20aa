"""
The routes of a proxy with a route table: read at start and at every look, handed to Envoy, and told.

A table that cannot be read, that these tasks lack something for, or that Envoy refuses changes nothing: Envoy keeps the
last good one.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from entrypoint.aws.dynamodb import DynamoDb
from entrypoint.aws.endpoint import dynamodb_endpoint
from entrypoint.aws.retrying import ProcessClock, until
from entrypoint.aws.signed_connection import SignedConnection
from entrypoint.envoy.handover import EnvoyResource, EnvoySilent
from entrypoint.rotating.resource import Resource
from meshcert.contract import route_rows as field
from meshcert.documents.route_table import RouteTable, read_route_table
from meshcert.envoy import route_configurations, route_names
from meshcert.errors import MeshcertError, RoutesNotPublished, RouteTableUnusable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Protocol

    from entrypoint.aws.signed_connection import Session
    from entrypoint.envoy.acceptance import SecretCounters
    from entrypoint.envoy.handover import Handover
    from entrypoint.log import Log
    from entrypoint.settings import Settings
    from meshcert.proxy import ProxySettings

    class RowReader(Protocol):
        """Reads rows; :class:`entrypoint.aws.dynamodb.DynamoDb` in the container."""

        def get(self, table: str, key: Mapping[str, str]) -> dict[str, Any] | None:
            """A row, None if there is none; raises MeshcertError if that fails."""


LONGEST_REASON = 256
_LOOK_SLOWER_AFTER = 300
_LOOK_SLOWER_S = 0.2


class RouteConfigurationContent(NamedTuple):
    """One version of one route configuration."""

    envoy: EnvoyResource


class RouteStanding(NamedTuple):
    """
    The standing of this task's routes.

    Args:
        version: Version of the route table that Envoy serves; empty if it serves none, or several.
        refused: The version that this task would not take over; empty if there is none.
        error: The reason for that, or what else was in the way of the last look; at most 256 characters.
    """

    version: str
    refused: str = ""
    error: str = ""


class RouteDelivery:
    """
    The routes of one proxy.

    Args:
        proxy: Names the table and the service.
        handover: Takes route configurations to Envoy.
        counters: Asks Envoy about them; raises OSError if it does not answer.
        log: Takes ``routes-installed``, ``routes-served``, ``routes-for-other-tasks``, ``routes-refused``,
            ``routes-wait`` and ``routes-recovered``.
    """

    def __init__(
        self,
        proxy: ProxySettings,
        reader: RowReader,
        handover: Handover,
        counters: Callable[[], Mapping[str, SecretCounters]],
        *,
        log: Log,
        clock: ProcessClock | None = None,
    ) -> None:
        self._proxy = proxy
        self._reader = reader
        self._handover = handover
        self._counters = counters
        self._log = log
        self._clock = clock or ProcessClock()
        self._resources: dict[str, Resource[RouteConfigurationContent]] = {
            name: Resource(name, handover, used=True) for name in route_names(proxy)
        }
        self._first: RouteTable | MeshcertError | None = None
        self._reading: threading.Thread | None = None
        self._handed = ""
        self._shown = ""
        self._refused = ""
        self._error = ""
        self._told = ("", "")
        self._passed_over = ""

    def begin(self, deadline: float) -> None:
        """
        Begin to read the first table, in a thread of its own, while the secrets are fetched.

        Args:
            deadline: In monotonic time.
        """
        self._reading = threading.Thread(target=self._read_first, args=(deadline,), name="routes", daemon=True)
        self._reading.start()

    def install(self) -> None:
        """
        Hand the first table over, before Envoy starts.

        Raises:
            OSError: If the material folder is full or cannot be written.
            MeshcertError: If there is none until the deadline, or none for these tasks.
        """
        assert self._reading is not None
        self._reading.join()
        if not isinstance(self._first, RouteTable):
            raise self._first or RouteTableUnusable(self._subject, "reading them has failed")
        for name, content in self._contents(self._first).items():
            self._resources[name].put(content)
        self._handed = self._first.version
        self._log.info("routes-installed", version=self._handed)

    def wait_for_envoy(self) -> None:
        """
        Wait until Envoy has accepted the first table.

        Raises:
            RouteTableUnusable: If Envoy has refused it.
        """
        looks = 0
        while True:
            verdicts = self._handover.first_verdicts(self._resources)
            for name, verdict in verdicts.items():
                if not verdict.accepted:
                    raise RouteTableUnusable(self._subject, f"{name}: {verdict.reason}")
            if len(verdicts) == len(self._resources):
                self._shown = self._handed
                return
            looks += 1
            self._clock.sleep(self._handover.ask_every_s if looks < _LOOK_SLOWER_AFTER else _LOOK_SLOWER_S)

    def look(self) -> None:
        """Read the row once and take over the newest table that these tasks can; never raises a MeshcertError."""
        try:
            table = self._read()
            if table.version == self._handed and self._is_whole:
                self._settle()
            elif table.version == self._refused:
                pass  # Envoy's refusal stands until there is another table
            else:
                self._hand(table)
        except MeshcertError as error:
            self._complain("", f"{type(error).__name__}: {error}")
        except OSError as error:
            self._complain("", f"they cannot be handed to Envoy: {error}")

    def standing(self) -> RouteStanding:
        """What Envoy serves now, as it says itself; its last answer if it does not answer."""
        try:
            counters = self._counters()
        except OSError:
            return RouteStanding(self._shown, self._refused, self._error)
        versions = {counters[name].version if name in counters else "" for name in self._resources}
        self._shown = versions.pop() if len(versions) == 1 else ""
        return RouteStanding(self._shown, self._refused, self._error)

    @property
    def _is_whole(self) -> bool:
        """Whether Envoy was handed every route configuration of the table that it serves, and none of a later one."""
        return all(resource.version == self._handed and not resource.unjudged for resource in self._resources.values())

    @property
    def _subject(self) -> str:
        return f"service {self._proxy.service}"

    def _read_first(self, deadline: float) -> None:
        try:
            self._first = until(deadline, self._read, self._clock)
        except MeshcertError as error:
            self._first = error

    def _read(self) -> RouteTable:
        """The newest table in the row that these tasks can take over; raises MeshcertError if there is none."""
        row = self._reader.get(self._proxy.route_table, {field.SERVICE: self._proxy.service})
        if row is None or field.NEWEST not in row:
            raise RoutesNotPublished(self._proxy.service)
        if row.get(field.SCHEMA) != field.SCHEMA_VERSION:
            raise RouteTableUnusable(self._subject, "the row is of another version of meshcert")
        newest, problem = self._usable(row[field.NEWEST])
        if newest:
            return newest
        before, _ = self._usable(row.get(field.BEFORE))
        if before is None:
            raise RouteTableUnusable(self._subject, problem)
        if self._passed_over != problem:
            self._passed_over = problem
            self._log.info("routes-for-other-tasks", reason=problem, version=before.version)
        return before

    def _usable(self, document: Any) -> tuple[RouteTable | None, str]:
        """A table from the row, or why these tasks cannot take it over."""
        said = document if isinstance(document, dict) else {}
        try:
            table = read_route_table(said.get(field.DOCUMENT), said.get(field.VERSION), self._subject)
        except RouteTableUnusable as error:
            return None, error.problem
        faults = table.faults_for(self._proxy)
        return (None, "; ".join(faults)) if faults else (table, "")

    def _contents(self, table: RouteTable) -> dict[str, RouteConfigurationContent]:
        try:
            configurations = route_configurations(table.put_into(self._proxy))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RouteTableUnusable(self._subject, f"Envoy has no words for them ({type(error).__name__})") from None
        version = table.version
        return {
            name: RouteConfigurationContent(EnvoyResource(version, configuration))
            for name, configuration in configurations.items()
        }

    def _hand(self, table: RouteTable) -> None:
        """Hand every route configuration over, and go back with all of them if one is refused."""
        version = table.version
        before = {name: resource.content for name, resource in self._resources.items()}
        for name, content in self._contents(table).items():
            resource = self._resources[name]
            resource.hand(content)
            verdict = resource.await_verdict(self._clock)
            if verdict is None:
                raise EnvoySilent(f"Envoy has not judged {name} yet")
            if not verdict.accepted:
                self._go_back(before)
                self._refused = version
                self._complain(version, f"{name}: {verdict.reason}")
                return
        self._handed = version
        self._log.info("routes-served", version=version)
        self._settle()

    def _go_back(self, before: Mapping[str, RouteConfigurationContent | None]) -> None:
        for name, content in before.items():
            if content and self._resources[name].content != content:
                self._resources[name].put(content)

    def _complain(self, version: str, reason: str) -> None:
        words = " ".join(reason.split())
        self._error = words if len(words) <= LONGEST_REASON else words[: LONGEST_REASON - 1] + "…"
        if self._told != (version, reason):
            self._told = (version, reason)
            if version:
                self._log.error("routes-refused", version=version, reason=reason)
            else:
                self._log.warning("routes-wait", reason=reason)

    def _settle(self) -> None:
        self._refused = self._error = ""
        if self._told != ("", ""):
            self._told = ("", "")
            self._log.info("routes-recovered", version=self._handed)


def route_delivery(
    settings: Settings, environ: Mapping[str, str], session: Session, handover: Handover, log: Log
) -> RouteDelivery:
    """
    This container's routes.

    Args:
        environ: May name DynamoDB's endpoint.
    """

    def connect() -> SignedConnection:
        return SignedConnection(dynamodb_endpoint(settings.region, environ), settings.region, "dynamodb", session)

    def counters() -> Mapping[str, SecretCounters]:
        from entrypoint.envoy.acceptance import route_counters  # while Envoy starts
        from entrypoint.envoy.admin import Admin

        return route_counters(Admin(settings.addresses.loopback))

    return RouteDelivery(settings.proxy, DynamoDb(connect), handover, counters, log=log)
