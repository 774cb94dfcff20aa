"""The deploy function's handler: CloudFormation is always answered, nobody else is, and no output shows material."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from evidence.fixtures.pki import Hierarchy
from evidence.fixtures.serving import serving
from lambdas.deploy import handler
from meshcert.aws.cloudformation import require_response_url, send_answer
from meshcert.errors import AwsUnavailable, RequestInvalid
from meshcert.publishing.declared_roots import DeclaredRoots, roots_entry
from tests.lambdas.invocation import Invocations
from tests.meshcert.publishing.world import IDENTITY, ROOT, SECRET, TRUST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.meshcert.publishing.world import World

BUILD = handler.build


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Invocations:
    """The handler on a mesh in memory."""
    return Invocations(handler, world.deployment, monkeypatch, capsys)


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
    with served(Taking) as url:
        yield url, Taking.answers


@contextmanager
def served(kind: type[CloudFormation]) -> Iterator[str]:
    """A server of this kind, at a URL with a credential in it; the environment says that Amazon S3 is there."""
    server = HTTPServer(("127.0.0.1", 0), kind)
    with serving(server), pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.server_port}")
        yield f"http://127.0.0.1:{server.server_port}/?signature=credential"


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

    def test_a_request_is_answered_at_its_url(self, run: Invocations) -> None:
        """With the empty content type that the URL is signed for."""
        with cloudformation() as (url, answers):
            result = run.invoke(request(url, TRUST, "Custom::MeshcertTrustBundle"))

        assert result == {"outcome": "SUCCESS"}
        (content_type, body), *others = answers
        assert others == []
        assert content_type == ""
        assert (body["Status"], body["PhysicalResourceId"]) == ("SUCCESS", "trust-bundle/colorteller")

    def test_a_failed_request_is_answered_and_not_raised(self, run: Invocations, world: World) -> None:
        """Raising would have Lambda run it again after CloudFormation has moved on."""
        world.authorities.hierarchies[ROOT] = Hierarchy()
        with cloudformation() as (url, answers):
            result = run.invoke(request(url, IDENTITY))

        assert result == {"outcome": "FAILED"}
        assert "log stream stream-x, request request-y" in answers[0][1]["Reason"]
        assert run.metrics() == ["DeployFailed"]

    def test_a_ca_that_gave_no_answer_is_counted(self, run: Invocations, world: World) -> None:
        """The deploy succeeds with what is published, and the answer says why somebody should look."""
        world.roots = DeclaredRoots(roots_entry(ROOT, world.hierarchy.root_pem))
        assert world.ask("Create", TRUST)["Status"] == "SUCCESS"
        world.authorities.unshared.add(ROOT)
        with cloudformation() as (url, answers):
            result = run.invoke(request(url, TRUST, "Custom::MeshcertTrustBundle"))

        assert result == {"outcome": "SUCCESS"}
        assert ROOT in answers[0][1]["Reason"]
        assert run.metrics() == ["Deployed", "CaUnanswered"]

    def test_an_environment_that_is_wrong_is_answered(self, run: Invocations, monkeypatch: pytest.MonkeyPatch) -> None:
        """The reason names the variables."""
        monkeypatch.setattr(handler, "build", BUILD)
        monkeypatch.delenv("MESHCERT_MESH", raising=False)
        with cloudformation() as (url, answers):
            run.invoke(request(url, IDENTITY))

        assert "MESHCERT_MESH: it is not set" in answers[0][1]["Reason"]

    @pytest.mark.parametrize("status", [301, 303, 307, 308])
    def test_a_redirect_of_the_bucket_is_not_followed(self, status: int) -> None:
        """Amazon S3 sends none for a presigned URL; who does wants the function to ask somebody else."""
        with cloudformation() as (elsewhere, answers):

            class Redirecting(CloudFormation):
                answers: ClassVar = []
                failures: ClassVar = 0

                def do_PUT(self) -> None:
                    self.rfile.read(int(self.headers["Content-Length"]))
                    self.send_response(status)
                    self.send_header("Location", elsewhere)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            with served(Redirecting) as url, pytest.raises(AwsUnavailable, match=f"HTTP {status}"):
                send_answer(url, {"LogicalResourceId": "Published"})

        assert answers == []

    @pytest.mark.parametrize(
        "host",
        [
            "cloudformation-custom-resource-response-useast1.s3.amazonaws.com",
            "cloudformation-custom-resource-response-eucentral1.s3.eu-central-1.amazonaws.com",
            "cloudformation-custom-resource-response-euwest1.s3-eu-west-1.amazonaws.com",
            "s3.dualstack.eu-west-1.amazonaws.com",
            "bucket.s3.cn-north-1.amazonaws.com.cn",
            "bucket.s3.us-gov-west-1.amazonaws.com",
            "bucket.s3-fips.us-gov-west-1.amazonaws.com",
            "bucket.s3-fips.dualstack.us-gov-west-1.amazonaws.com",
            "bucket.s3.eusc-de-east-1.amazonaws.eu",
        ],
    )
    def test_amazon_s3_is_where_cloudformation_waits(self, host: str) -> None:
        """Presigned URLs of its own buckets, in every partition and of every form."""
        url = f"https://{host}/arn%3Aaws%3A/x?X-Amz-Signature=credential"

        assert require_response_url(url, {}) == url

    @pytest.mark.parametrize(
        "url",
        [
            "http://bucket.s3.amazonaws.com/x",
            "https://bucket.s3.amazonaws.com.example/x",
            "https://s3.amazonaws.com@example.com/x",
            "https://example.com/s3.amazonaws.com/x",
            "https://example.com#s3.amazonaws.com/x",
            "https://bucket.s3.amazonaws.com:8443/x",
            "https://evils3.amazonaws.com/x",
            "https://s3-x-1234.eu-west-1.elb.amazonaws.com/x",
            "https://x.execute-api.eu-west-1.amazonaws.com/s3.amazonaws.com/x",
            "https://s3.x.eu-west-1.amazonaws.com/x",
            "http://169.254.169.254/latest/meta-data/",
            "http://127.0.0.1/x",
            "file:///etc/passwd",
            "https://bucket.s3.amazonaws.com/x\r\nHost: example.com",
        ],
    )
    def test_no_answer_goes_anywhere_else(self, run: Invocations, world: World, url: str) -> None:
        """Nothing is carried out either: nobody but CloudFormation asks so."""
        before = dict(world.vault.secrets[SECRET].values)

        with pytest.raises(RequestInvalid, match="not an https URL of Amazon S3's") as caught:
            run.invoke(request(url, IDENTITY))

        assert url not in str(caught.value)
        assert dict(world.vault.secrets[SECRET].values) == before
        assert run.metrics() == ["DeployFailed"]

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

    @pytest.mark.parametrize(
        "event",
        [{}, {"identity": "colorteller"}, {"source": "aws.acm", "detail": {}}, {"ResponseURL": ""}, {"ResponseURL": 5}],
    )
    def test_what_is_not_cloudformations_is_refused(self, run: Invocations, event: dict[str, Any]) -> None:
        """This door is CloudFormation's alone."""
        with pytest.raises(RequestInvalid, match="no request of CloudFormation's"):
            run.invoke(event)
        assert run.metrics() == ["DeployFailed"]


def test_no_output_shows_material_or_credentials(run: Invocations, world: World) -> None:
    """Deploy, renewal, refusal and an unexpected error: searched for keys, passphrases and the response URL."""
    with cloudformation() as (url, _):
        run.invoke(request(url, IDENTITY))
        world.issue()
        run.invoke(request(url, IDENTITY))
        run.invoke(request(url, IDENTITY | {"PeerNames": ["x.y"]}))
        run.invoke(request(url, IDENTITY | {"SecretId": "arn:gone"}))
    output = run.output()

    stored = map(json.loads, world.vault.secrets[SECRET].values.values())
    values = [value for value in stored if "Passphrase" in value]
    assert len(values) == 2
    assert "answered CloudFormation" in output
    assert "credential" not in output
    for value in values:
        assert value["Passphrase"] not in output
        for line in value["PrivateKey"].splitlines()[1:-1]:
            assert line not in output
