"""What can go wrong before anything is seen: one line each, with the next step, and the right exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshcert.cli.__main__ import main
from meshcert.errors import AccessDenied, AwsRefused, AwsUnavailable, CertificatePending, LeaseTaken
from tests.meshcert.cli.cli_account import Broken, Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from meshcert.errors import MeshcertError

SCAN = ("dynamodb:Scan", "identities")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (
            AwsRefused(*SCAN, "NoCredentialsError", "Unable to locate"),
            77,
            "no AWS credentials. Sign in (`aws sso login`)",
        ),
        (AwsUnavailable(*SCAN, "ExpiredTokenException"), 77, "your AWS session has expired. Sign in"),
        (AwsRefused(*SCAN, "UnauthorizedSSOTokenError", "expired"), 77, "your AWS session has expired. Sign in"),
        (AccessDenied(*SCAN, "UnrecognizedClientException", "invalid"), 77, "AWS does not know these credentials"),
        (AwsRefused(*SCAN, "InvalidSignatureException", "skew"), 77, "this machine's clock"),
        (AwsUnavailable(*SCAN, "CredentialRetrievalError"), 77, "your AWS credentials could not be got"),
        (
            AccessDenied(*SCAN, "AccessDeniedException", "User: me is not"),
            77,
            "User: me is not. Use a role with this right",
        ),
        (AwsUnavailable(*SCAN, "ThrottlingException"), 69, "AWS throttles dynamodb:Scan"),
        (AwsUnavailable(*SCAN, "ProvisionedThroughputExceededException"), 69, "Run it again in a minute"),
        (AwsUnavailable(*SCAN, "EndpointConnectionError"), 69, "AWS_REGION and AWS_ENDPOINT_URL"),
        (AwsUnavailable(*SCAN, "ReadTimeoutError"), 69, "AWS cannot be reached"),
        (AwsUnavailable(*SCAN, "InternalServerError"), 69, "AWS could not answer"),
        (AwsRefused(*SCAN, "ValidationException", "odd"), 77, "ValidationException: odd"),
        (CertificatePending("arn:x", "PENDING"), 69, "arn:x is PENDING"),
        (LeaseTaken("x"), 69, "try again"),
    ],
    ids=lambda value: getattr(value, "code", None) or getattr(value, "reason", None),
)
@pytest.mark.parametrize("command", ["plan", "status"])
def test_an_error_is_one_line_with_the_next_step(
    capsys: pytest.CaptureFixture[str], command: str, error: MeshcertError, code: int, said: str
) -> None:
    """Nothing on standard output, no traceback."""
    terminal = Terminal(capsys)
    terminal.breaks(declared=Broken(error))

    ended = terminal.run(command)

    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err
    assert ended.err.startswith("meshcert: ")
    assert ended.err.count("\n") == 1


class TestEnvironment:
    """The environment alone says where the mesh is; nothing is asked of AWS here."""

    @pytest.fixture(autouse=True)
    def _bare(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """No configuration of this machine's."""
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("MESHCERT_MESH", "color")

    def test_without_a_region_it_says_which_variable(self, capsys: pytest.CaptureFixture[str]) -> None:
        """With an example."""
        assert main(["status"]) == 77
        assert capsys.readouterr().err == "meshcert: no region. Set AWS_REGION, for example AWS_REGION=eu-west-1\n"

    def test_without_credentials_it_says_how_to_get_some(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """AWS_REGION is heard, although boto3 itself reads AWS_DEFAULT_REGION alone."""
        monkeypatch.setenv("AWS_REGION", "eu-west-1")

        assert main(["status"]) == 77
        assert capsys.readouterr().err.startswith("meshcert: no AWS credentials. Sign in")

    def test_a_profile_that_is_not_there_is_told(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With how to list them."""
        monkeypatch.setenv("AWS_PROFILE", "prdo")

        assert main(["status"]) == 77
        assert "`aws configure list-profiles` lists them" in capsys.readouterr().err

    def test_a_policy_variable_that_is_no_number_is_named(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Before AWS is asked."""
        monkeypatch.setenv("MESHCERT_POLICY_RENEW_AT", "soon")

        assert main(["status"]) == 64
        assert "MESHCERT_POLICY_RENEW_AT is 'soon'" in capsys.readouterr().err
