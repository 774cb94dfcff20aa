"""Every declared pair, asked once, with what both Envoys have counted."""

from __future__ import annotations

import re
import time
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import httpx

from meshcert.envoy import listener_name
from meshcert.mesh import proxy_settings
from meshcert.mesh.edges.pairs import Manner, Pair, backend_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    from local.demo.questions import Asking
    from local.demo.tcp_sessions import TcpAsking
    from local.running_mesh import RunningMesh
    from meshcert.mesh import Mesh


TRIES = 500
"""Requests at most until one comes to a callee that shares them: 1 per cent of them meets it then, 99 times of 100."""
LEARNT_WITHIN_S = 10.0
"""A caller learns of a callee's first tasks within its poll interval, and its Envoy answers 503 until then."""


class Talk(NamedTuple):
    """
    What became of a declared pair.

    Args:
        pair: The pair.
        answer: What the answer said; empty without one.
        why_not: What is missing from the proof; empty if they talk as the mesh file declares.
        counted: The counters that show it, for people.
    """

    pair: Pair
    answer: str
    why_not: str
    counted: str = ""

    @property
    def talks(self) -> bool:
        """Whether everything was seen that shows it."""
        return not self.why_not


class Counted(NamedTuple):
    """
    What a pair's two Envoys have counted since they started.

    Args:
        requests: That have come to the listener in the pair's manner, over TLS or in plain text; for ``tcp`` sessions.
        handshakes: TLS handshakes that the listener has completed.
        anonymous: Those of them in which the client presented no certificate.
        sent: Requests, or sessions, that the caller's Envoy has sent; None for a client outside the mesh.
        started: TLS handshakes that the caller's Envoy has completed; None for a client outside the mesh.
    """

    requests: int
    handshakes: int
    anonymous: int
    sent: int | None
    started: int | None


def talk(running: RunningMesh, mesh: Mesh, pair: Pair, asking: Asking | TcpAsking | None) -> Talk:
    """
    Ask a pair's question and read the counters of the Envoys around it.

    Every request of a backend with TLS goes over TLS, and Envoy keeps connections. So the request must have been
    counted at both ends, over TLS, and all handshakes together must be such as the mesh file declares.
    """
    if asking is None:
        return Talk(pair, "", "the mesh file has no route to it, or no listener that lets anybody in")
    try:
        before = _counted(running, mesh, pair)
        learnt_by = time.monotonic() + LEARNT_WITHIN_S
        for tries in count(1):
            said, instead = asking.ask_once()
            after = _counted(running, mesh, pair)
            is_last = tries >= (TRIES if asking.question.is_shared else 1)
            # Behind the callee, too, somebody may be about to learn of a callee of its own.
            still_learning = instead and time.monotonic() < learnt_by
            if not still_learning and (after.requests > before.requests or is_last):
                break
    except (httpx.HTTPError, OSError, LookupError) as error:
        return Talk(pair, "", f"no answer: {error!r}")
    if instead:
        protocol = pair.callee.listener.protocol
        hint = (
            f"Does the application listen on MESHCERT_LOOPBACK_ADDRESS and PORT, in {protocol}? docs/demo.md says more"
        )
        return Talk(pair, said, f"an Envoy answered {instead}. {hint}")
    counted = f"ssl.handshake {after.handshakes}, ssl.no_certificate {after.anonymous}"
    return Talk(pair, said, "; ".join(missing(pair.manner, before, after)), "" if _plain(pair) else counted)


def missing(manner: Manner, before: Counted, after: Counted) -> Iterable[str]:
    """What two Envoys' counters around an answered request do not show of it; nothing if they show it whole."""
    if after.requests <= before.requests:
        yield f"the callee's Envoy has counted no request ({manner})"
    if after.sent is not None and before.sent is not None and after.sent <= before.sent:
        yield "the caller's Envoy has counted no request"
    if manner is Manner.PLAIN:
        return
    if after.handshakes == 0 or after.started == 0:
        yield "an Envoy has counted no TLS handshake"
    if manner is Manner.MUTUAL and after.anonymous:
        yield f"{after.anonymous} clients presented no certificate"


def _counted(running: RunningMesh, mesh: Mesh, pair: Pair) -> Counted:
    callee = pair.callee
    name = listener_name(callee.listener.port)
    way = f"{name}_{'plain' if _plain(pair) else 'tls'}"
    is_tcp = callee.listener.protocol == "tcp"
    arrived = f"tcp.{way}.downstream_cx_total" if is_tcp else f"http.{way}.downstream_rq_total"
    at_callee = running.counters(
        callee.service, rf"{re.escape(arrived)}|listener\.{name}\.ssl\.(handshake|no_certificate)"
    )
    sent: int | None = None
    started: int | None = None
    if not pair.caller.outside:
        backend = backend_for(mesh, proxy_settings(mesh, pair.caller.name), callee)
        assert backend is not None
        left = f"cluster.{backend.name}.upstream_{'cx' if is_tcp else 'rq'}_total"
        handshakes = f"cluster.{backend.name}.ssl.handshake"
        at_caller = running.counters(pair.caller.name, f"{re.escape(left)}|{re.escape(handshakes)}")
        sent, started = at_caller.get(left, 0), at_caller.get(handshakes, 0)
    return Counted(
        requests=at_callee.get(arrived, 0),
        handshakes=at_callee.get(f"listener.{name}.ssl.handshake", 0),
        anonymous=at_callee.get(f"listener.{name}.ssl.no_certificate", 0),
        sent=sent,
        started=started,
    )


def _plain(pair: Pair) -> bool:
    return pair.manner is Manner.PLAIN
