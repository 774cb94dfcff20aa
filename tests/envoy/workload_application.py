"""Applications that get their identities from the Workload API with SPIFFE's own library for Python."""

from __future__ import annotations

import http.client
import ssl
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from spiffe import TrustDomain, X509Source

from entrypoint.judging.memory_file import memory_file
from evidence.fixtures.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evidence.fixtures.container import Container

DOMAIN = "color.example"
TELLER_ID = f"spiffe://{DOMAIN}/colorteller"
GATEWAY_ID = f"spiffe://{DOMAIN}/colorgateway"
WITHIN_S = 30.0
"""Longest wait for a first answer, seconds."""


def endpoint(container: Container) -> str:
    """The container's socket as ``SPIFFE_ENDPOINT_SOCKET`` names it."""
    return f"unix://{container.environment['MESHCERT_WORKLOAD_API_SOCKET']}"


@contextmanager
def source_of(container: Container) -> Iterator[X509Source]:
    """What keeps an application's identity current, while the context lasts."""
    with X509Source(socket_path=endpoint(container), timeout_in_seconds=WITHIN_S) as source:
        yield source


def serial_number_in(source: X509Source) -> int:
    """Of the certificate that the application has now."""
    return source.get_x509_context().default_svid.leaf.serial_number


def roots_in(source: X509Source, domain: str = DOMAIN) -> set[int]:
    """Serial numbers of a trust domain's roots that it has now."""
    bundle = source.get_bundle_for_trust_domain(TrustDomain(domain))
    return {root.serial_number for root in bundle.x509_authorities} if bundle else set()


def mutual_tls(source: X509Source, side: ssl._SSLMethod) -> ssl.SSLContext:
    """A context of now that shows the identity and demands one of the trust domain."""
    svid = source.get_x509_context().default_svid
    bundle = source.get_bundle_for_trust_domain(TrustDomain(DOMAIN))
    assert bundle
    context = ssl.SSLContext(side)
    context.check_hostname = False  # no name of a host is in it: who it is, the SPIFFE ID says
    context.verify_mode = ssl.CERT_REQUIRED
    roots = "".join(root.public_bytes(Encoding.PEM).decode() for root in bundle.x509_authorities)
    context.load_verify_locations(cadata=roots)
    chain = "".join(each.public_bytes(Encoding.PEM).decode() for each in svid.cert_chain)
    key: Any = svid.private_key
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with memory_file(chain) as certificates, memory_file(text) as private_key:
        context.load_cert_chain(certificates, private_key)
    return context


@contextmanager
def answering(source: X509Source, address: str) -> Iterator[int]:
    """An application that serves HTTPS with its identity of now; gives its port, and answers with who calls."""
    server = ThreadingHTTPServer((address, 0), _WhoCalls)
    server.socket = mutual_tls(source, ssl.PROTOCOL_TLS_SERVER).wrap_socket(server.socket, server_side=True)
    with serving(server):
        yield server.server_port


def called(source: X509Source, address: str, port: int) -> tuple[str, str]:
    """Call an address with the identity of now: who answers, by its SPIFFE ID, and the text."""
    context = mutual_tls(source, ssl.PROTOCOL_TLS_CLIENT)
    connection = http.client.HTTPSConnection(address, port, timeout=10, context=context)
    try:
        connection.connect()
        assert isinstance(connection.sock, ssl.SSLSocket)
        answers = _spiffe_id(connection.sock)
        connection.request("GET", "/")
        return answers, connection.getresponse().read().decode()
    finally:
        connection.close()


def _spiffe_id(connection: ssl.SSLSocket) -> str:
    certificate: Any = connection.getpeercert()
    return ", ".join(text for kind, text in certificate["subjectAltName"] if kind == "URI")


class _WhoCalls(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer with the caller's SPIFFE ID."""
        assert isinstance(self.connection, ssl.SSLSocket)
        body = _spiffe_id(self.connection).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""
