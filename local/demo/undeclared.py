"""
Every undeclared pair, tried in both ways that a caller has.

Straight at the callee's TLS port, with the caller's own certificate; and by the callee's name through the egress
listener of the caller's own Envoy, where it has one and the callee speaks HTTP.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

import httpx

from local.running_mesh import NotSettled, wait_until
from local.tls_client import NO_TLS, TIMEOUT_S, Attempt, attempt
from meshcert.envoy.access_log import REFUSED_EVENT
from meshcert.mesh import proxy_settings
from meshcert.mesh.edges.pairs import Manner, Pair, RefusalCause

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from local.running_mesh import RunningMesh
    from meshcert.material import Material
    from meshcert.mesh import Mesh

CAUSES = frozenset({*RefusalCause, "bad-signature"} - {RefusalCause.NOT_ALLOWED})
"""Why a listener refuses a good certificate of somebody whom it does not trust. Any other cause would prove nothing."""
LOGGED_WITHIN_S = 60.0
LONGEST_TEXT = 80
TRIES = 3
"""Connections that are made until there is one that the listener has judged."""


class Refusal(NamedTuple):
    """
    A line of a listener's access log about a client that it refused.

    Args:
        cause: As :mod:`meshcert.envoy.causes` names it.
        reason: Envoy's own words.
    """

    cause: str
    reason: str


class EgressAnswer(NamedTuple):
    """
    What the egress listener of a caller's own Envoy says to a request for a host that is none of its backends.

    Args:
        status: The HTTP status; 0 if there was no answer.
        text: The answer's body, or what went wrong.
        key: The key of the mesh file that a refusal has to name.
    """

    status: int
    text: str
    key: str

    @property
    def refuses(self) -> bool:
        """Whether it is Envoy's own refusal, with what to write."""
        return self.status == HTTPStatus.FORBIDDEN and self.key in self.text


class Verdict(NamedTuple):
    """
    What became of an undeclared pair.

    Args:
        pair: The pair.
        refused: Whether whatever the caller can present was refused, and the callee's log says why.
        trusted: Whether the listener let it in because its rules in the mesh file do.
        causes: Those of the log.
        wrong: What was seen that the mesh file's rules do not explain; empty if all is explained.
        refused_at_egress: Whether the caller's own Envoy refused it, too.
    """

    pair: Pair
    refused: bool
    trusted: bool
    causes: tuple[str, ...]
    wrong: str = ""
    refused_at_egress: bool = False


def try_undeclared(
    running: RunningMesh, mesh: Mesh, pairs: Iterable[Pair], materials: Mapping[str, Material]
) -> list[Verdict]:
    """
    Try every undeclared pair.

    Args:
        pairs: All pairs; the declared ones are left out.
        materials: The current material of each identity.

    Returns:
        One verdict for each.
    """
    tried = [pair for pair in pairs if not pair.declared]
    services = {name for pair in tried for name in (pair.caller.name, pair.callee.service) if name in mesh.services}
    # Asked for once: a mesh has a hundred pairs, and nobody replaces a task while they are tried.
    addresses = {name: running.tasks(name)[0].address for name in services}
    attempts = {pair: _attempts(addresses, mesh, pair, materials) for pair in tried}
    answers = {pair: _at_egress(addresses, mesh, pair) for pair in attempts}
    clients: dict[str, list[str]] = {}
    for pair, made in attempts.items():
        refused = [one.client for one in made.values() if one.client and not one.admitted]
        clients.setdefault(pair.callee.service, []).extend(refused)
    logged = {service: refusals(running, service, addresses) for service, addresses in clients.items()}
    return [judge(pair, made, logged[pair.callee.service], answers[pair]) for pair, made in attempts.items()]


def refusals(running: RunningMesh, service: str, clients: Sequence[str]) -> dict[str, Refusal]:
    """
    The lines of a service's access log about clients that it refused, by the client's address and port.

    Waits up to a minute for the lines about ``clients``; those that have not come by then are not there.
    """
    found: dict[str, Refusal] = {}

    def all_there() -> bool:
        for line in running.log_lines(service):
            if line.get("event") == REFUSED_EVENT:
                found[str(line.get("client"))] = Refusal(str(line.get("cause")), str(line.get("reason")))
        return found.keys() >= set(clients)

    try:
        wait_until(all_there, f"the refusals in {service}'s access log", within_s=LOGGED_WITHIN_S, every_s=0.5)
    except NotSettled:
        return found
    return found


def _attempts(
    addresses: Mapping[str, str], mesh: Mesh, pair: Pair, materials: Mapping[str, Material]
) -> dict[str | None, Attempt]:
    """Connect to one task of the callee with each identity of the caller."""
    address = addresses[pair.callee.service]
    port, name = pair.callee.listener.port, f"{pair.callee.service}.{mesh.namespace}"
    plain = pair.manner is Manner.PLAIN
    return {
        identity: _connect(address, port, name, materials[identity] if identity else None, plain=plain)
        for identity in pair.presented
    }


def _at_egress(addresses: Mapping[str, str], mesh: Mesh, pair: Pair) -> EgressAnswer | None:
    """Ask for the callee by name at one task of the caller; None where a caller has no such way."""
    if pair.caller.outside or pair.callee.listener.protocol == "tcp":
        return None
    settings = proxy_settings(mesh, pair.caller.name)
    if not settings.egress_port or settings.egress_allow_all:
        return None
    url = f"http://{addresses[pair.caller.name]}:{settings.egress_port}/"
    host, key = f"{pair.callee.service}.{mesh.namespace}", f"virtual_nodes.{settings.name}.backends"
    try:
        answer = httpx.get(url, headers={"host": host}, timeout=TIMEOUT_S, trust_env=False, verify=NO_TLS)
    except httpx.HTTPError as error:
        return EgressAnswer(0, repr(error), key)
    return EgressAnswer(answer.status_code, answer.text, key)


def _connect(address: str, port: int, name: str, material: Material | None, *, plain: bool) -> Attempt:
    for _ in range(TRIES):
        with suppress(OSError):
            if not plain:
                return attempt(address, port, name, material)
            # There is no TLS port: whoever can connect is in.
            with socket.create_connection((address, port), timeout=TIMEOUT_S) as connection:
                return Attempt("{}:{}".format(*connection.getsockname()), admitted=True)
    # No connection at all is no refusal: nothing in the log will explain it.
    return Attempt("", admitted=False)


def judge(
    pair: Pair,
    made: Mapping[str | None, Attempt],
    logged: Mapping[str, Refusal],
    at_egress: EgressAnswer | None = None,
) -> Verdict:
    """
    What attempts say about an undeclared pair.

    Args:
        made: One attempt for each identity that the caller can present.
        logged: The lines of the callee's access log, by the client's address and port.
        at_egress: What the caller's egress listener said; None if it was not asked.
    """
    admitted = tuple(identity for identity, one in made.items() if one.admitted)
    known = [logged.get(one.client) for one in made.values() if not one.admitted]
    causes = tuple(dict.fromkeys(each.cause for each in known if each))
    silent = sum(each is None for each in known)
    wrong = ""
    if admitted != pair.trusted:
        wrong = f"let in: {_names(admitted)}; by its rules it lets in: {_names(pair.trusted)}"
    elif silent:
        wrong = f"refused, and the callee's log does not say why ({silent} of {len(known)})"
    elif set(causes) - CAUSES:
        wrong = f"refused, but not for the certificate: {', '.join(causes)}"
    elif at_egress and not at_egress.refuses:
        wrong = (
            f"the caller's own egress listener did not refuse it: {at_egress.status} {at_egress.text[:LONGEST_TEXT]}"
        )
    return Verdict(pair, not wrong and not admitted, not wrong and bool(admitted), causes, wrong, bool(at_egress))


def _names(identities: Iterable[str | None]) -> str:
    return ", ".join(identity or "a client without a certificate" for identity in identities) or "nobody"
