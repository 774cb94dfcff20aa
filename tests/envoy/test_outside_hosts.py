"""A host outside the mesh is called over TLS: checked against public roots or a hierarchy's, by its own name."""

from __future__ import annotations

import http.client
import ssl
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from entrypoint.judging.memory_file import memory_file
from evidence.fixtures.cloud_map import CloudMap
from evidence.fixtures.container import eventually
from evidence.fixtures.pki import Hierarchy
from evidence.fixtures.proxies import TELLER_TRUST, gateway
from evidence.fixtures.serving import serving
from meshcert.contract.container import PUBLIC_ROOTS
from meshcert.proxy import Backend, BackendTls, Route, SecretReference, WayOut
from meshcert.san import Dns
from meshcert.tls_sources import PublicRoots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evidence.fixtures.container import Container
    from evidence.fixtures.secrets_api import SecretsApi
    from meshcert.material import Material
    from tests.envoy.conftest import Start

EGRESS, PORT = 15001, 8443
WILDCARD, OWN, LISTED = "partner.example.com", "ledger.example.org", "listed.example.com"
OTHER_NAME, OTHER_ROOT, REAL_ROOTS = "partner.example.net", "private.example.com", "real.example.com"


class Stage(NamedTuple):
    """The caller's container, and the names that its TLS clients have asked for, by the host's first name."""

    front: Container
    asked: dict[str, set[str]]


@pytest.fixture(scope="module")
def stage(
    begin: tuple[Start, SecretsApi], new_address: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """A node without a certificate of its own, and hosts that each present another one."""
    start, api = begin
    public, own, unknown = (Hierarchy(2, name=name) for name in ("public", "own", "unknown"))
    api.publish_trust_bundle(TELLER_TRUST, own.trust_bundle)
    roots = tmp_path_factory.mktemp("roots") / "ca-certificates.crt"
    roots.write_text(Hierarchy(1, name="another").root_pem + public.root_pem)
    in_file = BackendTls(PublicRoots(str(roots)))
    hosts = {
        WILDCARD: (in_file, public.issue(["*.example.com"])),
        OWN: (BackendTls("own"), own.issue([OWN])),
        LISTED: (
            in_file._replace(subject_alternative_names=(Dns("alias.example.com"),)),
            public.issue(["*.example.com"]),
        ),
        OTHER_NAME: (in_file, public.issue(["*.example.com"])),
        OTHER_ROOT: (in_file, unknown.issue([OTHER_ROOT])),
        REAL_ROOTS: (BackendTls(PublicRoots(PUBLIC_ROOTS)), public.issue([REAL_ROOTS])),
    }
    asked: dict[str, set[str]] = {}
    with CloudMap(new_address()) as names, ExitStack() as open_ones:
        for host, (_, material) in hosts.items():
            names.records[host] = [new_address()]
            open_ones.enter_context(_served(names.records[host][0], material, asked.setdefault(host, set())))
        settings = gateway(
            name="front",
            listeners=(),
            routes=(),
            identities={},
            trust_bundles={"own": SecretReference(TELLER_TRUST)},
            application_port=8080,
            backends=tuple(Backend(host, host, PORT, "http", tls, one_host=True) for host, (tls, _) in hosts.items()),
            ways_out=tuple(WayOut(host, (host,), "http", (Route("/", host),)) for host in hosts),
            egress_port=EGRESS,
        )
        front = start(settings, MESHCERT_DNS_RESOLVER=names.resolver)
        front.wait_until_healthy()
        eventually(lambda: _ask(front, WILDCARD)[0] == 200, "a first answer")
        yield Stage(front, asked)


class _Application(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Say who it is for."""
        body = self.headers["Host"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """Clients that refuse the certificate are what it is there for."""


@contextmanager
def _served(address: str, material: Material, asked: set[str]) -> Iterator[None]:
    """A host that presents a certificate, and remembers which name a client asks for (SNI)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with memory_file(material.presented_chain) as chain, memory_file(material.private_key.reveal()) as key:
        context.load_cert_chain(chain, key, material.passphrase.reveal())
    context.sni_callback = lambda _, name, __: asked.add(name or "")
    server = _Server((address, PORT), _Application)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with serving(server):
        yield


def _ask(container: Container, host: str) -> tuple[int, str]:
    """Status and body of a request to a host at the egress listener."""
    connection = http.client.HTTPConnection(container.address, EGRESS, timeout=30)
    try:
        connection.request("GET", "/", headers={"Host": host})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("host", [WILDCARD, OWN], ids=["public roots, a wildcard", "a hierarchy of the file"])
def test_a_host_is_asked_for_by_its_name_and_must_prove_it(stage: Stage, host: str) -> None:
    """The name is that of its service discovery, for SNI too; a wildcard in a certificate proves it."""
    answer = _ask(stage.front, host)

    assert answer == (200, host)
    assert stage.asked[host] == {host}


def test_a_policy_s_names_take_the_place_of_the_host_s(stage: Stage) -> None:
    """The certificate proves the listed one; what is asked for remains the host's."""
    assert _ask(stage.front, LISTED) == (200, LISTED)
    assert stage.asked[LISTED] == {LISTED}


@pytest.mark.parametrize(
    ("host", "cause"),
    [(OTHER_NAME, "wrong-name"), (OTHER_ROOT, "unknown-issuer"), (REAL_ROOTS, "unknown-issuer")],
    ids=["another name", "another root", "the image's public roots"],
)
def test_a_host_that_does_not_prove_it_gets_no_request(stage: Stage, host: str, cause: str) -> None:
    """503, and a line of the log says why; Envoy reads the public roots of its image, and they have not signed ours."""
    status, _ = _ask(stage.front, host)

    assert status == 503
    refused = eventually(
        lambda: [line for line in stage.front.events("backend-refused") if line["backend"] == host], "the refusal"
    )
    assert {line["cause"] for line in refused} == {cause}
