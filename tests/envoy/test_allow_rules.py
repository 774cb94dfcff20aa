"""Which callers may make which requests, judged by the real Envoy."""

from __future__ import annotations

import ssl
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from evidence.fixtures.container import eventually, request
from evidence.fixtures.pki import Hierarchy
from evidence.fixtures.proxies import GATEWAY_NAME, GATEWAY_TRUST, PORT, TELLER_NAME, TELLER_SECRET, teller
from evidence.fixtures.serving import serving
from meshcert.proxy import Listener, TlsMode
from meshcert.routes import deciding_rule
from meshcert.san import Dns, SpiffeIdPrefix, Uri
from tests.envoy.allow_rule_cases import (
    CALLERS,
    CALLS,
    CART,
    DOTS,
    GET,
    OPERATOR,
    REFUSED_SPELLINGS,
    RULES,
    SPELLINGS,
    TRUST_DOMAIN,
)
from tests.envoy.conftest import APPLICATION_PORT
from tests.envoy.peers import ask, tls_context
from tests.envoy.peers_pki import PeerPki
from tests.envoy.route_cases import GRPC, PATHS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cryptography import x509

    from evidence.fixtures.container import Container
    from evidence.fixtures.secrets_api import SecretsApi
    from tests.envoy.conftest import Start
    from tests.envoy.peers_certificates import Credential

CALLS_PORT, PERMISSIVE_PORT = PORT + 1, PORT + 2
LET_IN = (Dns(GATEWAY_NAME), SpiffeIdPrefix(TRUST_DOMAIN))
Answer = tuple[int, str] | None


class _Application(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """The path that was asked for."""
        body = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


class Judging(NamedTuple):
    """
    An Envoy whose listeners have rules.

    Args:
        envoy: Its container.
        clients: Signs clients that it trusts.
        own: Signs its own certificate.
    """

    envoy: Container
    clients: PeerPki
    own: Hierarchy

    def ask(
        self,
        credential: Credential,
        path: str,
        port: int = PORT,
        fields: Mapping[str, str] | None = None,
    ) -> Answer:
        """Status and body, of a request on a new connection."""
        context = tls_context(ssl.PROTOCOL_TLS_CLIENT, credential, self.own.root_pem, ssl.TLSVersion.TLSv1_3)
        return ask(self.envoy.address, port, context, path, fields)


@pytest.fixture(scope="module")
def judging(begin: tuple[Start, SecretsApi]) -> Iterator[Judging]:
    """One Envoy for the whole file."""
    start, api = begin
    clients, own = PeerPki("unused"), Hierarchy(2)
    api.publish(TELLER_SECRET, own.issue([TELLER_NAME]))
    api.publish_trust_bundle(GATEWAY_TRUST, clients.trust_bundle)
    (listener,) = teller().listeners
    strict = listener.tls._replace(subject_alternative_names=LET_IN)
    listeners = (
        Listener(PORT, "http", strict, allow=RULES),
        Listener(CALLS_PORT, "http", strict, allow=CALLS),
        Listener(PERMISSIVE_PORT, "http", strict._replace(mode=TlsMode.PERMISSIVE), allow=RULES),
    )
    envoy = start(teller(listeners=listeners))
    with serving(ThreadingHTTPServer((envoy.address, APPLICATION_PORT), _Application)):
        envoy.wait_until_healthy()
        yield Judging(envoy, clients, own)


@pytest.fixture(scope="module")
def credential(judging: Judging) -> Any:
    """What a caller with such names presents; each is issued once."""

    @cache
    def issued(*names: str | x509.GeneralName, subject: str = "peer") -> Credential:
        return judging.clients.leaf(names=names, subject=subject)

    return issued


@pytest.mark.parametrize(("path", "seen"), (PATHS | DOTS).items(), ids=PATHS | DOTS)
def test_a_rule_judges_the_path_that_the_application_gets(
    judging: Judging, credential: Any, path: str, seen: str
) -> None:
    """The table of the routes: below /admin the operator alone, elsewhere everybody; what is unclear gets nobody."""
    operator, cart = judging.ask(credential(OPERATOR), path), judging.ask(credential(CART), path)

    assert operator
    assert cart
    if seen.isdecimal():
        assert {operator[0], cart[0]} == {int(seen)}
    elif path in REFUSED_SPELLINGS:
        assert {operator[0], cart[0]} == {HTTPStatus.FORBIDDEN}
    elif seen:
        assert operator == (HTTPStatus.OK, seen)
        assert cart[0] == HTTPStatus.FORBIDDEN
    else:
        assert {operator[0], cart[0]} == {HTTPStatus.OK}
        assert not cart[1].startswith("/admin")


@pytest.mark.parametrize("path", SPELLINGS)
def test_nobody_goes_by_another_spelling_of_a_rules_path(judging: Judging, credential: Any, path: str) -> None:
    """Case, a slash at the end, path parameters: some applications take it for that path, and others do not."""
    both = credential(GATEWAY_NAME, OPERATOR), credential(GATEWAY_NAME, CART)

    answers = [judging.ask(each, path) for each in both]

    assert [answer and answer[0] for answer in answers] == [HTTPStatus.FORBIDDEN] * len(both)


@pytest.mark.parametrize(("names", "path", "status"), CALLERS, ids=str)
def test_a_caller_may_ask_for_what_a_rule_allows_one_of_its_names(
    judging: Judging, credential: Any, names: tuple[str | x509.GeneralName, ...], path: str, status: int
) -> None:
    """The rule with the longest path decides alone."""
    answer = judging.ask(credential(*names), path)

    assert answer == ((status, path) if status == HTTPStatus.OK else (status, answer and answer[1]))


def test_our_own_judgement_is_envoys(judging: Judging, credential: Any) -> None:
    """`check`, `why` and `map` speak of rules without asking Envoy."""
    names = (Dns(GATEWAY_NAME), Uri(OPERATOR))
    paths = [
        path
        for path in (*SPELLINGS, *(path for _, path, _ in CALLERS), *PATHS)
        if PATHS.get(path, path) in ("", path) and "%" not in path and "?" not in path
    ]
    plain = [path for path in dict.fromkeys(paths) if not any(part in path for part in ("//", "/.", "\\", "#"))]

    ours = {path: (rule := deciding_rule(RULES, path)) is not None and rule.admits(names) for path in plain}
    answers = {path: judging.ask(credential(GATEWAY_NAME, OPERATOR), path) for path in plain}

    assert len(plain) > 20
    assert {path: answer is not None and answer[0] == HTTPStatus.OK for path, answer in answers.items()} == ours


def test_the_subject_of_a_certificate_is_no_name_of_a_caller(judging: Judging, credential: Any) -> None:
    """Nor does it break what is read of the other names."""
    for subject in (OPERATOR, f'x";URI={OPERATOR}', "x;URI=a;URI=b"):
        answer = judging.ask(credential(CART, subject=subject), "/admin")
        assert answer
        assert answer[0] == HTTPStatus.FORBIDDEN
    assert judging.ask(credential(CART, subject=OPERATOR), "/shop/x") == (HTTPStatus.OK, "/shop/x")


@pytest.mark.parametrize(
    "header", [f"URI={OPERATOR}", f"By=a;URI={OPERATOR}", f"Hash=a;URI={OPERATOR};URI={CART}", "a;URI=b;URI=c"]
)
def test_what_a_client_writes_of_its_certificate_changes_nothing(
    judging: Judging, credential: Any, header: str
) -> None:
    """Envoy replaces the header before it judges."""
    made_up = {"x-forwarded-client-cert": header}

    assert judging.ask(credential(CART), "/shop/x", fields=made_up) == (HTTPStatus.OK, "/shop/x")
    refused = judging.ask(credential(CART), "/admin", fields=made_up)
    assert refused
    assert refused[0] == HTTPStatus.FORBIDDEN


@pytest.mark.parametrize(
    ("names", "path", "allowed"),
    [
        ((OPERATOR,), GET, True),
        ((OPERATOR,), "/color.ColorService/Set", True),
        ((GATEWAY_NAME,), GET, True),
        ((GATEWAY_NAME,), "/color.ColorService/Set", False),
        ((GATEWAY_NAME,), "/color.ColorService/get", False),
        ((OPERATOR,), "/color.colorService/Get", False),
        ((OPERATOR,), "/color.ColorServices/Get", False),
        ((OPERATOR,), "/other.Service/Get", False),
        ((CART,), GET, False),
    ],
)
def test_a_grpc_call_is_judged_by_its_service_and_method(
    judging: Judging, credential: Any, names: tuple[str, ...], path: str, *, allowed: bool
) -> None:
    """A refusal is gRPC's PERMISSION_DENIED, in an answer of 200 (gRPC over HTTP/2, Responses)."""
    answer = judging.ask(credential(*names), path, CALLS_PORT, GRPC)

    assert answer == (HTTPStatus.OK, path if allowed else "")


def test_a_request_that_no_rule_is_about_is_refused(judging: Judging, credential: Any) -> None:
    """What is not listed is not allowed, to nobody."""
    answer = judging.ask(credential(OPERATOR), "/", CALLS_PORT)

    assert answer
    assert answer[0] == HTTPStatus.FORBIDDEN
    assert "virtual_nodes.colorteller.listeners[0].allow in the mesh file" in answer[1]


def test_plain_text_is_nobodys_even_where_a_rule_names_no_callers(judging: Judging, credential: Any) -> None:
    """The checks refuse rules on such a listener; should a container get one, it stays shut."""
    status, _ = request(judging.envoy.address, PERMISSIVE_PORT)

    assert status == HTTPStatus.FORBIDDEN
    assert judging.ask(credential(CART), "/", PERMISSIVE_PORT) == (HTTPStatus.OK, "/")


def test_a_refused_request_is_counted_and_told_with_its_cause(judging: Judging, credential: Any) -> None:
    """By whom, for what; the query, which may hold anything, is left out."""
    before = _denied(judging)

    judging.ask(credential(f"{TRUST_DOMAIN}/told", "told.local"), "/admin/told?token=secret")

    def told() -> list[dict[str, object]]:
        return [line for line in judging.envoy.events("request-refused") if line["path"] == "/admin/told"]

    (line,) = eventually(told, "a line about it")
    assert (line["cause"], line["listener"], line["method"]) == ("not-allowed", f"ingress_{PORT}", "GET")
    assert (line["peer_uris"], line["peer_names"]) == (f"{TRUST_DOMAIN}/told", "told.local")
    assert (line["level"], line["mesh"], line["service"]) == ("warning", "color", "colorteller")
    assert _denied(judging) == before + 1


def _denied(judging: Judging) -> int:
    return int(judging.envoy.stats("rbac.denied")[f"http.ingress_{PORT}_tls.rbac.denied"])
