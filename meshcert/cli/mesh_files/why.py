"""``meshcert why A B``: whether one may call another, from the mesh file alone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import yaml

from meshcert.cli import exit_codes
from meshcert.cli.mesh_file import read_for
from meshcert.cli.mesh_files.hosts import host_document, host_facts
from meshcert.cli.mesh_files.serving import serving
from meshcert.cli.options import ChosenMesh, json_option, mesh_option
from meshcert.cli.screen import Screen
from meshcert.cli.terminal import SCHEMA, tell_json
from meshcert.mesh.edges.hosts import host_permission, hosts_of
from meshcert.mesh.edges.pairs import signers
from meshcert.mesh.edges.permission import callers_of, listeners_of, permission
from meshcert.mesh.naming import suggestion
from meshcert.proxy import TlsMode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from meshcert.cli.mesh_files.serving import SidesServed
    from meshcert.mesh import Mesh, Reading
    from meshcert.mesh.edges.permission import Change, Permission
    from meshcert.tls_sources import TlsCertificate

MAY, MAY_NOT = 0, 1
_MODES = {
    TlsMode.STRICT: "TLS only",
    TlsMode.PERMISSIVE: "TLS, and plain text as well",
    TlsMode.DISABLED: "plain text only",
}
_WHY = """\b
  meshcert why orders payments
  meshcert why partner gateway:9443       an identity that no service presents is a client outside the mesh
  meshcert why orders payments --live     with what both sides serve now, as `meshcert status` sees it

Exit codes: 0 it may, 1 it may not; 64 the command line or the mesh file is wrong; with --live and an answer of "may"
also 69 and 77, if AWS could not answer or refused.
"""


@click.command(short_help="Say whether A may call B, and why, or what to change.", epilog=_WHY)
@click.argument("caller", metavar="A")
@click.argument("callee", metavar="B")
@click.option("--live", is_flag=True, help="Ask AWS as well what each side serves, and what it has refused last.")
@json_option
@mesh_option
@click.pass_obj
def why(chosen: ChosenMesh, caller: str, callee: str, *, live: bool, as_document: bool) -> None:
    """
    Whether A may call B: declared, security group, listener, what each side proves and demands.

    A is a service, its virtual gateway or virtual node, or an identity of a client outside the mesh. B is a service, a
    proxy, a virtual service or a host outside the mesh, with or without :PORT. The answer is the mesh file's; with
    --live AWS adds to it.
    """
    file = chosen.file()
    reading = read_for(file)
    if reading is None or reading.mesh is None:
        sys.exit(exit_codes.USAGE)
    said = _MeshFile(reading.mesh, file, reading)
    if nodes := hosts_of(said.mesh, callee):
        sys.exit(_told_of_hosts(said, caller, nodes, as_document=as_document))
    found = _asked(said.mesh, caller, callee)
    served = serving(chosen, found) if live else None
    if as_document:
        answers = [_document(said, one) for one in found]
        document: dict[str, Any] = {"schema": SCHEMA, "mesh": said.mesh.name, "file": str(file), "answers": answers}
        tell_json(document | ({"live": served.document()} if served else {}))
    else:
        _show(Screen(), said, found, served)
    code = MAY if all(one.allowed for one in found) else MAY_NOT
    sys.exit(code or (served.exit_code if served else MAY))


class _MeshFile(NamedTuple):
    """A mesh and the file that says it."""

    mesh: Mesh
    file: Path
    reading: Reading

    def where(self, place: str) -> str:
        """A place with the line at which somebody finds it."""
        return f"{self.file}:{self.reading.source.line(place)} {place}"


def _caller(mesh: Mesh, caller: str, known: Sequence[str]) -> str:
    """The service, or client outside the mesh, that a name stands for."""
    services = {proxy: name for name, one in mesh.services.items() for proxy in (one.virtual_gateway, one.virtual_node)}
    name = caller if caller in known else services.get(caller, caller)
    if name not in known:
        raise _unknown(mesh, caller, known)
    return name


def _told_of_hosts(said: _MeshFile, caller: str, nodes: Sequence[str], *, as_document: bool) -> int:
    """Answer about hosts outside the mesh, which only services call; returns the exit code."""
    name = _caller(said.mesh, caller, tuple(said.mesh.services))
    found = [host_permission(said.mesh, name, node) for node in nodes]
    if as_document:
        answers = [host_document(one, lambda place: _placed(said, place)) for one in found]
        tell_json({"schema": SCHEMA, "mesh": said.mesh.name, "file": str(said.file), "answers": answers})
    else:
        screen = Screen()
        for one in found:
            manner = f" over {one.edge.manner}" if one.edge and one.allowed else ""
            _headline(screen, one.caller, f"{one.node} ({one.host}){manner}", allowed=one.allowed)
            for label, text in host_facts(said.mesh, one, said.where):
                screen.paragraph(label, text)
            _show_changes(screen, said, one.changes)
    return MAY if all(one.allowed for one in found) else MAY_NOT


def _headline(screen: Screen, caller: str, callee: str, *, allowed: bool) -> None:
    may = ("yes", "bold green") if allowed else ("no", "bold red")
    screen.line(may, f": {caller} {'may call' if allowed else 'may not call'} {callee}")


def _show_changes(screen: Screen, said: _MeshFile, changes: Iterable[Change]) -> None:
    for change in changes:
        screen.paragraph("change", f"{said.where(change.place)}: {_verb(change.value)} {_written(change.value)}")


def _asked(mesh: Mesh, caller: str, callee: str) -> Sequence[Permission]:
    name = _caller(mesh, caller, callers_of(mesh))
    callees = listeners_of(mesh, callee)
    if not callees:
        outside = (node for node in mesh.virtual_nodes if mesh.is_outside(node))
        raise _unknown(mesh, callee, (*mesh.services, *mesh.virtual_services, *outside))
    others = [each for each in callees if each.service != name]
    if not others:
        raise click.UsageError(f"{caller} and {callee} are the same service; nobody calls itself through the mesh")
    return [permission(mesh, name, each) for each in others]


def _unknown(mesh: Mesh, name: str, known: Sequence[str]) -> click.UsageError:
    remedy = suggestion(name, known, f"There are {', '.join(known)}")
    return click.UsageError(f"nobody in mesh {mesh.name} is called {name}. {remedy}")


def _show(screen: Screen, said: _MeshFile, found: Sequence[Permission], served: SidesServed | None) -> None:
    for number, one in enumerate(found):
        if number:
            screen.line()
        manner = f" over {one.edge.manner}" if one.edge and one.allowed else ""
        _headline(screen, one.caller.name, f"{one.callee.name}{manner}", allowed=one.allowed)
        for label, text in _facts(said, one):
            screen.paragraph(label, text)
        _show_changes(screen, said, one.changes)
        if one.remedy:
            screen.paragraph("do", one.remedy)
    for label, text in served.lines() if served else ():
        screen.paragraph(label, text)


def _facts(said: _MeshFile, one: Permission) -> Iterable[tuple[str, str]]:
    yield "because", one.reason
    places = one.edge.places if one.edge else ()
    yield "declared", ", ".join(said.where(place) for place in places) or "no"
    yield "group", one.group
    tls = one.callee.listener.tls
    asks = "" if tls.mode is TlsMode.DISABLED else "; clients stay anonymous"
    if one.callee.asks_for_certificates:
        asks = "; clients present a certificate"
    yield "listener", f"{one.callee.listener.protocol}, {tls.mode}: {_MODES[tls.mode]}{asks}"
    yield "A proves", _caller_proves(said.mesh, one)
    yield "B proves", _callee_proves(said.mesh, one)
    if one.paths:
        yield "paths", f"{one.paths}; the longest that fits decides, and what fits none is refused"


def _caller_proves(mesh: Mesh, one: Permission) -> str:
    tls = one.callee.listener.tls
    would = "" if one.allowed else "it would be "
    own = one.edge.client.certificate if one.edge and one.edge.client else ""
    presented = one.presented if isinstance(own, str) else own
    shown = f"{would}{_identity(mesh, presented)}" if presented else "nothing"
    if not one.callee.asks_for_certificates:
        return f"{shown}; B asks for nothing"
    names = " or ".join(map(str, tls.subject_alternative_names)) or "any name"
    refused = f": refused, {one.cause}" if one.cause else ""
    return f"{shown}; B demands {signers(mesh, tls.trust)}, {names}{refused}"


def _callee_proves(mesh: Mesh, one: Permission) -> str:
    tls = one.callee.listener.tls
    if tls.mode is TlsMode.DISABLED:
        return "nothing"
    shown = _identity(mesh, tls.certificate)
    client = one.edge.client if one.edge else None
    if client is None:
        return shown
    if not client.trust:
        return f"{shown}; A checks nothing, so anybody could answer"
    names = " or ".join(map(str, client.subject_alternative_names)) or f"the host {mesh.host(one.callee.proxy)}"
    return f"{shown}; A demands {signers(mesh, client.trust)}, {names}"


def _identity(mesh: Mesh, name: TlsCertificate) -> str:
    if not isinstance(name, str):
        return str(name)
    declared = mesh.identities[name]
    return f"{name} ({', '.join(map(str, declared.names))}), of hierarchy {declared.hierarchy}"


def _verb(value: Any) -> str:
    return "write" if isinstance(value, bool | int) else "add"


def _written(value: Any) -> str:
    """A value as it may be typed into a mesh file, in one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1 << 20)
    return text.removesuffix("...\n").strip()


def _document(said: _MeshFile, one: Permission) -> dict[str, Any]:
    tls = one.callee.listener.tls
    places = one.edge.places if one.edge else ()
    return {
        "caller": one.caller.name,
        "callee": one.callee.service,
        "port": one.callee.listener.port,
        "allowed": one.allowed,
        "reason": one.reason,
        "declared": [_placed(said, place) for place in places],
        "manner": str(one.edge.manner) if one.edge else None,
        "security_group": one.group,
        "listener": {
            "protocol": one.callee.listener.protocol,
            "mode": str(tls.mode),
            "identity": tls.identity or None,
            "trust": tls.hierarchy or None,
            "names": [str(name) for name in tls.subject_alternative_names],
        },
        "presented": one.presented or None,
        "refused": str(one.cause) if one.cause else None,
        "paths": {"allowed": one.paths.allowed, "refused": one.paths.refused} if one.paths else None,
        "changes": [_placed(said, change.place) | {"value": change.value} for change in one.changes],
        "remedy": one.remedy or None,
    }


def _placed(said: _MeshFile, place: str) -> dict[str, Any]:
    return {"place": place, "line": said.reading.source.line(place)}
