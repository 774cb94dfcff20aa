"""
The wire protocols an Envoy container speaks with AWS, for one test, and every way of failing.

Two operations of Secrets Manager, one of DynamoDB, and ECS's endpoints for credentials and task metadata. It stands in
for the wire only: signatures and IAM are not looked at. What AWS allows is tested against the local AWS.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import threading
from collections import deque
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal, Self

from meshcert.document import write_material, write_trust_bundle

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

    from meshcert.material import Material, TrustBundle

Fault = Literal["throttled", "broken", "denied", "hanging", "cut", "garbage", "empty"]

_FAILURES: dict[Fault, tuple[int, dict[str, Any] | bytes | None]] = {
    "throttled": (400, {"__type": "ThrottlingException", "message": "Rate exceeded"}),
    "broken": (500, {"__type": "InternalServiceError", "message": "An error occurred on the server side."}),
    "denied": (400, {"__type": "AccessDeniedException", "Message": "not authorized to perform this"}),
    "hanging": (500, b""),
    "cut": (200, None),
    "garbage": (200, b"<html>not what you asked for</html>"),
    "empty": (200, b""),
}

ACCESS_KEY = "AKIATESTTESTTESTTEST"
TASK = "arn:aws:ecs:eu-west-1:111122223333:task/meshcert-color/0123456789abcdef0123456789abcdef"
_REMEMBERED = 20
_CREDENTIALS_PATH = "/credentials"
_METADATA_PATH = "/v4/token-of-the-container"


class SecretsApi:
    """
    An HTTP server with secrets; use it as a context.

    Args:
        address: Loopback address to bind; the port is free.
        tls: Speak HTTPS with this; None speaks HTTP.
    """

    def __init__(self, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.calls: list[tuple[str, str]] = []
        """Operation and secret of every call, in order."""
        self.credential_requests = 0
        """How often credentials were asked for."""
        self.credentials_available = True
        """Whether the credentials endpoint answers as it should."""
        self.metadata = json.dumps({"Cluster": "meshcert-color", "TaskARN": TASK}).encode()
        """What the metadata endpoint says of the task."""
        self.rows: list[dict[str, Any]] = []
        """Every item that was put into a table, the table's name as ``table`` beside it, in order."""
        self.write_attempts = 0
        """How often an item was to be put, also in vain."""
        self.published: deque[Material] = deque(maxlen=_REMEMBERED)
        """The last material that was published, for whoever looks where it must not be."""
        self.objects: dict[str, bytes] = {}
        """What lies in S3, by ``BUCKET/KEY``; what is not there is denied, as to a task that may not list."""
        self.objects_available = True
        """Whether S3 answers as it should."""
        self.objects_sent = 0
        """How often an object was sent."""
        self._secrets: dict[str, tuple[str, str]] = {}
        self._quarantined: dict[str, set[str]] = {}
        self._faults: deque[Fault] = deque()
        self._lasting_fault: Fault | None = None
        self._write_fault: Fault | None = None
        self._released = threading.Event()
        self._server = ThreadingHTTPServer((address, 0), _handler(self))
        self._scheme = "https" if tls else "http"
        if tls:
            # The handshake is each connection's own: a slow one keeps nobody from being accepted.
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """For ``AWS_ENDPOINT_URL``."""
        address, port = self._server.server_address[:2]
        return f"{self._scheme}://{address!s}:{port}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a task whose AWS this is."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "eu-west-1",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.url}{_CREDENTIALS_PATH}",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "token-of-the-task",
            "ECS_CONTAINER_METADATA_URI_V4": f"{self.url}{_METADATA_PATH}",
        }

    def publish(self, secret: str, material: Material) -> None:
        """Make material the current version of an identity's secret."""
        self.published.append(material)
        self.put(secret, material.version_id, write_material(material, {}))

    def publish_trust_bundle(self, secret: str, bundle: TrustBundle) -> None:
        """Make a bundle the current version of its secret."""
        self.put(secret, bundle.version_id, write_trust_bundle(bundle))

    def put(self, secret: str, version_id: str, text: str) -> None:
        """Make any text the current version of a secret."""
        self._secrets[secret] = (version_id, text)

    def quarantine(self, secret: str, version_id: str) -> None:
        """Put the label of a failed rollout on a version."""
        self._quarantined.setdefault(secret, set()).add(version_id)

    def fail_next(self, *faults: Fault) -> None:
        """Fail the next calls, one fault each."""
        self._faults.extend(faults)

    def fail_always(self, fault: Fault | None) -> None:
        """Fail every call from now on; None ends it."""
        self._lasting_fault = fault

    def fail_writes(self, fault: Fault | None) -> None:
        """Fail every PutItem from now on; None ends it."""
        self._write_fault = fault

    def object(self, name: str, known_tag: str) -> tuple[int, bytes, str]:
        """Status, body and entity tag of S3's answer."""
        body = self.objects.get(name)
        tag = f'"{hashlib.sha256(body or b"").hexdigest()}"'
        if not self.objects_available:
            return 503, b"<Error><Code>SlowDown</Code></Error>", ""
        if body is None:
            return 403, b"<Error><Code>AccessDenied</Code></Error>", ""
        if known_tag == tag:
            return 304, b"", tag
        self.objects_sent += 1
        return 200, body, tag

    def put_item(self, question: dict[str, Any]) -> tuple[int, dict[str, Any] | bytes | None]:
        """Status and body of DynamoDB's answer."""
        self.write_attempts += 1
        fault = self._write_fault
        if fault == "hanging":
            self._released.wait(30)
        if fault:
            return _FAILURES[fault]
        self.rows.append({"table": question["TableName"], **_plain({"M": question["Item"]})})
        return 200, {}

    def answer(self, operation: str, question: dict[str, Any]) -> tuple[int, dict[str, Any] | bytes | None]:
        """Status and body of one call; None cuts the connection in the middle of the answer."""
        secret = str(question["SecretId"])
        self.calls.append((operation, secret))
        fault = self._faults.popleft() if self._faults else self._lasting_fault
        if fault == "hanging":
            self._released.wait(30)
        return _FAILURES[fault] if fault else self._good_answer(operation, secret)

    def _good_answer(self, operation: str, secret: str) -> tuple[int, dict[str, Any]]:
        if secret not in self._secrets:
            message = "Secrets Manager can't find the specified secret."
            return 400, {"__type": "ResourceNotFoundException", "Message": message}
        version, text = self._secrets[secret]
        labels = {bad: ["QUARANTINED"] for bad in self._quarantined.get(secret, ())}
        labels[version] = ["AWSCURRENT", *labels.get(version, ())]
        if operation == "DescribeSecret":
            return 200, {"ARN": secret, "Name": secret, "VersionIdsToStages": labels}
        return 200, {"ARN": secret, "VersionId": version, "SecretString": text, "VersionStages": labels[version]}


def _plain(attribute: dict[str, Any]) -> Any:
    """The value of DynamoDB's ``AttributeValue``."""
    ((kind, value),) = attribute.items()
    match kind:
        case "M":
            return {name: _plain(inner) for name, inner in value.items()}
        case "N":
            return int(value)
        case _:
            return value


def _handler(api: SecretsApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle(self) -> None:
            """Serve a connection; a container that is killed resets its own."""
            with suppress(ConnectionResetError):
                super().handle()

        def do_GET(self) -> None:
            if self.path == f"{_METADATA_PATH}/task":
                self._send(200, api.metadata)
                return
            if "/s3/aws4_request" in self.headers.get("Authorization", ""):
                self._send(*api.object(self.path.removeprefix("/"), self.headers.get("If-None-Match", "")))
                return
            expires = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=6)).strftime("%Y-%m-%dT%H:%M:%SZ")
            credentials = {"AccessKeyId": ACCESS_KEY, "SecretAccessKey": "s", "Token": "t", "Expiration": expires}
            api.credential_requests += 1
            right_question = self.headers["Authorization"] == "token-of-the-task" and self.path == _CREDENTIALS_PATH
            known = right_question and api.credentials_available
            self._send(200 if known else 403, json.dumps(credentials if known else {}).encode())

        def do_POST(self) -> None:
            service, _, operation = self.headers["X-Amz-Target"].partition(".")
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if f"Credential={ACCESS_KEY}/" not in self.headers["Authorization"]:
                self._send(400, b'{"__type":"UnrecognizedClientException","message":"The security token is invalid."}')
                return
            writes = (service, operation) == ("DynamoDB_20120810", "PutItem")
            status, body = api.put_item(question) if writes else api.answer(operation, question)
            if body is None:
                self.send_response(status)
                self.send_header("Content-Length", "100000")
                self.end_headers()
                self.wfile.write(b'{"ARN": "half of')
                self.close_connection = True
                return
            self._send(status, body if isinstance(body, bytes) else json.dumps(body).encode())

        def _send(self, status: int, body: bytes, entity_tag: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", entity_tag)
            self.end_headers()
            with suppress(BrokenPipeError, ConnectionResetError):  # the caller has given up
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: what a test wants to know is in ``calls``."""

    return Handler
