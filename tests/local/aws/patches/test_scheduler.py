"""EventBridge Scheduler: schedules that act in a role, fire on time, and leave dead letters."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.aws import stacks
from tests.local.aws.hierarchies import eventually
from tests.local.aws.refusals import ClientError, code_of
from tests.local.aws.roles import new_role
from tests.local.aws.triggers import Queue, new_function, new_queue, reporting

if TYPE_CHECKING:
    from local.running_aws import LocalAws

SERVICE = "scheduler.amazonaws.com"
OFF = {"Mode": "OFF"}


@pytest.fixture
def queue(fresh_aws: LocalAws) -> Queue:
    """What schedules send to."""
    return new_queue(fresh_aws, "dispatch")


def role(aws: LocalAws, *queues: Queue, service: str = SERVICE) -> str:
    """A role that may send to these queues."""
    targets = [queue.arn for queue in queues] or ["arn:aws:sqs:eu-west-1:111122223333:none-of-them"]
    rights = [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": targets}]
    return new_role(aws, "dispatcher", rights, service)


def trust(aws: LocalAws, service: str, group: str) -> None:
    """Let the role be assumed by one service for one group of schedules only."""
    arn = f"arn:aws:scheduler:{aws.region}:{aws.account}:schedule-group/{group}"
    conditions = {"ArnEquals": {"aws:SourceArn": arn}, "StringEquals": {"aws:SourceAccount": aws.account}}
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Condition": conditions}]})
    aws.client("iam").update_assume_role_policy(RoleName="dispatcher", PolicyDocument=document)


def schedule(aws: LocalAws, target: dict[str, Any], expression: str = "rate(1 minute)", **more: Any) -> None:
    """A schedule named tick."""
    aws.client("scheduler").create_schedule(
        Name="tick", ScheduleExpression=expression, FlexibleTimeWindow=OFF, Target=target, **more
    )


def advance(aws: LocalAws, seconds: float) -> None:
    """Put Scheduler's clock forward."""
    aws.control("POST", "/_local/scheduler/advance", {"seconds": seconds})


def test_a_rate_fires_once_a_period(fresh_aws: LocalAws, queue: Queue) -> None:
    """Not when it is made, then after each minute; the message is the target's input as it is."""
    schedule(fresh_aws, {"Arn": queue.arn, "RoleArn": role(fresh_aws, queue), "Input": '{"dispatch": "tick"}'})

    seen = []
    for seconds in (50, 12, 40, 22):
        advance(fresh_aws, seconds)
        seen.append([message["Body"] for message in queue.messages()])

    assert seen == [[], ['{"dispatch": "tick"}'], [], ['{"dispatch": "tick"}']]


def test_a_time_fires_by_itself(fresh_aws: LocalAws, queue: Queue) -> None:
    """The real clock drives schedules; SenderId is the session of the schedule's role."""
    schedule(fresh_aws, {"Arn": queue.arn, "RoleArn": role(fresh_aws, queue), "Input": "x"}, "at(2026-01-01T00:00:00)")

    message = queue.first()

    role_id = fresh_aws.client("iam").get_role(RoleName="dispatcher")["Role"]["RoleId"]
    assert message["Attributes"]["SenderId"].startswith(f"{role_id}:")


def test_context_attributes_are_filled_in(fresh_aws: LocalAws, queue: Queue) -> None:
    """The scheduled time and the schedule's own ARN."""
    text = json.dumps({"at": "<aws.scheduler.scheduled-time>", "by": "<aws.scheduler.schedule-arn>"})
    target = {"Arn": queue.arn, "RoleArn": role(fresh_aws, queue), "Input": text}
    schedule(fresh_aws, target, "at(2026-01-01T00:00:00)")

    body = json.loads(queue.first()["Body"])

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["at"])
    assert body["by"] == "arn:aws:scheduler:eu-west-1:111122223333:schedule/default/tick"


@pytest.mark.parametrize(
    ("service", "group"), [("events.amazonaws.com", "default"), (SERVICE, "other")], ids=["service", "group"]
)
def test_the_role_must_trust_scheduler(fresh_aws: LocalAws, queue: Queue, service: str, group: str) -> None:
    """Another service's role is refused when the schedule is made, and so is one for another schedule group."""
    arn = role(fresh_aws, queue)
    trust(fresh_aws, service, group)

    with pytest.raises(ClientError, match="must allow AWS EventBridge Scheduler to assume the role") as error:
        schedule(fresh_aws, {"Arn": queue.arn, "RoleArn": arn, "Input": "x"})

    assert code_of(error) == "ValidationException"


def test_a_role_may_trust_scheduler_for_one_group_and_account(fresh_aws: LocalAws, queue: Queue) -> None:
    """aws:SourceArn is the schedule's group, aws:SourceAccount the account."""
    target = {"Arn": queue.arn, "RoleArn": role(fresh_aws, queue), "Input": "trusted"}
    trust(fresh_aws, SERVICE, "default")

    schedule(fresh_aws, target, "at(2026-01-01T00:00:00)")

    assert queue.first()["Body"] == "trusted"


@pytest.mark.parametrize(
    ("deleted", "code"),
    [(False, "AccessDeniedException"), (True, "AWS.SimpleQueueService.NonExistentQueue")],
    ids=["no right", "no queue"],
)
def test_what_a_target_refuses_becomes_a_dead_letter(
    fresh_aws: LocalAws,
    queue: Queue,
    deleted: bool,  # noqa: FBT001 - a case
    code: str,
) -> None:
    """The role's rights count; the letter is the payload with the reason beside it."""
    dead = new_queue(fresh_aws, "dead")
    arn = role(fresh_aws, *([dead, queue] if deleted else [dead]))
    if deleted:
        fresh_aws.client("sqs").delete_queue(QueueUrl=queue.url)
    retry = {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 60}
    target = {"Arn": queue.arn, "RoleArn": arn, "Input": "tick", "RetryPolicy": retry}

    schedule(fresh_aws, {**target, "DeadLetterConfig": {"Arn": dead.arn}}, "at(2026-01-01T00:00:00)")

    letter = dead.first()
    attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert letter["Body"] == "tick"
    assert (attributes["ERROR_CODE"], attributes["TARGET_ARN"]) == (code, queue.arn)
    assert attributes["SCHEDULE_ARN"].endswith(":schedule/default/tick")
    assert deleted or queue.messages() == []


def test_a_dead_letter_needs_the_right_too(fresh_aws: LocalAws, queue: Queue) -> None:
    """A role that may send to neither leaves a line in the log and nothing else."""
    dead = new_queue(fresh_aws, "dead")
    target = {"Arn": queue.arn, "RoleArn": role(fresh_aws), "Input": "x", "DeadLetterConfig": {"Arn": dead.arn}}

    told = len(fresh_aws.log_path.read_text())
    schedule(fresh_aws, target, "at(2026-01-01T00:00:00)")

    eventually(lambda: "dead letter lost" in fresh_aws.log_path.read_text()[told:], "a line in the log")
    assert dead.messages() == []


def test_a_schedule_invokes_a_function_in_its_role(fresh_aws: LocalAws, queue: Queue) -> None:
    """With lambda:InvokeFunction, and with the input as its event."""
    function = new_function(fresh_aws, reporting(queue))
    rights = [{"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": function}]
    arn = new_role(fresh_aws, "invoker", rights, SERVICE)

    schedule(fresh_aws, {"Arn": function, "RoleArn": arn, "Input": '{"dispatch": "sweep"}'}, "at(2026-01-01T00:00:00)")

    assert json.loads(queue.first()["Body"]) == {"dispatch": "sweep"}


def test_a_schedule_made_again_counts_anew(fresh_aws: LocalAws, queue: Queue) -> None:
    """It does not remember when the deleted one of its name fired."""
    target = {"Arn": queue.arn, "RoleArn": role(fresh_aws, queue), "Input": "x"}
    schedule(fresh_aws, target)
    fresh_aws.client("scheduler").delete_schedule(Name="tick")
    advance(fresh_aws, 600)

    schedule(fresh_aws, target)
    advance(fresh_aws, 30)

    assert queue.messages() == []


def test_a_template_makes_changes_and_removes_schedules(fresh_aws: LocalAws, queue: Queue) -> None:
    """In a group of their own, with every property kept, and refused like a call would be."""
    dead, arn = new_queue(fresh_aws, "dead"), role(fresh_aws, queue)
    target = {
        "Arn": queue.arn,
        "RoleArn": arn,
        "Input": '{"dispatch": "tick"}',
        "RetryPolicy": {"MaximumRetryAttempts": 5, "MaximumEventAgeInSeconds": 300},
        "DeadLetterConfig": {"Arn": dead.arn},
    }

    made = provision(fresh_aws, target, "rate(1 minute)")
    found = fresh_aws.client("scheduler").get_schedule(Name="tick", GroupName="meshcert")
    changed = provision(fresh_aws, {**target, "Input": "y"}, "rate(2 minutes)")
    after = fresh_aws.client("scheduler").get_schedule(Name="tick", GroupName="meshcert")
    refused = provision(fresh_aws, {**target, "RoleArn": f"{arn}-gone"}, "rate(2 minutes)")
    deleted = stacks.delete(fresh_aws, "stack")

    assert (made, changed, refused) == ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
    assert (deleted, fresh_aws.client("scheduler").list_schedules()["Schedules"]) == ("DELETE_COMPLETE", [])
    assert {name: found["Target"][name] for name in target} == target
    assert (found["FlexibleTimeWindow"], found["ScheduleExpressionTimezone"]) == (OFF, "Europe/Berlin")
    assert (after["ScheduleExpression"], after["Target"]["Input"]) == ("rate(2 minutes)", "y")


def provision(aws: LocalAws, target: dict[str, Any], expression: str) -> str:
    """Bring a stack with one group and one schedule to where it is wanted; how that ended."""
    properties = {
        "Name": "tick",
        "GroupName": {"Ref": "Group"},
        "ScheduleExpression": expression,
        "ScheduleExpressionTimezone": "Europe/Berlin",
        "FlexibleTimeWindow": OFF,
        "Target": target,
    }
    resources = {
        "Group": {"Type": "AWS::Scheduler::ScheduleGroup", "Properties": {"Name": "meshcert"}},
        "Tick": {"Type": "AWS::Scheduler::Schedule", "Properties": properties},
    }
    return stacks.deploy(aws, "stack", resources)
