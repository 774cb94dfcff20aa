"""
The route table of one proxy: the part of its settings that changes while its tasks run.

It holds a virtual gateway's routes, and those of each way out of a virtual node that is not ``tcp``. Listeners,
clusters, hosts and local ports stand in the task definition (:class:`meshcert.proxy.ProxySettings`): a route table can
be taken over where they have all that it needs.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from meshcert.bounded_json import MOST_BYTES, read_json
from meshcert.errors import RouteTableUnusable
from meshcert.proxy import plain, read_route
from meshcert.timeouts import LONGEST_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcert.proxy import ProxySettings, Route

SCHEMA = 1
LONGEST_PACKED = 65_536
"""
Characters of a packed document.

CloudFormation sends the new one and the old one in one event of a quarter of a megabyte (Lambda quotas, asynchronous
invocation), and DynamoDB keeps both in one item of 400 KB.
"""


class RouteTable(NamedTuple):
    """
    The routes of one proxy.

    Args:
        routes: A virtual gateway's.
        ways_out: Those of each way out, by its backend's name.
    """

    routes: tuple[Route, ...] = ()
    ways_out: tuple[tuple[str, tuple[Route, ...]], ...] = ()

    @classmethod
    def of(cls, settings: ProxySettings) -> RouteTable:
        """The routes that stand in a proxy's settings."""
        return cls(
            settings.routes, tuple(sorted((way.backend, way.routes) for way in settings.ways_out if way.is_http))
        )

    def to_json(self) -> str:
        """Canonical JSON: what says the same is the same text."""
        ways = {backend: plain(routes) for backend, routes in self.ways_out}
        document = {"schema": SCHEMA, "routes": plain(self.routes), "ways_out": ways}
        return json.dumps(document, separators=(",", ":"), sort_keys=True)

    @property
    def version(self) -> str:
        """SHA-256 of the document, lower-case hex."""
        return sha256(self.to_json().encode()).hexdigest()

    def packed(self) -> str:
        """The document, compressed (zlib) and in letters (base64), as :func:`read_route_table` reads it."""
        return base64.b64encode(zlib.compress(self.to_json().encode(), 9)).decode()

    def faults_for(self, settings: ProxySettings) -> tuple[str, ...]:
        """What a task with these settings lacks for this table; empty if it can take it over."""
        known = {backend.name for backend in settings.backends}
        ways = dict(self.ways_out)
        wanted = [way.backend for way in settings.ways_out if way.is_http]
        routes = [*self.routes, *(route for backend in wanted for route in ways.get(backend, ()))]
        targets = {share.backend for route in routes for share in route.shares}
        faults = [f"no cluster for {target}" for target in sorted(targets - known)]
        faults += [f"it has no routes to {backend}" for backend in wanted if backend not in ways]
        if settings.is_gateway and not self.routes:
            faults.append("it has no routes of a gateway")
        if any(route.tells_paths_apart for route in routes) and not settings.judges_paths:
            faults.append("the listeners are not made for routes that tell paths apart")
        return tuple(faults)

    def put_into(self, settings: ProxySettings) -> ProxySettings:
        """A proxy's settings with these routes in their places."""
        ways = dict(self.ways_out)
        return settings._replace(
            routes=self.routes,
            ways_out=tuple(way._replace(routes=ways[way.backend]) if way.is_http else way for way in settings.ways_out),
        )


def without_routes(settings: ProxySettings, table: str) -> ProxySettings:
    """
    A proxy's settings without what its route table says.

    Args:
        table: Name of the DynamoDB table in which the row is found.
    """
    routes = [*settings.routes, *(route for way in settings.ways_out if way.is_http for route in way.routes)]
    return settings._replace(
        routes=(),
        ways_out=tuple(way._replace(routes=()) if way.is_http else way for way in settings.ways_out),
        route_table=table,
        judges_paths=any(route.tells_paths_apart for route in routes),
    )


def read_route_table(packed: object, version: object, subject: str) -> RouteTable:
    """
    A route table that was packed, bounded before it is trusted.

    Args:
        packed: As :meth:`RouteTable.packed` writes it.
        version: The version that is told with it.
        subject: What it belongs to, for an error's message.

    Raises:
        RouteTableUnusable: If it is not one, is larger than any of ours, or has another version.
    """
    if not isinstance(packed, str) or len(packed) > LONGEST_PACKED:
        raise RouteTableUnusable(subject, f"it is no text of at most {LONGEST_PACKED} characters")
    try:
        opener = zlib.decompressobj()
        text = opener.decompress(base64.b64decode(packed, validate=True), MOST_BYTES)
    except (binascii.Error, ValueError, zlib.error):
        raise RouteTableUnusable(subject, "it is not zlib in base64") from None
    if not opener.eof or opener.unused_data:
        raise RouteTableUnusable(subject, f"it is cut, or longer than {MOST_BYTES} bytes")
    if sha256(text).hexdigest() != version:
        raise RouteTableUnusable(subject, "its SHA-256 is not its version")
    try:
        document = read_json(text)
        if document["schema"] != SCHEMA:
            raise RouteTableUnusable(subject, "it is of another version of meshcert")
        ways = tuple((backend, _routes(routes)) for backend, routes in sorted(document["ways_out"].items()))
        return RouteTable(_routes(document["routes"]), ways)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = f"a field is missing, unknown or of the wrong kind ({type(error).__name__})"
        raise RouteTableUnusable(subject, reason) from None


def _routes(items: Iterable[Any]) -> tuple[Route, ...]:
    return tuple(_checked(read_route(item)) for item in items)


_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("prefix", "backend", "path", "regex", "host", "host_suffix", "method", "scheme"), str),
    **dict.fromkeys(("name", "kind", "value", "exact"), str),
    **dict.fromkeys(("port", "start", "end", "weight", "times"), int),
    **dict.fromkeys(("grpc", "invert"), bool),
    **dict.fromkeys(("per_request_s", "idle_s", "stream_s"), (int, float, type(None))),
    "per_try_timeout_s": (int, float),
}
"""Of the values in a route, by the names of their fields: everywhere a name stands for one kind."""
_MOST: dict[str, float] = {
    "port": 65_535,
    "weight": 100,
    "times": 100,
    **dict.fromkeys(("per_request_s", "idle_s", "stream_s", "per_try_timeout_s"), LONGEST_TIMEOUT_S),
}
"""The largest number of a field, as the mesh file has it; none is negative."""


def _checked(route: Route) -> Route:
    """The same route if every value has its kind and size; raises TypeError, ValueError or AttributeError."""
    _require_kinds(route)
    return route


def _require_kinds(part: Any) -> None:
    for name, value in part._asdict().items():
        if kind := _KINDS.get(name):
            if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
                raise TypeError(f"{name} is of another kind")
            if name in _MOST and isinstance(value, int | float) and not 0 <= value <= _MOST[name]:
                raise ValueError(f"{name} is too large, or negative")
        elif name == "events":
            if not all(isinstance(event, str) for event in value):
                raise TypeError("an event is no text")
        else:
            for each in value if isinstance(value, tuple) and not hasattr(value, "_asdict") else (value,):
                if each is not None:
                    _require_kinds(each)
