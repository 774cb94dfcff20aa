"""How large things may be: the largest is taken, one more is refused with AWS's error, by the API and in templates."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.aws.bundles import new_function
from tests.local.aws.patches.test_cloudformation_types import resource
from tests.local.aws.refusals import ClientError, code_of
from tests.local.aws.stacks import deploy, reasons_of
from tests.local.aws.tables import new_acknowledgements_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.running_aws import LocalAws

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def policy_of(characters: int) -> str:
    """A policy that is so long, written with white space, which does not count."""
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/"}
    policy: dict[str, Any] = {"Version": "2012-10-17", "Statement": [statement]}
    missing = characters - len(json.dumps(policy, separators=(",", ":")))
    statement["Resource"] += "x" * missing
    return json.dumps(policy, indent=4)


def containers_of(size: int) -> list[dict[str, Any]]:
    """Container definitions that make a task definition, registered with its family alone, so long."""
    container = {"name": "app", "image": "app", "command": [""]}
    request = {"family": "large", "containerDefinitions": [container]}
    container["command"] = ["x" * (size - len(json.dumps(request, separators=(",", ":"))))]
    return [container]


def environment_of(size: int) -> dict[str, str]:
    """Environment variables that are so long as JSON."""
    return {"NAME": "x" * (size - len('{"NAME":""}'))}


def put_parameter(aws: LocalAws, size: int) -> None:
    """A standard parameter."""
    aws.client("ssm").put_parameter(Name="/one", Value="x" * size, Type="String", Overwrite=True)


def put_advanced_parameter(aws: LocalAws, size: int) -> None:
    """An advanced parameter."""
    aws.client("ssm").put_parameter(Name="/one", Value="x" * size, Type="String", Overwrite=True, Tier="Advanced")


def create_secret(aws: LocalAws, size: int) -> None:
    """A secret's value."""
    aws.client("secretsmanager").create_secret(Name=f"secret-{size}", SecretString="x" * size)


def register_task_definition(aws: LocalAws, size: int) -> None:
    """A task definition."""
    aws.client("ecs").register_task_definition(family="large", containerDefinitions=containers_of(size))


def put_item(aws: LocalAws, size: int) -> None:
    """A DynamoDB item: names and values count."""
    item = {"service": "s", "task": "t", "rest": ""}
    item["rest"] = "x" * (size - sum(len(name) + len(value) for name, value in item.items()))
    new_acknowledgements_table(aws)[1].put_item(Item=item)


def create_function(aws: LocalAws, size: int) -> None:
    """A function's environment."""
    rights = [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}]
    code = "def handler(event, context): pass"
    new_function(aws, f"function-{size}", code, rights, Environment={"Variables": environment_of(size)})


def put_role_policy(aws: LocalAws, size: int) -> None:
    """All inline policies of a role together."""
    iam = aws.client("iam")
    iam.create_role(RoleName=f"role-{size}", AssumeRolePolicyDocument=json.dumps(TRUST))
    for name, characters in (("first", 5_000), ("second", size - 5_000)):
        iam.put_role_policy(RoleName=f"role-{size}", PolicyName=name, PolicyDocument=policy_of(characters))


def create_policy(aws: LocalAws, size: int) -> None:
    """A managed policy."""
    aws.client("iam").create_policy(PolicyName=f"policy-{size}", PolicyDocument=policy_of(size))


def attach_policies(aws: LocalAws, number: int) -> None:
    """Managed policies of one role."""
    iam = aws.client("iam")
    iam.create_role(RoleName=f"role-{number}", AssumeRolePolicyDocument=json.dumps(TRUST))
    for policy in range(number):
        made = iam.create_policy(PolicyName=f"policy-{number}-{policy}", PolicyDocument=policy_of(200))
        iam.attach_role_policy(RoleName=f"role-{number}", PolicyArn=made["Policy"]["Arn"])


@pytest.mark.parametrize(
    ("make", "largest", "code"),
    [
        (put_parameter, 4_096, "ValidationException"),
        (put_advanced_parameter, 8_192, "ValidationException"),
        (create_secret, 65_536, "ValidationException"),
        (register_task_definition, 65_536, "ClientException"),
        (put_item, 409_600, "ValidationException"),
        (create_function, 4_096, "InvalidParameterValueException"),
        (put_role_policy, 10_240, "LimitExceeded"),
        (create_policy, 6_144, "LimitExceeded"),
        (attach_policies, 10, "LimitExceeded"),
    ],
)
def test_the_largest_is_taken_and_one_more_is_refused(
    fresh_aws: LocalAws, make: Callable[[LocalAws, int], None], largest: int, code: str
) -> None:
    """Through the API, with the error code of the operation."""
    make(fresh_aws, largest)

    with pytest.raises(ClientError) as refused:
        make(fresh_aws, largest + 1)

    assert code_of(refused) == code


def _task_definition(size: int) -> dict[str, Any]:
    return resource(
        "AWS::ECS::TaskDefinition",
        Family="large",
        ContainerDefinitions=[{"Name": "app", "Image": "app", "Command": ["x" * size]}],
    )


def _role(**properties: Any) -> dict[str, Any]:
    return resource("AWS::IAM::Role", AssumeRolePolicyDocument=TRUST, **properties)


def _managed(*, characters: int = 200, **properties: Any) -> dict[str, Any]:
    return resource("AWS::IAM::ManagedPolicy", PolicyDocument=json.loads(policy_of(characters)), **properties)


def _inline(characters: int) -> dict[str, Any]:
    return {"PolicyName": f"inline-{characters}", "PolicyDocument": json.loads(policy_of(characters))}


def _function(size: int) -> dict[str, Any]:
    return resource(
        "AWS::Lambda::Function",
        Runtime="python3.13",
        Handler="index.handler",
        Role={"Fn::GetAtt": ["Role", "Arn"]},
        Code={"ZipFile": "def handler(event, context): return event"},
        Environment={"Variables": environment_of(size)},
    )


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ({"It": _task_definition(65_536)}, "Max allowed length"),
        ({"It": resource("AWS::SecretsManager::Secret", SecretString="x" * 65_537)}, "65536"),
        ({"Role": _role(), "It": _function(4_097)}, "4KB limit"),
        ({"It": _role(Policies=[_inline(5_000), _inline(5_241)])}, "Maximum policy size of 10240 bytes exceeded"),
        (
            {
                "Role": _role(Policies=[_inline(5_000)]),
                "It": resource("AWS::IAM::Policy", **_inline(5_241), Roles=[{"Ref": "Role"}]),
            },
            "Maximum policy size of 10240 bytes exceeded",
        ),
        ({"It": _managed(characters=6_145)}, "PolicySize: 6144"),
        (
            {"Role": _role(), **{f"Policy{number}": _managed(Roles=[{"Ref": "Role"}]) for number in range(11)}},
            "PoliciesPerRole: 10",
        ),
    ],
    ids=["task definition", "secret", "environment", "role", "policy", "managed policy", "ten managed policies"],
)
def test_a_template_is_no_way_around(fresh_aws: LocalAws, resources: dict[str, Any], said: str) -> None:
    """The resource fails, and the stack rolls back."""
    assert deploy(fresh_aws, "large", resources) == "ROLLBACK_COMPLETE"
    assert said in reasons_of(fresh_aws, "large")


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        (
            {f"Queue{number}": {"Type": "AWS::SQS::Queue"} for number in range(501)},
            "Number of resources, 501, is greater than maximum allowed, 500",
        ),
        (
            {"Queue": {"Type": "AWS::SQS::Queue", "Metadata": {"Much": "x" * 1_000_000}}},
            "Template may not exceed 1000000 bytes in size",
        ),
    ],
    ids=["resources", "bytes"],
)
def test_a_template_that_is_too_large_is_refused(fresh_aws: LocalAws, resources: dict[str, Any], said: str) -> None:
    """Before anything is made."""
    with pytest.raises(ClientError, match=said) as refused:
        deploy(fresh_aws, "large", resources)

    assert code_of(refused) == "ValidationError"


@pytest.mark.parametrize(
    ("field", "most"), [("stopTimeout", 120), ("startPeriod", 300), ("interval", 300), ("timeout", 60), ("retries", 10)]
)
def test_no_container_gets_more_time_than_fargate_gives(aws: LocalAws, field: str, most: int) -> None:
    """The longest is taken, one more is refused with the container's and the field's name."""

    def register(value: int) -> None:
        times = (
            {"stopTimeout": value} if field == "stopTimeout" else {"healthCheck": {"command": ["CMD"], field: value}}
        )
        aws.client("ecs").register_task_definition(
            family="times", containerDefinitions=[{"name": "app", "image": "app", **times}]
        )

    register(most)

    with pytest.raises(ClientError, match=f"Container app: {field}") as refused:
        register(most + 1)
    assert code_of(refused) == "ClientException"
