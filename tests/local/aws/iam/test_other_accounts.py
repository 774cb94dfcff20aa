"""What belongs to another account is refused, unless both accounts' policies let the caller in."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.aws.refusals import ClientError, denial_of
from tests.local.aws.roles import new_role
from tests.local.aws.shared_authorities import OWNER, InAccount
from tests.local.aws.stacks import deploy

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.running_aws import LocalAws

CONTEXT = {"meshcert:identity": "teller"}


@dataclass(frozen=True)
class Foreign:
    """
    Something of another account.

    Args:
        action: What is tried.
        arn: What policies call it.
        call: Name of the client's method, and its arguments.
        let_in: Writes its policy, from a statement; None if it cannot have one.
    """

    action: str
    arn: str
    call: tuple[str, dict[str, Any]]
    let_in: Callable[[str], Any] | None


def secret(there: InAccount) -> Foreign:
    """A secret."""
    client = there.client("secretsmanager")
    arn = client.create_secret(Name="teller", SecretString="a key")["ARN"]
    return Foreign(
        "secretsmanager:GetSecretValue",
        arn,
        ("get_secret_value", {"SecretId": arn}),
        lambda policy: client.put_resource_policy(SecretId=arn, ResourcePolicy=policy),
    )


def table(there: InAccount) -> Foreign:
    """A table."""
    client = there.client("dynamodb")
    client.create_table(
        TableName="identities",
        KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    arn = client.describe_table(TableName="identities")["Table"]["TableArn"]
    return Foreign(
        "dynamodb:GetItem",
        arn,
        ("get_item", {"TableName": arn, "Key": {"name": {"S": "teller"}}}),
        lambda policy: client.put_resource_policy(ResourceArn=arn, Policy=policy),
    )


def queue(there: InAccount) -> Foreign:
    """A queue."""
    client = there.client("sqs")
    url = client.create_queue(QueueName="orders")["QueueUrl"]
    arn = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return Foreign(
        "sqs:ReceiveMessage",
        arn,
        ("receive_message", {"QueueUrl": url}),
        lambda policy: client.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy}),
    )


def key(there: InAccount) -> Foreign:
    """A key, and something that it has encrypted."""
    client = there.client("kms")
    arn = client.create_key()["KeyMetadata"]["Arn"]
    sealed = client.encrypt(KeyId=arn, Plaintext=b"a key", EncryptionContext=CONTEXT)["CiphertextBlob"]
    return Foreign(
        "kms:Decrypt",
        arn,
        ("decrypt", {"KeyId": arn, "CiphertextBlob": sealed, "EncryptionContext": CONTEXT}),
        lambda policy: client.put_key_policy(KeyId=arn, PolicyName="default", Policy=policy),
    )


def role(there: InAccount) -> Foreign:
    """A role."""
    arn = new_role(there, "operator", [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}])
    return Foreign(
        "sts:AssumeRole",
        arn,
        ("assume_role", {"RoleArn": arn, "RoleSessionName": "foreign"}),
        lambda policy: there.client("iam").update_assume_role_policy(RoleName="operator", PolicyDocument=policy),
    )


def parameter(there: InAccount) -> Foreign:
    """A parameter, which has no policy of its own."""
    client = there.client("ssm")
    client.put_parameter(Name="/meshcert/color/terms", Value="{}", Type="String")
    arn = client.get_parameter(Name="/meshcert/color/terms")["Parameter"]["ARN"]
    return Foreign("ssm:GetParameter", arn, ("get_parameter", {"Name": arn}), None)


def bucket(there: InAccount) -> Foreign:
    """A bucket with a revocation list."""
    client = there.client("s3")
    client.create_bucket(Bucket="lists", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    client.put_object(Bucket="lists", Key="crl/1.crl", Body=b"a list")
    arn = "arn:aws:s3:::lists/crl/1.crl"

    def let_in(policy: str) -> None:
        document = json.loads(policy)
        # MiniStack asks S3's own decision for the account alone.
        document["Statement"][0] |= {"Resource": arn, "Principal": {"AWS": f"arn:aws:iam::{OWNER}:root"}}
        client.put_bucket_policy(Bucket="lists", Policy=json.dumps(document))

    return Foreign("s3:GetObject", arn, ("get_object", {"Bucket": "lists", "Key": "crl/1.crl"}), let_in)


@pytest.mark.parametrize("make", [secret, table, queue, key, role, parameter, bucket], ids=lambda make: make.__name__)
def test_both_accounts_have_to_allow_it(fresh_aws: LocalAws, make: Callable[[InAccount], Foreign]) -> None:
    """Neither the caller's policy alone, be it an administrator's, nor the owner's alone is enough; the log says so."""
    foreign = make(InAccount(fresh_aws))
    right = {"Effect": "Allow", "Action": foreign.action, "Resource": foreign.arn}
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    callers = {
        "nobody": new_role(fresh_aws, "nobody", [{**right, "Resource": f"{foreign.arn}else"}]),
        "holder": new_role(fresh_aws, "holder", [right]),
        "administrator": new_role(fresh_aws, "administrator", [everything]),
    }
    service, (call, arguments) = foreign.action.partition(":")[0], foreign.call
    clients = {name: fresh_aws.client_as(caller, service) for name, caller in callers.items()}

    def let_through() -> set[str]:
        return {name for name, client in clients.items() if not _denied(getattr(client, call), arguments)}

    assert let_through() == set()
    log = fresh_aws.control("GET", "/_local/iam/log")
    allowed = {each["role"] for each in log if each["action"] == foreign.action and each["allowed"]}
    # Trust is STS's own decision, after IAM's.
    assert allowed & callers.keys() == (set() if service != "sts" else {"holder", "administrator"})
    if foreign.let_in:
        principal = {"AWS": [callers["nobody"], callers["holder"], callers["administrator"]]}
        statement: dict[str, Any] = {"Effect": "Allow", "Action": foreign.action, "Principal": principal}
        if service != "sts":
            statement["Resource"] = "*"
        foreign.let_in(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
        assert let_through() == {"holder", "administrator"}


def test_a_missing_object_of_another_account_is_denied_to_who_may_not_list_there(fresh_aws: LocalAws) -> None:
    """As in one's own account; the bucket's policy has to let them list, too."""
    bucket(InAccount(fresh_aws))
    reads = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::lists/*"}
    lists = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::lists"}
    clients = {
        name: fresh_aws.client_as(new_role(fresh_aws, name, rights), "s3")
        for name, rights in {"reader": [reads], "lister": [reads, lists]}.items()
    }

    def codes() -> dict[str, str]:
        found = {}
        for name, client in clients.items():
            with pytest.raises(ClientError) as refused:
                client.get_object(Bucket="lists", Key="crl/2.crl")
            found[name] = refused.value.response["Error"]["Code"]
        return found

    owner = {"Principal": {"AWS": f"arn:aws:iam::{OWNER}:root"}}
    for admitted, code in (([reads], "AccessDenied"), ([reads, lists], "NoSuchKey")):
        document = {"Version": "2012-10-17", "Statement": [each | owner for each in admitted]}
        InAccount(fresh_aws).client("s3").put_bucket_policy(Bucket="lists", Policy=json.dumps(document))
        assert codes() == {"reader": "AccessDenied", "lister": code}


def test_not_even_root_of_another_account_gets_in(fresh_aws: LocalAws) -> None:
    """Root is everything in its own account alone."""
    for make in (secret, table, queue, key, parameter):
        foreign = make(InAccount(fresh_aws))
        client = fresh_aws.client(foreign.action.partition(":")[0])
        call, arguments = foreign.call
        assert _denied(getattr(client, call), arguments), foreign.arn


def test_what_no_policy_of_the_resource_allows_is_not_blamed_on_the_callers(fresh_aws: LocalAws) -> None:
    """Systems Manager's denials have a form of their own; who reads them decides by the kind of policy."""
    foreign = parameter(InAccount(fresh_aws))
    holder = new_role(fresh_aws, "holder", [{"Effect": "Allow", "Action": foreign.action, "Resource": foreign.arn}])
    call, arguments = foreign.call

    told = denial_of(getattr(fresh_aws.client_as(holder, "ssm"), call), **arguments)

    assert f"{foreign.arn} because no resource-based policy allows the ssm:GetParameter action" in told


@pytest.mark.parametrize(("seconds", "given"), [(3600, True), (3601, False)])
def test_a_role_that_assumes_another_has_it_for_an_hour_at_most(fresh_aws: LocalAws, seconds: int, given: bool) -> None:  # noqa: FBT001
    """However long the other one's sessions may be; an administrator, who is no role, has it for longer."""
    other = new_role(fresh_aws, "other", [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}])
    own = new_role(fresh_aws, "own", [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": other}])
    principal = {"AWS": [own, f"arn:aws:iam::{fresh_aws.account}:root"]}
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}]}
    iam = fresh_aws.client("iam")
    iam.update_assume_role_policy(RoleName="other", PolicyDocument=json.dumps({"Version": "2012-10-17"} | trust))
    iam.update_role(RoleName="other", MaxSessionDuration=43_200)
    asked = {"RoleArn": other, "RoleSessionName": "chained", "DurationSeconds": seconds}

    with nullcontext() if given else pytest.raises(ClientError, match="1 hour session limit"):
        fresh_aws.client_as(own, "sts").assume_role(**asked)

    assert fresh_aws.client("sts").assume_role(**asked)["Credentials"]


def _denied(call: Callable[..., Any], arguments: dict[str, Any]) -> bool:
    """Whether IAM refuses a call: MiniStack then finds some of what it lets through in no account but the caller's."""
    try:
        call(**arguments)
    except ClientError as error:
        return "AccessDenied" in error.response["Error"]["Code"]
    return False


@pytest.mark.parametrize(("characters", "made"), [(2_048, True), (2_049, False)])
def test_a_trust_policy_has_the_length_that_iam_takes(fresh_aws: LocalAws, characters: int, made: bool) -> None:  # noqa: FBT001
    """2,048 characters without white space: in a stack, too, whose deploy fails."""

    def trust(callers: str) -> dict[str, Any]:
        condition = {"ArnLike": {"aws:PrincipalArn": callers}}
        principal = {"Service": "lambda.amazonaws.com"}
        statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal, "Condition": condition}
        return {"Version": "2012-10-17", "Statement": [statement]}

    whole = trust("a" * (characters - len(json.dumps(trust(""), separators=(",", ":")))))
    properties = {"RoleName": "long", "AssumeRolePolicyDocument": whole}
    status = deploy(fresh_aws, "long", {"Role": {"Type": "AWS::IAM::Role", "Properties": properties}})

    assert (status == "CREATE_COMPLETE") == made
