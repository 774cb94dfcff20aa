"""Faults on purpose hit the operation they name and nothing else."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config as ClientConfig
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from local.running_aws import LocalAws, LocalAwsFailed
from tests.local.aws.refusals import ClientError, code_of
from tests.local.aws.roles import new_role

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def secrets(aws: LocalAws) -> Iterator[Any]:
    """Secrets Manager with one secret and without retries; no faults are left behind."""
    aws.reset()
    client = aws.client("secretsmanager")
    client.create_secret(Name="one", SecretString="x")
    config = ClientConfig(retries={"total_max_attempts": 1}, read_timeout=1)
    yield aws.client("secretsmanager", config)
    aws.control("PUT", "/_local/faults", [])


def inject(aws: LocalAws, **rule: Any) -> None:
    """One rule for GetSecretValue."""
    aws.control("PUT", "/_local/faults", [{"service": "secretsmanager", "action": "GetSecretValue", **rule}])


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("throttle", "ThrottlingException"),
        ("500", "InternalServiceError"),
        ("503", "ServiceUnavailable"),
    ],
)
def test_an_injected_error_comes_n_times(aws: LocalAws, secrets: Any, kind: str, code: str) -> None:
    """Twice refused, then answered; other operations are not touched; the hits are counted."""
    inject(aws, kind=kind, n=2)

    seen = [_code(secrets) for _ in range(3)]
    secrets.describe_secret(SecretId="one")

    assert seen == [code, code, ""]
    assert aws.control("GET", "/_local/faults")["hits"] == {f"secretsmanager:GetSecretValue:{kind}": 2}


def test_a_broken_connection_a_silent_one_and_a_slow_one(aws: LocalAws, secrets: Any) -> None:
    """Half an answer, no answer, a late answer."""
    inject(aws, kind="cut")
    with pytest.raises(ConnectionClosedError):
        secrets.get_secret_value(SecretId="one")

    inject(aws, kind="hang")
    with pytest.raises(ReadTimeoutError):
        secrets.get_secret_value(SecretId="one")

    inject(aws, kind="latency", ms=300)
    began = time.monotonic()
    secrets.get_secret_value(SecretId="one")
    assert time.monotonic() - began >= 0.3


def test_a_bucket_lets_a_burst_through_and_refuses_the_rest(aws: LocalAws, secrets: Any) -> None:
    """Three at once, then no more than one every ten seconds."""
    inject(aws, kind="bucket", rate=0.1, burst=3)

    seen = [_code(secrets) for _ in range(5)]

    assert seen == ["", "", "", "ThrottlingException", "ThrottlingException"]


def test_a_fault_may_come_later_and_for_one_resource_only(aws: LocalAws, secrets: Any) -> None:
    """The second request about ``one`` meets it; a secret whose name only begins so does not."""
    secrets.create_secret(Name="one-more", SecretString="x")
    inject(aws, kind="throttle", resource='"one"', at=2, n=1)

    seen = [_code(secrets, name) for name in ("one", "one-more", "one", "one", "one-more")]

    assert seen == ["", "", "ThrottlingException", "", ""]


def test_a_fault_may_meet_one_role_only(aws: LocalAws, secrets: Any) -> None:
    """The reader is refused; the administrator and another role are not."""
    right = {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}
    reader, other = (aws.client_as(new_role(aws, name, [right]), "secretsmanager") for name in ("reader", "other"))
    inject(aws, kind="throttle", role="reader")

    seen = [_code(client) for client in (reader, secrets, other)]

    assert seen == ["ThrottlingException", "", ""]


@dataclass(frozen=True)
class Call:
    """An API call, the service's signing name, and its throttling error."""

    client: str
    action: str
    code: str
    arguments: dict[str, Any] = field(default_factory=dict)
    service: str = ""


CA = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/one"
ISSUE = {
    "CertificateAuthorityArn": CA,
    "Csr": b"x",
    "SigningAlgorithm": "SHA256WITHECDSA",
    "Validity": {"Type": "DAYS", "Value": 1},
}
CALLS = [
    Call("lambda", "Invoke", "TooManyRequestsException", {"FunctionName": "f"}),
    Call("lambda", "GetFunction", "TooManyRequestsException", {"FunctionName": "f"}),
    Call("scheduler", "GetSchedule", "ThrottlingException", {"Name": "tick"}),
    Call("s3", "GetObject", "SlowDown", {"Bucket": "b", "Key": "folder/key"}),
    Call("s3", "PutObject", "SlowDown", {"Bucket": "b", "Key": "key", "Body": b"x"}),
    Call("s3", "ListObjectsV2", "SlowDown", {"Bucket": "b"}),
    Call("sns", "Publish", "Throttling", {"TopicArn": "arn:aws:sns:eu-west-1:111122223333:t", "Message": "m"}),
    Call("sqs", "ListQueues", "RequestThrottled"),
    Call("iam", "ListRoles", "Throttling"),
    Call("sts", "GetCallerIdentity", "Throttling"),
    Call("logs", "FilterLogEvents", "ThrottlingException", {"logGroupName": "g"}),
    Call("cloudwatch", "ListMetrics", "ThrottlingException", service="monitoring"),
    Call("dynamodb", "ListTables", "ProvisionedThroughputExceededException"),
    Call("ecs", "ListClusters", "ThrottlingException"),
    Call("acm", "ListCertificates", "ThrottlingException"),
    Call("acm-pca", "ListCertificateAuthorities", "ThrottlingException"),
    Call("acm-pca", "IssueCertificate", "ThrottlingException", ISSUE),
    Call("acm-pca", "GetCertificate", "ThrottlingException", {"CertificateAuthorityArn": CA, "CertificateArn": CA}),
    Call("kms", "ListKeys", "ThrottlingException"),
    Call("kms", "Encrypt", "ThrottlingException", {"KeyId": "alias/one", "Plaintext": b"x"}),
    Call("kms", "Decrypt", "ThrottlingException", {"CiphertextBlob": b"x"}),
    Call("ssm", "GetParameter", "ThrottlingException", {"Name": "/one"}),
    Call("events", "ListRules", "ThrottlingException"),
    Call("cloudformation", "DescribeStacks", "Throttling"),
    Call("elbv2", "DescribeLoadBalancers", "Throttling", service="elasticloadbalancing"),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.client} {call.action}")
def test_every_protocol_has_its_actions_and_its_throttling_error(aws: LocalAws, call: Call) -> None:
    """JSON, query and REST: the rule names AWS's own operation, and botocore reads the error's code."""
    rule = {"kind": "throttle", "service": call.service or call.client, "action": call.action}
    aws.control("PUT", "/_local/faults", [rule])
    client = aws.client(call.client, ClientConfig(retries={"total_max_attempts": 1}))

    with pytest.raises(ClientError) as error:
        client._make_api_call(call.action, call.arguments)

    aws.control("PUT", "/_local/faults", [])
    assert code_of(error) == call.code


def test_an_unknown_fault_is_refused_and_an_empty_list_ends_all(aws: LocalAws, secrets: Any) -> None:
    """The endpoint says which kinds there are."""
    inject(aws, kind="throttle")
    with pytest.raises(LocalAwsFailed, match="earthquake"):
        inject(aws, kind="earthquake")

    aws.control("PUT", "/_local/faults", [])
    secrets.get_secret_value(SecretId="one")


def _code(secrets: Any, name: str = "one") -> str:
    """The error code of a GetSecretValue; empty if it is answered."""
    try:
        secrets.get_secret_value(SecretId=name)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""
