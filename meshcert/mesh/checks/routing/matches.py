"""Checks of one route's match: each condition must be one that Envoy takes, and that some request meets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshcert.mesh.routing.matches import GatewayGrpcMatch, GatewayHttpMatch, HttpMatch, Method
from meshcert.mesh.routing.regexes import regex_fault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcert.mesh.findings import Findings
    from meshcert.mesh.routing.matches import GrpcMatch, HeaderMatch, HostnameMatch, ValueMatch

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A field's name (RFC 9110, 5.1)."""
_NOT_PLAIN = re.compile(r"//|/\.\.?(?:/|$)|%2f|%5c|\\", re.IGNORECASE)
_RESERVED_PREFIXES = ("/aws-appmesh", "/aws-app-mesh")
_RESERVED_SERVICES = ("aws.appmesh", "aws.app-mesh")
_KINDS = ("exact", "prefix", "suffix", "regex", "range")


def check_http_match(place: str, match: HttpMatch, findings: Findings) -> None:
    """Report what is wrong in a match of HTTP requests."""
    is_gateways = isinstance(match, GatewayHttpMatch)
    hostname = match.hostname if isinstance(match, GatewayHttpMatch) else None
    wanted = [name for name in ("prefix", "path") if getattr(match, name)]
    if len(wanted) > 1 or not (wanted or hostname):
        findings.add(
            place,
            f"it has {'both of prefix and path' if wanted else 'neither prefix nor path'}",
            "Keep one of them" if wanted else f"Add prefix: /, or path{', or hostname' if is_gateways else ''}",
            given=[f"{place}.{name}" for name in ("prefix", "path", "hostname")],
        )
        findings.doubt(f"{place}.prefix")
    if match.prefix:
        check_path(f"{place}.prefix", match.prefix, findings)
        if is_gateways:
            _check_reserved(f"{place}.prefix", match.prefix, _RESERVED_PREFIXES, findings)
    if match.path:
        _require_one(f"{place}.path", match.path, ("exact", "regex"), findings)
        if match.path.exact:
            check_path(f"{place}.path.exact", match.path.exact, findings)
        _check_regex(f"{place}.path.regex", match.path.regex, findings)
    if match.method is Method.CONNECT:
        findings.add(f"{place}.method", "no listener takes CONNECT, so it can never match", "Remove the route")
    _check_headers(f"{place}.headers", match.headers, findings)
    _check_hostname(f"{place}.hostname", hostname, findings)


def check_grpc_match(place: str, match: GrpcMatch, findings: Findings) -> None:
    """Report what is wrong in a match of gRPC calls."""
    check_names_of_grpc(place, match.service_name, match.method_name, findings)
    if isinstance(match, GatewayGrpcMatch):
        if not match.service_name and not match.hostname and not match.method_name:
            findings.add(
                place,
                "it has neither service_name nor hostname",
                "Add one of them",
                given=[f"{place}.{name}" for name in ("service_name", "hostname", "method_name")],
            )
        _check_reserved(f"{place}.service_name", match.service_name or "", _RESERVED_SERVICES, findings)
        _check_hostname(f"{place}.hostname", match.hostname, findings)
    _check_headers(f"{place}.metadata", match.metadata, findings)


def check_names_of_grpc(place: str, service: str | None, method: str | None, findings: Findings) -> None:
    """Report a method without its service, and what is no name in gRPC."""
    if method and not service:
        findings.add(
            f"{place}.method_name",
            "a method is one of a service, and there is no service_name",
            "Add service_name, with its package",
            given=(f"{place}.service_name",),
        )
    for name, said in (("service_name", service), ("method_name", method)):
        if said and not re.fullmatch(r"[\w.]+" if name == "service_name" else r"\w+", said, re.ASCII):
            findings.add(f"{place}.{name}", f"{said!r} is no name in gRPC", "Write it as in the .proto file")


def check_path(place: str, path: str, findings: Findings) -> None:
    """Report what no request's path can be, or begin with."""
    if not path.startswith("/"):
        findings.add(place, f"{path!r} is not a path", f"Begin with /: /{path}")
    elif re.search(r"[?#]", path):
        findings.add(place, "a path ends before ? and #, so it can never match", "Write query_parameters instead")
    elif not re.fullmatch(r"[!-~]*", path):
        findings.add(
            place, "a request's path has no such characters, so it can never match", "Write them as %XX, in UTF-8"
        )
    elif found := _NOT_PLAIN.search(path):
        findings.add(
            place,
            f"paths are made plain before a route judges them, and {found.group()!r} is not left in one, so it can "
            f"never match",
            "Write the path without it",
        )


def _check_reserved(place: str, text: str, reserved: Iterable[str], findings: Findings) -> None:
    if text.startswith(tuple(reserved)):
        findings.add(place, f"App Mesh keeps {text} for itself, so no route of it can have it", "Choose another")


def _check_hostname(place: str, hostname: HostnameMatch | None, findings: Findings) -> None:
    if hostname is None:
        return
    _require_one(place, hostname, ("exact", "suffix"), findings)
    for name in ("exact", "suffix"):
        said = getattr(hostname, name)
        if said and not re.fullmatch(r"[A-Za-z0-9._-]+", said):
            findings.add(
                f"{place}.{name}",
                f"{said!r} is no host: ports and * do not belong to it",
                "Write the host alone; suffix matches every host that ends so",
            )


def _check_headers(place: str, headers: Iterable[HeaderMatch], findings: Findings) -> None:
    for index, header in enumerate(headers):
        where = f"{place}[{index}]"
        if header.name.lower() == "host" or header.name.startswith(":"):
            findings.add(
                f"{where}.name",
                f"{header.name} is no header to match, as it was none in App Mesh",
                "Use method, scheme, path, or the hostname of a gateway route",
            )
        elif not _HEADER_NAME.fullmatch(header.name):
            findings.add(f"{where}.name", f"{header.name!r} is no name of a header", "Write its name alone")
        if header.match:
            _check_value(f"{where}.match", header.match, findings)


def _check_value(place: str, match: ValueMatch, findings: Findings) -> None:
    _require_one(place, match, _KINDS, findings)
    _check_regex(f"{place}.regex", match.regex, findings)
    if match.range and match.range.start >= match.range.end:
        findings.add(
            f"{place}.range",
            f"no number is from {match.range.start} on and below {match.range.end}",
            "Write an end above start: it does not belong to the range",
        )


def _check_regex(place: str, regex: str | None, findings: Findings) -> None:
    if regex and (fault := regex_fault(regex)):
        findings.add(place, *fault)
        findings.doubt(place)


def _require_one(place: str, part: object, names: tuple[str, ...], findings: Findings) -> None:
    said = [name for name in names if getattr(part, name) is not None]
    if len(said) != 1:
        findings.add(
            place,
            f"it has {'none' if not said else 'several'} of {', '.join(names)}",
            "Give exactly one",
            given=[f"{place}.{name}" for name in names],
        )
        findings.doubt(place)
