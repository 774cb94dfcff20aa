"""Parameters of Systems Manager that a template declares: what is there follows the stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.local.aws.refusals import ClientError, code_of
from tests.local.aws.stacks import delete, deploy, outputs_of, reasons_of

if TYPE_CHECKING:
    from local.running_aws import LocalAws

NAME = "/meshcert/color/issuance/teller"


def parameter(value: str, name: str = NAME, **more: Any) -> dict[str, Any]:
    """A stack's resources: one parameter."""
    properties = {"Name": name, "Type": "String", "Value": value, **more}
    return {"Parameter": {"Type": "AWS::SSM::Parameter", "Properties": properties}}


def seen(aws: LocalAws, name: str = NAME) -> tuple[str, int] | str:
    """Value and version of a parameter, or the code with which it is refused."""
    try:
        found = aws.client("ssm").get_parameter(Name=name)["Parameter"]
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return found["Value"], found["Version"]


def test_a_parameter_is_made_changed_and_deleted_with_its_stack(fresh_aws: LocalAws) -> None:
    """Each change is a new version; Ref is the name."""
    found = []

    deploy(fresh_aws, "stack", parameter("one"), {"Name": {"Ref": "Parameter"}})
    found.append(seen(fresh_aws))
    deploy(fresh_aws, "stack", parameter("two"), {"Name": {"Ref": "Parameter"}})
    found.append(seen(fresh_aws))
    names = outputs_of(fresh_aws, "stack")
    delete(fresh_aws, "stack")

    assert (found, names) == ([("one", 1), ("two", 2)], {"Name": NAME})
    assert seen(fresh_aws) == "ParameterNotFound"


def test_a_parameter_that_leaves_the_template_is_gone(fresh_aws: LocalAws) -> None:
    """The others stay as they are."""
    both = {**parameter("one"), "Other": parameter("other", f"{NAME}-2")["Parameter"]}
    deploy(fresh_aws, "stack", both)

    deploy(fresh_aws, "stack", {"Other": both["Other"]})

    assert (seen(fresh_aws), seen(fresh_aws, f"{NAME}-2")) == ("ParameterNotFound", ("other", 1))


def test_another_name_is_another_parameter(fresh_aws: LocalAws) -> None:
    """Replaced: the old one goes when the new one is there."""
    deploy(fresh_aws, "stack", parameter("one"))

    deploy(fresh_aws, "stack", parameter("one", f"{NAME}-2"))

    assert (seen(fresh_aws), seen(fresh_aws, f"{NAME}-2")) == ("ParameterNotFound", ("one", 1))


def test_a_taken_name_fails_the_stack_and_keeps_what_is_there(fresh_aws: LocalAws) -> None:
    """Somebody's parameter is neither overwritten nor deleted when the stack is rolled back."""
    fresh_aws.client("ssm").put_parameter(Name=NAME, Value="theirs", Type="String")

    status = deploy(fresh_aws, "stack", parameter("ours"))

    assert status == "ROLLBACK_COMPLETE"
    assert f"Resource of type 'AWS::SSM::Parameter' with identifier '{NAME}' already exists." in reasons_of(
        fresh_aws, "stack"
    )
    assert seen(fresh_aws) == ("theirs", 1)


@pytest.mark.parametrize(("size", "status"), [(4096, "UPDATE_COMPLETE"), (4097, "UPDATE_ROLLBACK_COMPLETE")])
def test_a_standard_parameter_holds_4096_bytes(fresh_aws: LocalAws, size: int, status: str) -> None:
    """A longer value fails the update, and the value of before is back."""
    deploy(fresh_aws, "stack", parameter("one", Tier="Standard"))

    ended = deploy(fresh_aws, "stack", parameter("x" * size, Tier="Standard"))

    assert ended == status
    assert seen(fresh_aws)[0] == ("x" * size if status == "UPDATE_COMPLETE" else "one")


def test_a_failed_update_brings_the_value_of_before_back(fresh_aws: LocalAws) -> None:
    """Whoever reads it then reads what the mesh had."""
    deploy(fresh_aws, "stack", parameter("one"))
    taken = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "taken"}, "DependsOn": ["Parameter"]}
    fresh_aws.client("sqs").create_queue(QueueName="taken")

    status = deploy(fresh_aws, "stack", {**parameter("two"), "Queue": taken})

    assert (status, seen(fresh_aws)[0]) == ("UPDATE_ROLLBACK_COMPLETE", "one")


def test_a_name_is_taken_with_and_without_its_first_slash(fresh_aws: LocalAws) -> None:
    """``one`` and ``/one`` have one ARN."""
    fresh_aws.client("ssm").put_parameter(Name="one", Value="theirs", Type="String")

    with pytest.raises(ClientError) as error:
        fresh_aws.client("ssm").put_parameter(Name="/one", Value="ours", Type="String")

    assert code_of(error) == "ParameterAlreadyExists"
