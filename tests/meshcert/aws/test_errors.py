"""AWS's errors become ours: all that its models declare, and never with material in them."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import botocore.exceptions
import botocore.session
import pytest

from meshcert.aws import errors as _errors
from meshcert.aws.acm import Acm
from meshcert.aws.errors import aws_errors
from meshcert.aws.private_ca import PrivateCa
from meshcert.aws.secrets_manager import SecretsManager
from meshcert.aws.tables.identities import Identities
from meshcert.contract.aws_errors import TRANSIENT
from meshcert.errors import (
    AccessDenied,
    AwsRefused,
    AwsUnavailable,
    CertificatePending,
    CertificateUnusable,
    IdentityMissing,
    IdentityUnreadable,
    MeshcertError,
    PublicationRaced,
)
from meshcert.material import Passphrase
from tests.meshcert.material.test_material import assert_no_secret_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshcert.material import Material

CALLED = {
    "acm": ("DescribeCertificate", "GetCertificate", "ExportCertificate", "RenewCertificate"),
    "acm-pca": (
        "DescribeCertificateAuthority",
        "GetCertificate",
        "GetCertificateAuthorityCertificate",
        "IssueCertificate",
        "RevokeCertificate",
    ),
    "dynamodb": ("UpdateItem", "DeleteItem", "GetItem", "Query", "Scan"),
    "ecs": (
        "DescribeServices",
        "DescribeTasks",
        "ListServiceDeployments",
        "ListTagsForResource",
        "ListTasks",
        "UpdateService",
    ),
    "lambda": ("Invoke",),
    "logs": ("CreateLogStream", "FilterLogEvents", "PutLogEvents"),
    "secretsmanager": ("DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"),
    "sqs": ("GetQueueUrl", "SendMessage", "SendMessageBatch"),
}


def declared_codes() -> set[str]:
    """Every error that AWS's models declare for an operation we call."""
    session = botocore.session.get_session()
    return {
        error.metadata.get("error", {}).get("code") or error.name
        for service, operations in CALLED.items()
        for operation in operations
        for error in session.get_service_model(service).operation_model(operation).error_shapes
    }


def client_error(code: str, message: str = "as AWS words it", status: int = 400) -> Exception:
    """What boto3 raises."""
    response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    error: Exception = botocore.exceptions.ClientError(response, "Operation")
    return error


def mapped(error: Exception, *, carries_material: bool = False) -> MeshcertError:
    """What our callers see instead."""
    with (
        pytest.raises(MeshcertError) as caught,
        aws_errors("service:Operation", "arn:thing", carries_material=carries_material),
    ):
        raise error
    return caught.value


def test_every_declared_error_has_been_thought_about() -> None:
    """Fails when AWS declares an error for one of our calls that is in no group yet."""
    groups = [TRANSIENT, _errors.DENIED, _errors.MISSING, _errors.REFUSED]

    assert declared_codes() - frozenset().union(*groups) == set()
    assert sum(map(len, groups)) == len(frozenset().union(*groups))


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (client_error("ThrottlingException"), AwsUnavailable),
        (client_error("InternalServiceError", status=500), AwsUnavailable),
        (client_error("Whatever", status=503), AwsUnavailable),
        (client_error("Whatever", status=400), AwsRefused),
        (client_error("LimitExceededException"), AwsRefused),
        (client_error("AccessDeniedException"), AccessDenied),
        (client_error("AccessDenied", status=403), AccessDenied),
        (client_error("UnrecognizedClientException"), AccessDenied),
        (client_error("ResourceNotFoundException"), IdentityMissing),
        (client_error("InvalidStateException"), AwsUnavailable),
        (client_error("ServiceNotFoundException"), IdentityMissing),
        (client_error("ServiceNotActiveException"), IdentityMissing),
        (client_error("ClusterNotFoundException"), IdentityMissing),
        (client_error("AWS.SimpleQueueService.NonExistentQueue"), IdentityMissing),
        (client_error("RequestThrottled", status=403), AwsUnavailable),
        (client_error("KmsThrottled"), AwsUnavailable),
        (client_error("TooManyRequestsException", status=429), AwsUnavailable),
        (client_error("ResourceConflictException", status=409), AwsUnavailable),
        (client_error("EC2AccessDeniedException", status=502), AccessDenied),
        (client_error("EFSIOException", status=502), AwsRefused),
        (botocore.exceptions.EndpointConnectionError(endpoint_url="http://x"), AwsUnavailable),
        (botocore.exceptions.ConnectTimeoutError(endpoint_url="http://x"), AwsUnavailable),
        (botocore.exceptions.ReadTimeoutError(endpoint_url="http://x"), AwsUnavailable),
        (botocore.exceptions.ConnectionClosedError(endpoint_url="http://x"), AwsUnavailable),
        (botocore.exceptions.CredentialRetrievalError(provider="x", error_msg="y"), AwsUnavailable),
        (botocore.exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2), AwsUnavailable),
        (botocore.exceptions.NoCredentialsError(), AwsRefused),
        (botocore.exceptions.ParamValidationError(report="x"), AwsRefused),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else str(value)[:60],
)
def test_each_kind_of_failure_is_told_apart(error: Exception, ours: type[MeshcertError]) -> None:
    """By what a caller can do about it; the message names the call or the thing."""
    translated = mapped(error)

    assert type(translated) is ours
    assert "arn:thing" in str(translated)
    assert translated.__cause__ is error


@pytest.mark.parametrize(
    ("error", "without_effect"),
    [
        (client_error("ThrottlingException"), True),
        (client_error("RequestInProgressException"), True),
        (client_error("ServiceUnavailable", status=503), True),
        (client_error("Whatever", status=503), True),
        (client_error("InternalFailure", status=500), False),
        (client_error("InternalServerError", status=500), False),
        (client_error("Whatever", status=502), False),
        (client_error("Whatever", status=504), False),
        (botocore.exceptions.EndpointConnectionError(endpoint_url="http://x"), True),
        (botocore.exceptions.ConnectTimeoutError(endpoint_url="http://x"), True),
        (botocore.exceptions.ReadTimeoutError(endpoint_url="http://x"), False),
        (botocore.exceptions.ConnectionClosedError(endpoint_url="http://x"), False),
    ],
    ids=str,
)
def test_what_may_have_been_done_is_told_from_what_was_not(error: Exception, *, without_effect: bool) -> None:
    """A certificate that may have been issued may have to be paid for; a fault on AWS's side says nothing of that."""
    translated = mapped(error)

    assert isinstance(translated, AwsUnavailable)
    assert translated.without_effect is without_effect


@pytest.mark.parametrize(
    ("code", "ours"),
    [
        ("InvalidStateException", AwsRefused),
        ("ConcurrentModificationException", AwsUnavailable),
        ("RequestInProgressException", AwsUnavailable),
        ("ResourceNotFoundException", IdentityMissing),
        ("RequestAlreadyProcessedException", None),
    ],
)
def test_a_revocation_that_heals_is_told_from_one_that_needs_a_person(
    code: str, ours: type[MeshcertError] | None
) -> None:
    """A CA that is deleted or disabled is not asked every minute until the certificate ends, a year later."""

    class Client:
        def revoke_certificate(self, **parameters: Any) -> None:
            del parameters
            raise client_error(code)

    private_ca = PrivateCa(Client())

    if ours is None:
        private_ca.revoke("arn:ca", "0a0b")
        return
    with pytest.raises(ours):
        private_ca.revoke("arn:ca", "0a0b")


def test_an_error_about_material_keeps_nothing_of_awss_text(material: Material) -> None:
    """AWS quotes requests in validation messages; then neither the message nor the cause is kept."""
    quoting = f"Value '{material.passphrase.reveal()}' {material.private_key.reveal()} failed to satisfy constraint"
    for original in (
        client_error("ValidationException", quoting),
        client_error("AccessDeniedException", quoting),
        botocore.exceptions.ParamValidationError(report=quoting),
    ):
        translated = mapped(original, carries_material=True)

        assert_no_secret_in("".join(traceback.format_exception(translated)), material)
        assert "service:Operation on arn:thing: " in str(translated)


class Answers:
    """A client of AWS whose calls answer, or raise, what a test says."""

    def __init__(self, **answers: Any) -> None:
        for name, answer in answers.items():
            setattr(self, name, self._method(answer))

    @staticmethod
    def _method(answer: Any) -> Callable[..., Any]:
        def call(**_request: Any) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


class TestAdapters:
    """Where an answer of AWS's means something of its own."""

    def test_the_request_that_carries_material_is_the_one_that_hides(self, material: Material) -> None:
        """Export and put, with a passphrase or a key in their request, and the one whose answer has both."""
        quoting = client_error("ValidationException", f"Value '{material.passphrase.reveal()}' failed")
        calls: list[Callable[[], object]] = [
            lambda: Acm(Answers(export_certificate=quoting)).export("arn:thing", material.passphrase),
            lambda: SecretsManager(Answers(put_secret_value=quoting)).put_pending("arn:thing", "v" * 64, "value"),
            lambda: SecretsManager(Answers(get_secret_value=quoting)).current_value("arn:thing"),
        ]
        for call in calls:
            with pytest.raises(AwsRefused) as caught:
                call()

            assert_no_secret_in("".join(traceback.format_exception(caught.value)), material)

    def test_the_passphrase_is_sent_as_it_is(self) -> None:
        """boto3 encodes blobs by itself; encoding twice would make another passphrase."""
        sent: dict[str, Any] = {}

        class Client:
            def export_certificate(self, **request: Any) -> dict[str, str]:
                sent.update(request)
                return {"Certificate": "c", "CertificateChain": "i", "PrivateKey": "k"}

        exported = Acm(Client()).export("arn:thing", Passphrase("as-it-is"))

        assert sent == {"CertificateArn": "arn:thing", "Passphrase": b"as-it-is"}
        assert exported.passphrase == Passphrase("as-it-is")

    @pytest.mark.parametrize(
        ("client", "ours"),
        [
            (Answers(describe_certificate={"Certificate": {"Status": "PENDING_VALIDATION"}}), CertificatePending),
            (
                Answers(
                    describe_certificate={"Certificate": {"Status": "ISSUED"}},
                    get_certificate=client_error("RequestInProgressException"),
                ),
                CertificatePending,
            ),
            (
                Answers(describe_certificate={"Certificate": {"Status": "FAILED", "FailureReason": "PCA_LIMIT"}}),
                CertificateUnusable,
            ),
            (Answers(describe_certificate={"Certificate": {"Status": "REVOKED"}}), CertificateUnusable),
        ],
    )
    def test_a_certificate_that_is_not_issued_is_told_apart(self, client: Any, ours: type[MeshcertError]) -> None:
        """Pending heals, failed does not."""
        with pytest.raises(ours, match="arn:thing is ") as caught:
            Acm(client).look("arn:thing")

        assert ours is not CertificateUnusable or "have CloudFormation request a new certificate" in str(caught.value)

    @pytest.mark.parametrize(("eligibility", "renewable"), [("ELIGIBLE", True), ("INELIGIBLE", False), (None, False)])
    def test_eligibility_for_renewal_is_read(self, eligibility: str | None, *, renewable: bool) -> None:
        """Absent means not yet."""
        description = {"Status": "ISSUED"} | ({"RenewalEligibility": eligibility} if eligibility else {})
        client = Answers(describe_certificate={"Certificate": description}, get_certificate={"Certificate": "c"})

        assert Acm(client).look("arn:thing").to_take_out is not renewable

    def test_a_version_that_is_stored_already_is_no_error(self) -> None:
        """Another export of the same certificate has other bytes under the same token."""
        client = Answers(put_secret_value=client_error("ResourceExistsException"))

        SecretsManager(client).put_pending("arn:thing", "v" * 64, "value")

    def test_a_label_that_moved_is_a_race(self) -> None:
        """It heals by looking again."""
        client = Answers(update_secret_version_stage=client_error("InvalidParameterException"))

        with pytest.raises(PublicationRaced, match="AWSCURRENT moved"):
            SecretsManager(client).move_label("arn:thing", "AWSCURRENT", to="b", away_from="a")

    def test_a_secret_scheduled_for_deletion_is_missing(self) -> None:
        """The message tells how to take it back."""
        client = Answers(describe_secret={"DeletedDate": "2026-11-22", "VersionIdsToStages": {}})

        with pytest.raises(IdentityMissing, match="RestoreSecret"):
            SecretsManager(client).labels("arn:thing")

    @pytest.mark.parametrize("code", ["ConditionalCheckFailedException", "ResourceNotFoundException"])
    def test_forgetting_what_is_not_there_is_no_error(self, code: str) -> None:
        """No row, somebody else's row, no table."""
        Identities(Answers(delete_item=client_error(code)), "color").forget("colorteller", "owner")

    def test_a_row_of_another_schema_is_not_read(self) -> None:
        """A later version of the function may write rows that this one does not understand: they are not none."""
        table = Answers(get_item={"Item": {"name": "colorteller", "schema": 2}})

        with pytest.raises(IdentityUnreadable, match="of another version"):
            Identities(table, "color").find("colorteller")
