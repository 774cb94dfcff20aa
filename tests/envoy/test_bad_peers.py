"""
Every bad peer, in both roles, with TLS 1.2 and 1.3: refused by the real Envoy with its own cause, or known to be not.

One Envoy for each role meets all of them, each between two good peers made by the same code.
"""

from __future__ import annotations

import re
import ssl
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from evidence.fixtures.container import REPOSITORY, eventually
from evidence.fixtures.pki import Hierarchy
from evidence.fixtures.proxies import GATEWAY_NAME, PORT, TELLER_NAME, gateway
from tests.envoy.peers import TlsServer, call, connect, reset, tls_context
from tests.envoy.peers_cases import CASES, PLAIN, Refused, Silent
from tests.envoy.peers_pki import INTRUDER, PeerPki
from tests.envoy.peers_stage import OURS, Stage, backend, caller, listener

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from evidence.fixtures.cloud_map import CloudMap
    from evidence.fixtures.container import Container
    from evidence.fixtures.secrets_api import SecretsApi
    from tests.envoy.conftest import Start
    from tests.envoy.peers_cases import Case, Verdict
    from tests.envoy.peers_certificates import Credential

PAGE = (REPOSITORY / "docs/proxy.md").read_text()
STATISTICS = re.findall(r"^\| `((?:listener|cluster|sds|server)\.[^`]+)` \|", PAGE, re.MULTILINE)
LINES_WITHIN_S = 5.0
JUDGED = {
    "expired", "not-yet-valid", "wrong-purpose", "issuer-no-ca", "path-too-long", "bad-signature", "unknown-issuer",
    "self-signed",
}  # fmt: skip
"""Causes that Envoy counts as ``fail_verify_error``."""
PAIRS = [(name, at) for name, case in CASES.items() for at in range(len(case.versions))]
IDS = [f"{name} {CASES[name].versions[at] or 'plain'}" for name, at in PAIRS]


class Met(NamedTuple):
    """
    What one peer met.

    Args:
        answered: Whether an HTTP request went through.
        controls: The same for the good peer before it and the good peer after it.
        line: Envoy's log line about it, if any.
    """

    answered: bool
    controls: tuple[bool, bool]
    line: dict[str, Any] | None


class Scene(NamedTuple):
    """
    What all peers of one role met.

    Args:
        met: By name of the case and number of its version.
        stage: Still there.
        good: A good peer for each version of TLS.
    """

    met: dict[tuple[str, int], Met]
    stage: Stage
    good: list[ssl.SSLContext]


def _context(case: Case, at: int, role: ssl._SSLMethod, pki: PeerPki) -> ssl.SSLContext | None:
    if case.versions[at] == PLAIN:
        return None
    trusted = OURS if case.trusts_us else Hierarchy(1)
    context = tls_context(role, case.make(pki), trusted.root_pem, ssl.TLSVersion[case.versions[at]])
    if case.groups:
        context.set_ecdh_curve(case.groups)
    return context


def _gather(stage: Stage, pki: PeerPki) -> Scene:
    """Let every peer try, each between two good ones that speak as it does, then find its line."""
    good = [stage.peer(pki.leaf(), version) for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)]
    tried = {}
    for name, at in PAIRS:
        contexts = (good[at], _context(CASES[name], at, stage.role, pki), good[at])
        tried[name, at] = [stage.attempt(context) for context in contexts]
    expected = {
        tried[name, at][1].port for name, at in PAIRS if isinstance(_verdicts(CASES[name], stage.role)[at], Refused)
    }
    with suppress(AssertionError):  # which of them is missing, its own test says
        eventually(lambda: expected <= stage.lines().keys(), "every line", LINES_WITHIN_S)
    found = stage.lines()
    met = {
        key: Met(bad.answered, (before.answered, after.answered), found.get(bad.port))
        for key, (before, bad, after) in tried.items()
    }
    return Scene(met, stage, good)


def _verdicts(case: Case, role: ssl._SSLMethod) -> tuple[Verdict, ...]:
    return case.client if role is ssl.PROTOCOL_TLS_CLIENT else case.server


@pytest.fixture(scope="module")
def clients(begin: tuple[Start, SecretsApi]) -> Iterator[Scene]:
    """What bad clients meet at a STRICT listener."""
    pki = PeerPki(GATEWAY_NAME)
    with listener(*begin, pki) as stage:
        yield _gather(stage, pki)


@pytest.fixture(scope="module")
def servers(begin: tuple[Start, SecretsApi], new_address: Callable[[], str]) -> Iterator[Scene]:
    """What bad servers meet when our Envoy calls them."""
    pki = PeerPki(TELLER_NAME)
    with caller(*begin, pki, new_address) as stage:
        yield _gather(stage, pki)


def _judge(met: Met, expected: Verdict) -> None:
    assert met.controls == (True, True)
    match expected:
        case Silent():
            assert met.answered is (expected is Silent.ACCEPTED)
            assert met.line is None
        case Refused(cause, words):
            assert not met.answered
            assert met.line is not None
            assert (met.line["cause"], words in met.line["reason"]) == (cause, True), met.line


@pytest.mark.parametrize(("name", "at"), PAIRS, ids=IDS)
def test_a_client_meets_what_the_table_says(clients: Scene, name: str, at: int) -> None:
    """Good clients before and after it are answered."""
    _judge(clients.met[name, at], CASES[name].client[at])


@pytest.mark.parametrize(("name", "at"), PAIRS, ids=IDS)
def test_a_server_meets_what_the_table_says(servers: Scene, name: str, at: int) -> None:
    """Envoy's client gets 503; good servers before and after it answer."""
    _judge(servers.met[name, at], CASES[name].server[at])


def test_envoys_counters_know_three_kinds_and_the_log_knows_the_cause(clients: Scene) -> None:
    """Every refused certificate is counted, but most of them as ``fail_verify_error``."""
    causes = Counter(met.line["cause"] for met in clients.met.values() if met.line)

    counted = clients.stage.envoy.stats(f"listener.ingress_{PORT}.ssl.fail_verify")

    assert {name.rpartition(".")[2]: int(number) for name, number in counted.items()} == {
        "fail_verify_no_cert": causes["no-certificate"],
        "fail_verify_san": causes["wrong-name"],
        "fail_verify_error": sum(causes[cause] for cause in JUDGED),
        "fail_verify_cert_hash": 0,
    }
    assert len(JUDGED & causes.keys()) > 5


@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_statistic_that_operators_are_told_to_watch_exists(clients: Scene, servers: Scene, statistic: str) -> None:
    """Every one of the table in docs/proxy.md, by its name in one of the two Envoys."""
    name = statistic.replace("PORT", str(PORT)).replace("BACKEND", "colorteller")
    names = {name.replace("SECRET", secret) for secret in ("identity/colorteller", "trust/colorteller")}

    found = [scene.stage.envoy.stats(each).keys() for scene in (clients, servers) for each in names]

    assert names & set().union(*found)


def test_the_log_says_whose_certificate_was_refused(clients: Scene) -> None:
    """Whatever a peer writes into its certificate, it can neither end the line nor change the cause."""
    line = clients.met["wrong SAN", 1].line

    assert line is not None
    assert (line["peer_subject"], line["peer_issuer"], line["peer_names"]) == (
        "CN=peer",
        "CN=peer issuing",
        INTRUDER,
    )
    assert re.fullmatch("[0-9a-f]{30,40}", line["peer_serial_number"])
    assert (line["mesh"], line["service"], line["listener"]) == ("color", "colorteller", f"ingress_{PORT}")
    assert line["tls_version"] == "TLSv1.3"
    assert line["peer_not_after"] > line["at"]


def test_the_log_says_which_backend_was_refused(servers: Scene) -> None:
    """Its address tells the task."""
    line = servers.met["expired", 1].line

    assert line is not None
    assert (line["mesh"], line["service"], line["backend"]) == ("color", "colorgateway", "colorteller")
    assert line["host"].endswith(f":{PORT}")


def test_a_connection_that_says_nothing_leaves_no_line(clients: Scene) -> None:
    """A load balancer's TCP health check connects and hangs up, again and again."""
    stage = clients.stage
    with connect(stage.envoy.address, PORT) as silent:
        port = silent.getsockname()[1]

    _wait_for_the_next_line(stage)
    assert port not in stage.lines()


def _wait_for_the_next_line(stage: Stage) -> None:
    refused = stage.attempt(None)
    eventually(lambda: refused.port in stage.lines(), "the line of the next one")


def _reset_after_an_answer(plain: socket.socket, context: ssl.SSLContext) -> None:
    connection = context.wrap_socket(plain)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    reset(connection)


def _reset_in_the_handshake(plain: socket.socket, context: ssl.SSLContext) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    plain.sendall(outgoing.read())
    assert plain.recv(1)
    reset(plain)


@pytest.mark.parametrize("at", [0, 1], ids=["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize("end", [_reset_after_an_answer, _reset_in_the_handshake])
def test_a_client_that_resets_its_connection_leaves_no_line(
    clients: Scene, end: Callable[[socket.socket, ssl.SSLContext], None], at: int
) -> None:
    """Nobody was refused: such an end has no cause that anybody could mend."""
    with connect(clients.stage.envoy.address, PORT) as plain:
        port = plain.getsockname()[1]
        end(plain, clients.good[at])

    _wait_for_the_next_line(clients.stage)
    assert port not in clients.stage.lines()


def test_a_server_that_resets_its_connection_leaves_no_line(servers: Scene) -> None:
    """The caller gets 503, as from a server that is not there."""
    stage = servers.stage
    assert stage.server
    stage.server.resets = True
    attempt = stage.attempt(servers.good[1])
    stage.server.resets = False

    assert not attempt.answered
    _wait_for_the_next_line(stage)
    assert attempt.port not in stage.lines()


class Backends(NamedTuple):
    """
    A gateway's backend.

    Args:
        pki: Issues what the gateway trusts.
        cloud_map: Where its tasks are.
        server: One of its tasks, which answers.
    """

    pki: PeerPki
    cloud_map: CloudMap
    server: TlsServer


@pytest.fixture
def backends(begin: tuple[Start, SecretsApi], new_address: Callable[[], str]) -> Iterator[Backends]:
    """A good one."""
    _, api = begin
    pki = PeerPki(TELLER_NAME)
    with backend(api, pki, new_address) as (cloud_map, server):
        server.context = _server(pki.leaf())
        yield Backends(pki, cloud_map, server)


def _server(credential: Credential | None) -> ssl.SSLContext:
    return tls_context(ssl.PROTOCOL_TLS_SERVER, credential, OURS.root_pem, ssl.TLSVersion.TLSv1_3)


def _call_until_answered(envoy: Container) -> None:
    envoy.wait_until_healthy()
    eventually(lambda: call(envoy.address, PORT, None).answered, "a good backend's answer")


def test_a_tcp_listener_tells_a_refused_backend_too(begin: tuple[Start, SecretsApi], backends: Backends) -> None:
    """There is no 503: the client's connection ends, and the line says why."""
    (edge,), (behind,) = gateway().listeners, gateway().backends
    tcp = gateway(listeners=(edge._replace(protocol="tcp"),), backends=(behind._replace(protocol="tcp"),))
    envoy = begin[0](tcp, MESHCERT_DNS_RESOLVER=backends.cloud_map.resolver)
    _call_until_answered(envoy)

    backends.server.context = _server(CASES["expired"].make(backends.pki))
    refused = call(envoy.address, PORT, None)

    (line,) = eventually(lambda: envoy.events("backend-refused"), "the line")
    assert not refused.answered
    assert (line["cause"], line["backend"]) == ("expired", "colorteller")


def test_one_bad_task_of_a_backend_is_told_although_no_request_fails(
    begin: tuple[Start, SecretsApi], backends: Backends, new_address: Callable[[], str]
) -> None:
    """Envoy tries another one; a task that is not there at all is no refused one."""
    with TlsServer(new_address(), PORT) as bad:
        bad.context = _server(CASES["expired"].make(backends.pki))
        backends.cloud_map.records[TELLER_NAME] += [bad.address, new_address()]
        envoy = begin[0](gateway(), MESHCERT_DNS_RESOLVER=backends.cloud_map.resolver)
        _call_until_answered(envoy)

        answered = [call(envoy.address, PORT, None).answered for _ in range(12)]

        lines = eventually(lambda: envoy.events("backend-refused"), "a line")
        assert all(answered)
        assert {(line["cause"], line["host"]) for line in lines} == {("expired", f"{bad.address}:{PORT}")}
        retried = "cluster.colorteller.upstream_cx_connect_fail"
        assert int(envoy.stats(retried)[retried]) > len(lines)
