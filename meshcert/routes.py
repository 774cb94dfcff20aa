"""
What a route of a proxy's settings may say beside a path prefix and a backend, and who may make which requests.

The words are App Mesh's; :mod:`meshcert.envoy.http` turns them into Envoy's. In JSON only what differs from its default
is written, so a route that says nothing of this has the text that it always had.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from meshcert.san import parse_accepted_names, proves_any
from meshcert.values.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from meshcert.san import AcceptedName, San

HAS_PARAMETERS = ".*(?:;|%3[Bb]).*"
"""
RE2 for a path with a semicolon. Servlet containers leave out what follows it in a segment, so ``/;/admin`` and
``/x/..;/admin`` are ``/admin`` to them: where there are allow rules, nobody may ask for such a path.
"""


class MatchKind(StrEnum):
    """How a header is looked at."""

    PRESENT = "present"
    EXACT = "exact"
    PREFIX = "prefix"
    SUFFIX = "suffix"
    REGEX = "regex"
    RANGE = "range"


class HeaderCondition(NamedTuple):
    """
    A header that a request must have.

    Args:
        name: In lower case.
        value: What its value is compared with, by ``kind``.
        start: First whole number of a range.
        end: The first after it.
        invert: The request must have the header, with another value; of ``present``: it must not have the header.
    """

    name: str
    kind: MatchKind = MatchKind.PRESENT
    value: str = ""
    start: int = 0
    end: int = 0
    invert: bool = False


class QueryCondition(NamedTuple):
    """
    A parameter that a request's query must have.

    Args:
        exact: Its value; empty for any.
    """

    name: str
    exact: str = ""


class Conditions(NamedTuple):
    """
    What a request must be like, beside its path prefix. All of it has to match.

    Args:
        path: The whole path, instead of a prefix.
        regex: A regular expression (RE2) for the whole path, instead of a prefix.
        host: The host that the request names, without a port.
        host_suffix: How that host ends.
        grpc: It is a gRPC call.
        port: Port of a gateway's listener, or the port that an application names; 0 for any.
    """

    path: str = ""
    regex: str = ""
    host: str = ""
    host_suffix: str = ""
    method: str = ""
    scheme: str = ""
    headers: tuple[HeaderCondition, ...] = ()
    query_parameters: tuple[QueryCondition, ...] = ()
    grpc: bool = False
    port: int = 0


class Target(NamedTuple):
    """
    One of the backends that share a route's requests.

    Args:
        weight: Its share, beside the other weights; more than 0.
    """

    backend: str
    weight: int


class Rewriting(NamedTuple):
    """
    What the backend sees instead of what the client sent.

    Args:
        prefix: The beginning of the path that goes, with a slash behind it if there is one; empty leaves the path.
        value: What takes its place.
        path: What takes the place of the whole path; empty leaves it.
        host: What takes the place of the host; empty leaves it.
    """

    prefix: str = ""
    value: str = ""
    path: str = ""
    host: str = ""


class Retries(NamedTuple):
    """
    After what a request is sent again.

    Args:
        times: How often at most.
        per_try_timeout_s: Longest time for one try, the first included, seconds.
        events: App Mesh's names of HTTP, TCP and gRPC events.
    """

    times: int
    per_try_timeout_s: float
    events: tuple[str, ...]


class AllowRule(NamedTuple):
    """
    Which callers may make some of the requests at a listener.

    Args:
        callers: The caller's certificate must have one of these names; empty: whoever the listener's TLS lets in.
        path: The whole path; empty if ``prefix`` is given.
        prefix: How the path begins, by characters.
    """

    callers: tuple[AcceptedName, ...] = ()
    path: str = ""
    prefix: str = ""

    @property
    def text(self) -> str:
        """Its path or prefix."""
        return self.path or self.prefix

    def __str__(self) -> str:
        return self.path or f"{self.prefix}*"

    def admits(self, names: Collection[San]) -> bool:
        """Whether it allows a caller whose certificate has these names."""
        return not self.callers or proves_any(names, self.callers)


class PathReading(NamedTuple):
    """
    What an application may take for a rule's path. Many do not tell upper from lower case, or a slash at the end.

    Args:
        text: The path, or how it begins; in any case.
        whole: Whether it is the whole path.
    """

    text: str
    whole: bool

    def fits(self, path: str) -> bool:
        """Whether a path may be meant."""
        text, path = self.text.lower(), path.lower()
        return path == text if self.whole else path.startswith(text)


def more_specific(rule: AllowRule, rules: Sequence[AllowRule]) -> tuple[PathReading, ...]:
    """
    The paths that begin as a rule's do and are another rule's, in whatever way an application reads them.

    The longer rule decides about its own spelling. About the others nobody does: an application may take them for it.
    """
    own = rule.prefix.lower()
    return tuple(
        reading
        for other in (rules if rule.prefix else ())
        for reading in _readings(other)
        if reading.text.lower().startswith(own) and (len(reading.text) > len(own) or reading.text == other.path)
    )


def _readings(rule: AllowRule) -> Iterator[PathReading]:
    yield PathReading(rule.text, whole=bool(rule.path))
    without = rule.text.removesuffix("/")
    if rule.text != without:
        if without:
            yield PathReading(without, whole=True)
    elif rule.path:
        yield PathReading(f"{rule.path}/", whole=True)


def deciding_rule(rules: Sequence[AllowRule], path: str) -> AllowRule | None:
    """
    The rule that says who may ask for a path; None: nobody may.

    Args:
        rules: A listener's, at least one.
        path: Made plain, without the query.
    """
    if re.fullmatch(HAS_PARAMETERS, path):
        return None
    if whole := next((rule for rule in rules if rule.path == path), None):
        return whole
    begins = [rule for rule in rules if rule.prefix and path.startswith(rule.prefix)]
    longest = max(begins, key=lambda rule: len(rule.prefix), default=None)
    if longest is None or any(reading.fits(path) for reading in more_specific(longest, rules)):
        return None
    return longest


def read_allow_rules(items: Any, place: str) -> tuple[AllowRule, ...]:
    """
    Allow rules from JSON.

    Args:
        place: Where they stand, for the error.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: If a field is missing, unknown or of the wrong kind.
    """
    return tuple(_allow_rule(item, f"{place}[{number}]") for number, item in enumerate(items))


def _allow_rule(item: dict[str, Any], place: str) -> AllowRule:
    rule = AllowRule(**item | {"callers": parse_accepted_names(item["callers"], f"{place}.callers")})
    if [type(rule.path), type(rule.prefix), bool(rule.path)] != [str, str, not rule.prefix]:
        msg = f"{place} has to have a path or a prefix, and not both"
        raise ValueError(msg)
    return rule


def said(part: Any) -> dict[str, Any]:
    """The fields of a named tuple that differ from their defaults."""
    missing = object()
    defaults = part._field_defaults
    return {name: value for name, value in part._asdict().items() if value != defaults.get(name, missing)}


def beginning_of(prefix: str) -> str:
    """A regular expression for a prefix and the slash behind it, if there is one."""
    return re.escape(prefix) if prefix.endswith("/") else f"{re.escape(prefix)}/?"


def read_route_parts(item: dict[str, Any]) -> dict[str, Any]:
    """
    The fields of a route in JSON that stand for parts, as these parts.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: If one is missing, unknown or of the wrong kind.
    """
    parts: dict[str, Any] = {}
    if "conditions" in item:
        parts["conditions"] = _conditions(item["conditions"])
    if "targets" in item:
        parts["targets"] = tuple(Target(**target) for target in item["targets"])
    if "rewriting" in item:
        parts["rewriting"] = Rewriting(**item["rewriting"])
    if "retries" in item:
        parts["retries"] = Retries(**item["retries"] | {"events": tuple(item["retries"]["events"])})
    return parts


def _conditions(item: dict[str, Any]) -> Conditions:
    headers = tuple(
        HeaderCondition(**header | {"kind": MatchKind(header.get("kind", MatchKind.PRESENT))})
        for header in item.get("headers", ())
    )
    parameters = tuple(QueryCondition(**parameter) for parameter in item.get("query_parameters", ()))
    return Conditions(**item | {"headers": headers, "query_parameters": parameters})
