"""The page of a mesh: one HTML file that asks no network for anything."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from meshcert.cli.map.lifetimes import lifetimes, taken_at
from meshcert.cli.map.markup import Markup, element, joined
from meshcert.cli.map.picture import STYLES, picture, swatch
from meshcert.cli.map.tables import table
from meshcert.cli.terminal import counted
from meshcert.mesh.edges.edges import edges_of, parties_of, refused_of
from meshcert.mesh.edges.pairs import Manner, RefusalCause, signers
from meshcert.proxy import TlsMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from meshcert.mesh.edges.edges import Edge, Refused
    from meshcert.mesh.mesh import Mesh
    from meshcert.san import AcceptedName
    from meshcert.tls_sources import TlsCertificate, TlsTrust

_Read = TypeVar("_Read")
_MEANS = {
    Manner.MUTUAL: "both sides prove who they are",
    Manner.ONE_WAY: "the caller stays anonymous",
    Manner.PLAIN: "nothing is proven, nothing is hidden",
}
_CAUSES = {
    RefusalCause.NO_CERTIFICATE: "they have no certificate to present",
    RefusalCause.OTHER_TRUST_DOMAIN: "their certificates have no SPIFFE ID of a trust domain that it trusts",
    RefusalCause.UNKNOWN_ISSUER: "their certificates come from a hierarchy that it does not trust",
    RefusalCause.WRONG_NAME: "their certificates are trusted, but have none of the names that it accepts",
    RefusalCause.NOT_ALLOWED: "its TLS would let them in, but no allow rule names them: every request gets 403",
}


class StatusUnreadable(ValueError):
    """A file that is no document of ``meshcert status --json``."""


@dataclass(frozen=True)
class Shown:
    """
    What a page shows.

    Args:
        mesh: A mesh without faults.
        file: Name of its file.
        line: The line of a place in the file.
        status: The document of ``meshcert status --json``; None without one.
    """

    mesh: Mesh
    file: str
    line: Callable[[str], int]
    status: dict[str, Any] | None = None


class Drawn(NamedTuple):
    """
    A page that is ready to be written.

    Args:
        text: The whole page, as text of HTML.
        told: What is in it, in a line.
    """

    text: str
    told: str


def page(shown: Shown) -> Drawn:
    """
    Draw a mesh.

    Raises:
        StatusUnreadable: If the status is no document of ``meshcert status --json``.
    """
    mesh = shown.mesh
    edges = edges_of(mesh)
    style, script = _own("page.css"), _own("page.js")
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    head = element(
        "head",
        None,
        element("meta", {"charset": "utf-8"}),
        element("meta", {"http-equiv": "Content-Security-Policy", "content": policy}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("meta", {"name": "color-scheme", "content": "light dark"}),
        element("title", None, f"Mesh {mesh.name}"),
        element("style", None, style),
    )
    lived = [_read(lifetimes, shown.status)] if shown.status is not None else []
    sections = [_calls(shown, edges), *lived, _refused(refused_of(mesh))]
    main = element("main", None, _figure(mesh, edges), *sections)
    body = element("body", None, _header(shown, edges), main, _footer(shown), element("script", None, script))
    text = f"<!doctype html>\n{element('html', {'lang': 'en'}, head, body)}\n"
    mutual = sum(edge.authenticated for edge in edges)
    told = f"{counted(len(mesh.services), 'service')}, {counted(len(edges), 'call')}, {mutual} of them over mutual TLS"
    return Drawn(text, told)


def _own(name: str) -> Markup:
    return Markup(files(__package__).joinpath(name).read_text(encoding="utf-8"))


def _digest(text: str) -> str:
    """A source of a Content Security Policy: the text's digest (CSP Level 3, 2.3.1, hash-source)."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _read(part: Callable[[dict[str, Any]], _Read], status: dict[str, Any]) -> _Read:
    try:
        return part(status)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise StatusUnreadable(f"it is no document of meshcert status --json ({type(error).__name__})") from error


def _header(shown: Shown, edges: Sequence[Edge]) -> Markup:
    mesh = shown.mesh
    manners = [(manner, sum(edge.manner is manner for edge in edges)) for manner in Manner]
    legend = [
        element(
            "li",
            {"class": STYLES[manner]},
            swatch(manner),
            element("span", None, element("b", None, f"{count} {manner}"), f" {_MEANS[manner]}"),
        )
        for manner, count in manners
    ]
    skip = element("a", {"class": "skip", "href": "#calls"}, "Skip the picture")
    about = f"{counted(len(mesh.services), 'service')} in {mesh.namespace}, {counted(len(edges), 'call')}"
    find = element(
        "p",
        {"class": "find"},
        element("output", {"id": "found", "for": "find"}),
        element("label", {"for": "find"}, "Show only"),
        element("input", {"id": "find", "type": "search", "autocomplete": "off", "placeholder": "orders, plain text…"}),
    )
    return element(
        "header",
        None,
        skip,
        element("div", {"class": "title"}, element("h1", None, mesh.name), element("p", None, about)),
        find,
        element("ul", {"class": "legend", "aria-label": "Calls by how their parties talk"}, *legend),
    )


def _figure(mesh: Mesh, edges: Sequence[Edge]) -> Markup:
    shown = picture(parties_of(mesh, edges), edges)
    return element(
        "section",
        {"aria-label": "Picture"},
        element("div", {"class": "sheet", "tabindex": "0", "role": "region", "aria-label": "Picture, scrolls"}, shown),
    )


def _calls(shown: Shown, edges: Sequence[Edge]) -> Markup:
    heads = ("Caller", "Calls", "Talks over", "The caller proves", "The callee proves", "In the file")
    taken = None if shown.status is None else _read(taken_at, shown.status)
    rows = [_call(shown, number, edge, taken) for number, edge in enumerate(edges)]
    return table("calls", "Who calls whom", heads, rows, nothing="Nobody calls anybody.")


def _call(shown: Shown, number: int, edge: Edge, taken: Mapping[tuple[str, int], str] | None) -> Markup:
    mode = f"{edge.server.mode} listener" if edge.server else "outside the mesh"
    told = [element("small", None, mode)]
    if taken is not None and edge.server and edge.server.mode is TlsMode.PERMISSIVE:
        counted = taken.get((edge.callee.name, edge.port), "its tasks do not say how they have been asked")
        told.append(element("small", None, counted))
    manner = joined([swatch(edge.manner), element("b", None, str(edge.manner)), *told])
    port = f"{edge.port} {edge.protocol}"
    places = [element("small", None, f"{shown.file}:{shown.line(place)} {place}") for place in edge.places]
    cells = [
        element("th", {"scope": "row"}, edge.caller.name),
        element("td", {"class": "port"}, element("b", None, edge.callee.name), element("small", None, port)),
        element("td", {"class": f"manner {STYLES[edge.manner]}"}, manner),
        element("td", None, *_caller_proves(shown.mesh, edge), *_paths(edge)),
        element("td", None, *_callee_proves(shown.mesh, edge)),
        element("td", {"class": "place"}, *places),
    ]
    names = {"data-caller": edge.caller.name, "data-callee": edge.callee.name}
    return element("tr", {"data-line": f"line-{number}", **names}, *cells)


def _caller_proves(mesh: Mesh, edge: Edge) -> tuple[str, ...]:
    if edge.manner is not Manner.MUTUAL:
        return ("nothing",)
    if edge.server is None:
        return (_presented(mesh, edge.presented),)
    return (
        _presented(mesh, edge.client.certificate if edge.client else edge.presented),
        _demanded(mesh, edge.server.trust, edge.server.subject_alternative_names, "any name"),
    )


def _paths(edge: Edge) -> tuple[str, ...]:
    return (element("small", None, f"may ask for {edge.paths}"),) if edge.paths else ()


def _callee_proves(mesh: Mesh, edge: Edge) -> tuple[str, ...]:
    if edge.manner is Manner.PLAIN:
        return ("nothing",)
    proof = _presented(mesh, edge.server.certificate) if edge.server else Markup()
    if edge.client is None:
        return (proof, element("small", None, "the client decides what it demands"))
    return proof, _demanded(mesh, edge.client.trust, edge.client.subject_alternative_names, "the host that it asks for")


def _presented(mesh: Mesh, identity: TlsCertificate) -> Markup:
    if not isinstance(identity, str):
        return joined([element("b", None, str(identity)), element("small", None, "yours")])
    names = ", ".join(map(str, mesh.identities[identity].names))
    return joined([element("b", None, identity), element("small", None, names)])


def _demanded(mesh: Mesh, trust: TlsTrust, names: Iterable[AcceptedName], otherwise: str) -> Markup:
    if not trust:
        return element("small", None, "not checked: anybody could answer")
    listed = " or ".join(map(str, names)) or otherwise
    return element("small", None, f"demanded: {signers(mesh, trust)}, {listed}")


def _refused(found: Sequence[Refused]) -> Markup:
    heads = ("Listener", "Refuses", "Why", "In its log")
    rows = [row for refused in found for row in _refusals(refused)]
    return table(
        "refused", "Who is refused, and why", heads, rows, nothing="Nobody: no listener asks for a certificate."
    )


def _refusals(refused: Refused) -> Iterable[Markup]:
    name = refused.callee.name
    told = [(callers, _CAUSES[cause], str(cause), "") for cause, callers in refused.causes.items()]
    if refused.admitted:
        why = "its TLS would let them in: only security groups, and their own Envoys, keep them away"
        told.append((refused.admitted, why, "nothing", "admitted"))
    for callers, why, cause, style in told:
        yield element(
            "tr",
            {"class": style or None, "data-callee": refused.callee.service, "data-caller": ", ".join(callers)},
            element("th", {"scope": "row"}, name),
            element("td", None, ", ".join(callers)),
            element("td", None, why),
            element("td", None, element("code", None, cause)),
        )


def _footer(shown: Shown) -> Markup:
    told = f"Drawn by meshcert map from {shown.file}"
    if shown.status is not None:
        told += f" and from what meshcert status saw at {shown.status.get('at', 'an unknown time')}"
    return element("footer", None, element("p", None, told))
