"""The export function's handler: three triggers, one result, and nothing of the material in any output."""

from __future__ import annotations

import io
import json
import logging
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from lambdas.export import handler
from meshcert.aws.cloudformation import send_answer
from meshcert.errors import AwsUnavailable, IdentityMissing, MaterialRejected
from tests.pki import Hierarchy
from tests.unit.world import CERTIFICATE, IDENTITY, NAME, ROOT, SECRET, TRUST, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_lambda_powertools.utilities.typing import LambdaContext  # noqa: TID251  the handler's own argument


@dataclass
class Context:
    """What Lambda hands over beside the event."""

    function_name: str = "meshcert-color-export"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:111122223333:function:meshcert-color-export"
    aws_request_id: str = "request-y"
    log_stream_name: str = "stream-x"


class Run:
    """The handler, built on a world in memory, and everything it wrote."""

    def __init__(self, world: World, log: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
        self.world = world
        self._log = log
        self._capsys = capsys
        self._printed = ""

    def invoke(self, event: Any) -> dict[str, str]:
        """As Lambda does."""
        context: LambdaContext = Context()  # type: ignore[assignment]  # the fields that Powertools reads
        result: dict[str, str] = handler.lambda_handler(event, context)
        return result

    def output(self) -> str:
        """Everything written so far: log lines and metrics."""
        self._printed += self._capsys.readouterr().out
        return self._log.getvalue() + self._printed

    def metrics(self) -> list[str]:
        """The names of the metrics written so far."""
        lines = [json.loads(line) for line in self.output().splitlines() if line.startswith('{"_aws"')]
        return [metric["Name"] for line in lines for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]]


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The handler on a world that knows one identity."""
    log = io.StringIO()
    for logger in (logging.getLogger(handler.SERVICE), logging.getLogger("meshcert")):
        for output in (each for each in logger.handlers if isinstance(each, logging.StreamHandler)):
            monkeypatch.setattr(output, "stream", log)
    monkeypatch.setattr(handler, "build", world.deployment)
    world.ask("Create", IDENTITY)
    return Run(world, log, capsys)


def renewed_event(certificate_arn: str) -> dict[str, Any]:
    """ACM's event as EventBridge delivers it."""
    return {
        "version": "0",
        "id": "event-1",
        "source": "aws.acm",
        "detail-type": "ACM Certificate Available",
        "account": "111122223333",
        "region": "eu-west-1",
        "time": "2026-11-22T06:51:08Z",
        "resources": [certificate_arn],
        "detail": {"Action": "RENEWAL", "CertificateType": "PRIVATE", "CommonName": NAME, "Exported": False},
    }


class TestRenewal:
    """EventBridge says that ACM has renewed."""

    def test_a_renewed_certificate_is_published(self, run: Run) -> None:
        """The identity is found by the certificate's ARN."""
        run.world.issue()

        result = run.invoke(renewed_event(CERTIFICATE))

        assert result["outcome"] == "published"
        assert result["subject"] == "colorteller"
        assert result["version_id"] == run.world.current(SECRET)
        assert run.metrics() == ["Published"]

    def test_a_duplicate_event_changes_nothing(self, run: Run) -> None:
        """Delivery is at least once."""
        run.world.issue()
        run.invoke(renewed_event(CERTIFICATE))

        assert run.invoke(renewed_event(CERTIFICATE))["outcome"] == "already_current"
        assert run.metrics() == ["Published", "AlreadyCurrent"]

    @pytest.mark.parametrize(
        "event",
        [
            renewed_event("arn:somebody-elses"),
            renewed_event(CERTIFICATE) | {"resources": []},
            renewed_event(CERTIFICATE) | {"resources": None},
            renewed_event(CERTIFICATE) | {"resources": [5]},
            renewed_event(CERTIFICATE) | {"detail": {"Action": "ISSUANCE"}},
            renewed_event(CERTIFICATE) | {"detail": None},
            renewed_event(CERTIFICATE) | {"source": "aws.health"},
            {"identity": 5},
            {},
        ],
    )
    def test_what_is_not_ours_is_ignored(self, run: Run, event: dict[str, Any]) -> None:
        """Unknown certificates and malformed events are no errors: nobody needs to look."""
        before = run.world.current(SECRET)
        run.world.issue()

        assert run.invoke(event) == {"outcome": "ignored"}
        assert run.world.current(SECRET) == before
        assert run.metrics() == ["Ignored"]

    def test_a_rejection_is_raised_and_counted(self, run: Run) -> None:
        """Lambda retries, then the dead-letter queue has it."""
        run.world.certificates.issue(CERTIFICATE, Hierarchy().issue([NAME]))

        with pytest.raises(MaterialRejected, match="trust anchor"):
            run.invoke(renewed_event(CERTIFICATE))
        assert run.metrics() == ["Rejected"]

    def test_what_may_heal_is_raised_and_counted_apart(self, run: Run) -> None:
        """A throttled call is no reason to call a person."""
        run.world.issue(pending_looks=1)

        with pytest.raises(Exception, match="PENDING_VALIDATION"):
            run.invoke(renewed_event(CERTIFICATE))
        assert run.metrics() == ["NotReady"]


class TestDirect:
    """Whoever may invoke the function names an identity."""

    def test_an_identity_is_brought_in_line(self, run: Run) -> None:
        """By its name in the mesh file."""
        run.world.issue()

        assert run.invoke({"identity": "colorteller"})["outcome"] == "published"

    def test_an_unknown_identity_is_refused(self, run: Run) -> None:
        """Somebody mistyped it."""
        with pytest.raises(IdentityMissing, match=r"identity colortelle does not exist\. Deploy the mesh file"):
            run.invoke({"identity": "colortelle"})


class CloudFormation(BaseHTTPRequestHandler):
    """The place behind ResponseURL; fails as often as told."""

    answers: ClassVar[list[tuple[str, dict[str, Any]]]]
    failures: ClassVar[int]

    def do_PUT(self) -> None:
        """Take an answer."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server_type = type(self)
        failing = server_type.failures > 0
        server_type.failures -= failing
        if not failing:
            server_type.answers.append((self.headers.get("Content-Type", ""), json.loads(body)))
        self.send_response(503 if failing else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the standard library's name
        """Say nothing."""


@contextmanager
def cloudformation(failures: int = 0) -> Iterator[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """A ResponseURL, and what has been put there."""

    class Taking(CloudFormation):
        answers: ClassVar = []

    Taking.failures = failures
    with HTTPServer(("127.0.0.1", 0), Taking) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/?signature=credential", Taking.answers
        finally:
            server.shutdown()
            thread.join()


def request(url: str, properties: dict[str, Any], kind: str = "Custom::MeshcertIdentity") -> dict[str, Any]:
    """CloudFormation's invocation."""
    return {
        "RequestType": "Create",
        "ResourceType": kind,
        "ResponseURL": url,
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "Published",
        "ResourceProperties": properties,
    }


class TestCloudFormation:
    """Custom resources."""

    def test_a_request_is_answered_at_its_url(self, run: Run) -> None:
        """With the empty content type that the URL is signed for."""
        with cloudformation() as (url, answers):
            result = run.invoke(request(url, TRUST, "Custom::MeshcertTrustBundle"))

        assert result == {"outcome": "SUCCESS"}
        (content_type, body), *others = answers
        assert others == []
        assert content_type == ""
        assert (body["Status"], body["PhysicalResourceId"]) == ("SUCCESS", "trust-bundle/colorteller")

    def test_a_failed_request_is_answered_and_not_raised(self, run: Run) -> None:
        """Raising would have Lambda run it again after CloudFormation has moved on."""
        run.world.authorities.hierarchies[ROOT] = Hierarchy()
        with cloudformation() as (url, answers):
            result = run.invoke(request(url, IDENTITY))

        assert result == {"outcome": "FAILED"}
        assert "log stream stream-x, request request-y" in answers[0][1]["Reason"]
        assert run.metrics() == ["Rejected"]

    def test_an_environment_that_is_wrong_is_answered(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """The reason names the variables."""
        monkeypatch.undo()
        monkeypatch.delenv("MESHCERT_MESH", raising=False)
        monkeypatch.delenv("MESHCERT_IDENTITIES_TABLE", raising=False)
        with cloudformation() as (url, answers):
            run.invoke(request(url, IDENTITY))

        assert "MESHCERT_MESH: it is not set" in answers[0][1]["Reason"]

    def test_a_stumbling_bucket_gets_its_answer_in_the_end(self) -> None:
        """The answer is worth retries: without it CloudFormation waits for an hour."""
        with cloudformation(failures=2) as (url, answers):
            send_answer(url, {"Status": "SUCCESS"})

        assert len(answers) == 1

    def test_an_answer_that_cannot_be_delivered_is_raised_without_its_url(self) -> None:
        """Lambda then runs the request again. The URL is a credential."""
        with cloudformation() as (url, _):
            pass

        with pytest.raises(AwsUnavailable, match="cloudformation:ResponseURL on Published") as caught:
            send_answer(url, {"LogicalResourceId": "Published"})
        assert "credential" not in str(caught.value)
        assert caught.value.__cause__ is None


def test_no_output_shows_material_or_credentials(run: Run) -> None:
    """Deploy, renewal, refusal and an unexpected error: searched for keys, passphrases and the response URL."""
    with cloudformation() as (url, _):
        run.invoke(request(url, IDENTITY))
        run.world.issue()
        run.invoke(renewed_event(CERTIFICATE))
        run.invoke(request(url, IDENTITY | {"PeerNames": ["x.y"]}))
        run.invoke(request(url, IDENTITY | {"SecretId": "arn:gone"}))
    output = run.output()

    stored = map(json.loads, run.world.vault.secrets[SECRET].values.values())
    values = [value for value in stored if "Passphrase" in value]
    assert len(values) == 2
    assert "in line" in output
    assert "credential" not in output
    for value in values:
        assert value["Passphrase"] not in output
        for line in value["PrivateKey"].splitlines()[1:-1]:
            assert line not in output


def test_importing_the_handler_needs_no_environment() -> None:
    """Ports are made on first use; the core's loggers write as the function's does."""
    assert handler.build.cache_info().currsize == 0
    assert logging.getLogger("meshcert").handlers
