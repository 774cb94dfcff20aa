"""A function dies at any of its own calls, and everything around it does what AWS does."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config as ClientConfig

from tests.local.aws.bundles import bundle, new_function
from tests.local.aws.hierarchies import end_entity_request, eventually, root
from tests.local.aws.refusals import ClientError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.running_aws import LocalAws

# Two steps, and the process that took them.
CODE = """
import boto3, os
secrets = boto3.client("secretsmanager")
def handler(event, context):
    secrets.put_secret_value(SecretId="one", SecretString="new")
    secrets.describe_secret(SecretId="one")
    return os.getpid()
"""
RIGHTS = [{"Effect": "Allow", "Action": ["secretsmanager:*", "sqs:*"], "Resource": "*"}]

# What issuing straight from Private CA takes, from the first call to the last.
ISSUING = """
import boto3
ssm, kms, pca = (boto3.client(name) for name in ("ssm", "kms", "acm-pca"))
CSR = b'''{csr}'''
CALL = {{"CertificateAuthorityArn": "{ca}", "Csr": CSR, "SigningAlgorithm": "SHA256WITHECDSA"}}
def handler(event, context):
    ssm.get_parameter(Name="/one")
    closed = kms.encrypt(KeyId="{key}", Plaintext=CSR, EncryptionContext={{"one": "1"}})["CiphertextBlob"]
    kms.decrypt(CiphertextBlob=closed, EncryptionContext={{"one": "1"}})
    arn = pca.issue_certificate(**CALL, Validity={{"Type": "DAYS", "Value": 1}}, IdempotencyToken="1")["CertificateArn"]
    return pca.get_certificate(CertificateAuthorityArn="{ca}", CertificateArn=arn)["Certificate"]
"""
ISSUING_CALLS = [
    ["ssm", "GetParameter"],
    ["kms", "Encrypt"],
    ["kms", "Decrypt"],
    ["acm-pca", "IssueCertificate"],
    ["acm-pca", "GetCertificate"],
]
ISSUING_RIGHTS = [{"Effect": "Allow", "Action": ["ssm:*", "kms:*", "acm-pca:*"], "Resource": "*"}]


@pytest.fixture
def worker(aws: LocalAws) -> Iterator[LocalAws]:
    """A local AWS with the function ``worker`` and its secret; no faults are left behind."""
    aws.reset()
    aws.client("secretsmanager").create_secret(Name="one", SecretString="old")
    new_function(aws, "worker", CODE, RIGHTS)
    yield aws
    aws.control("PUT", "/_local/faults", [])
    aws.control("PUT", "/_local/calls", {"role": None})


def kill(aws: LocalAws, **rule: Any) -> None:
    """One crash of the worker."""
    aws.control("PUT", "/_local/faults", [{"kind": "kill", "role": "worker", **rule}])


def invoke(aws: LocalAws, name: str = "worker") -> tuple[str, Any]:
    """FunctionError and payload of an invocation; no retries, so that one call is one invocation."""
    client = aws.client("lambda", ClientConfig(retries={"total_max_attempts": 1}))
    answer = client.invoke(FunctionName=name, Payload=b"{}")
    return answer.get("FunctionError", ""), json.loads(answer["Payload"].read())


def value(aws: LocalAws) -> str:
    """What the secret holds."""
    return str(aws.client("secretsmanager").get_secret_value(SecretId="one")["SecretString"])


def test_the_recorder_lists_the_calls_of_one_role_in_their_order(worker: LocalAws) -> None:
    """The boundaries of a crash test; what others call is not in it."""
    worker.control("PUT", "/_local/calls", {"role": "worker"})

    invoke(worker)
    value(worker)

    assert worker.control("GET", "/_local/calls") == [
        ["secretsmanager", "PutSecretValue"],
        ["secretsmanager", "DescribeSecret"],
    ]


@pytest.mark.parametrize(
    ("at", "when", "expected"),
    [(1, "before", "old"), (1, "after", "new"), (2, "before", "new"), (2, "after", "new")],
)
def test_a_crash_stands_on_the_side_of_the_call_that_was_asked_for(
    worker: LocalAws, at: int, when: str, expected: str
) -> None:
    """Before: AWS never saw it. After: it is done and nobody heard. The next invocation is a fresh, whole one."""
    kill(worker, at=at, when=when)

    failed, payload = invoke(worker)
    found = value(worker)
    repeated = invoke(worker)[0]

    assert (failed, payload["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert payload["errorMessage"].endswith("Error: Runtime exited with error: signal: killed")
    assert (found, repeated) == (expected, "")
    assert sum(worker.control("GET", "/_local/faults")["hits"].values()) == 1


@pytest.fixture(scope="module")
def issuer(aws: LocalAws) -> Iterator[tuple[LocalAws, str]]:
    """A local AWS with the function ``worker``, which issues a certificate, and the ARN of the CA that it asks."""
    aws.reset()
    ca, key = root(aws.client("acm-pca")), aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    aws.client("ssm").put_parameter(Name="/one", Value="x", Type="String")
    csr = end_entity_request("teller.color.local", "spiffe://color/teller").decode()
    new_function(aws, "worker", ISSUING.format(csr=csr, ca=ca, key=key), ISSUING_RIGHTS)
    yield aws, ca
    aws.control("PUT", "/_local/faults", [])
    aws.control("PUT", "/_local/calls", {"role": None})


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", ISSUING_CALLS, ids=lambda call: call[1])
def test_an_issuing_function_dies_at_each_of_its_calls(
    issuer: tuple[LocalAws, str], call: list[str], when: str
) -> None:
    """It gets as far as that call; what was issued is issued, once for its token however often it dies."""
    aws, ca = issuer
    aws.control("PUT", "/_local/acm-pca/tokens", {"older_by_s": 1000})
    before = aws.control("GET", "/_local/acm-pca/issued")[ca]["issued"]
    aws.control("PUT", "/_local/calls", {"role": "worker"})
    kill(aws, service=call[0], action=call[1], when=when)

    failed, payload = invoke(aws)
    made = aws.control("GET", "/_local/calls")
    issued = aws.control("GET", "/_local/acm-pca/issued")[ca]["issued"] - before
    aws.control("PUT", "/_local/faults", [])
    certificate = eventually(lambda: _pem(invoke(aws)), "the certificate")

    reached = ISSUING_CALLS.index(call)
    has_issued = reached > 3 or (reached == 3 and when == "after")
    assert (failed, payload["errorType"], made) == ("Unhandled", "Runtime.ExitError", ISSUING_CALLS[: reached + 1])
    assert (issued, aws.control("GET", "/_local/acm-pca/issued")[ca]["issued"] - before) == (int(has_issued), 1)
    assert certificate.startswith("-----BEGIN CERTIFICATE-----")


def _pem(answer: tuple[str, Any]) -> str:
    """The certificate that the function returned; empty if it is not made yet."""
    failed, payload = answer
    return "" if failed else str(payload)


def test_a_fresh_process_takes_over(worker: LocalAws) -> None:
    """Warm before, another process after."""
    first, second = invoke(worker)[1], invoke(worker)[1]
    kill(worker, action="DescribeSecret")
    invoke(worker)

    third = invoke(worker)[1]

    assert first == second
    assert third != first


def test_only_the_process_that_asks_is_killed(worker: LocalAws) -> None:
    """Of two that run at once in one function, and of another function with the same role, the one that was meant."""
    role = worker.client("iam").get_role(RoleName="worker")["Role"]["Arn"]
    slow = CODE.replace("return os.getpid()", "import time; time.sleep(1); return os.getpid()")
    worker.client("lambda").update_function_code(FunctionName="worker", ZipFile=bundle(slow))
    worker.client("lambda").create_function(
        FunctionName="sister",
        Runtime="python3.13",
        Handler="handler.handler",
        Role=role,
        Code={"ZipFile": bundle(slow)},
        Timeout=20,
    )
    rule = {"kind": "kill", "action": "DescribeSecret"}
    rules = [{**rule, "role": "worker/worker", "at": 2}, {**rule, "role": "worker/sister"}]
    worker.control("PUT", "/_local/faults", rules)

    with ThreadPoolExecutor(3) as pool:
        *workers, sister = pool.map(lambda name: invoke(worker, name)[0], ["worker", "worker", "sister"])

    assert (sorted(workers), sister) == (["", "Unhandled"], "Unhandled")


def test_a_message_comes_back_after_its_visibility_timeout(worker: LocalAws) -> None:
    """A crash in the middle of a batch loses nothing: the second attempt finds the message again."""
    sqs = worker.client("sqs")
    attributes = {"VisibilityTimeout": "20"}
    url = sqs.create_queue(QueueName="work", Attributes=attributes)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    worker.client("lambda").update_function_configuration(FunctionName="worker", Timeout=2)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "2"})
    kill(worker, action="PutSecretValue", when="before")
    worker.client("lambda").create_event_source_mapping(EventSourceArn=arn, FunctionName="worker")

    sqs.send_message(QueueUrl=url, MessageBody="go")

    assert eventually(lambda: value(worker) == "new", "the second attempt", within_s=15)
    assert worker.control("GET", "/_local/faults")["hits"] == {"secretsmanager:PutSecretValue:kill": 1}


def test_a_crash_needs_a_process_to_kill(worker: LocalAws) -> None:
    """A rule that meets a caller who is no function says so: its test would prove nothing."""
    worker.control("PUT", "/_local/faults", [{"kind": "kill", "role": "root", "service": "secretsmanager"}])
    secrets = worker.client("secretsmanager", ClientConfig(retries={"total_max_attempts": 1}))

    with pytest.raises(ClientError) as error:
        secrets.list_secrets()

    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert worker.control("GET", "/_local/faults")["hits"] == {}


def test_a_function_that_ends_itself_is_told_apart(fresh_aws: LocalAws) -> None:
    """Runtime.ExitError too, but nobody killed it."""
    new_function(fresh_aws, "quitter", "import os\ndef handler(event, context): os._exit(1)", RIGHTS)

    failed, payload = invoke(fresh_aws, "quitter")

    assert (failed, payload["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert payload["errorMessage"].endswith("Error: Runtime exited without providing a reason")
