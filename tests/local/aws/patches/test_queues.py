"""Queues and the functions behind them: who sent, what a mapping requires, what comes back, and loops that are cut."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.aws import stacks
from tests.local.aws.hierarchies import eventually
from tests.local.aws.refusals import ClientError, code_of
from tests.local.aws.roles import new_role
from tests.local.aws.triggers import CONSUME, Queue, new_function, new_mapping, new_queue, redrive, reporting

if TYPE_CHECKING:
    from local.running_aws import LocalAws

NOTHING = "def handler(event, context): pass"


@pytest.fixture
def seen(fresh_aws: LocalAws) -> Queue:
    """Where functions say what they saw."""
    return new_queue(fresh_aws, "seen")


def test_a_message_names_the_session_that_sent_it(fresh_aws: LocalAws, seen: Queue) -> None:
    """RoleId:SessionName for a role, so that an order can be traced; the account for its administrator."""
    rights = [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": seen.arn}]
    role = new_role(fresh_aws, "operator", rights)
    role_id = fresh_aws.client("iam").get_role(RoleName="operator")["Role"]["RoleId"]

    fresh_aws.client_as(role, "sqs").send_message(QueueUrl=seen.url, MessageBody="order")
    entries = [{"Id": "1", "MessageBody": "batch"}]
    fresh_aws.client_as(role, "sqs").send_message_batch(QueueUrl=seen.url, Entries=entries)
    seen.send("administrator")

    senders = {message["Body"]: message["Attributes"]["SenderId"] for message in seen.take(3)}
    assert role_id.startswith("AROA")
    assert senders == {"order": f"{role_id}:lab", "batch": f"{role_id}:lab", "administrator": fresh_aws.account}


def test_a_function_sees_who_sent_its_message(fresh_aws: LocalAws, seen: Queue) -> None:
    """SenderId in the record's attributes is that of the message; its own sends are those of its role's session."""
    orders = new_queue(fresh_aws, "orders")
    operator = new_role(fresh_aws, "operator", [{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}])
    function = new_function(fresh_aws, reporting(seen))
    new_mapping(fresh_aws, orders, function)

    fresh_aws.client_as(operator, "sqs").send_message(QueueUrl=orders.url, MessageBody="order")

    report = seen.first()
    iam = fresh_aws.client("iam")
    ids = {name: iam.get_role(RoleName=name)["Role"]["RoleId"] for name in ("operator", "function")}
    (record,) = json.loads(report["Body"])["Records"]
    assert record["attributes"]["SenderId"] == f"{ids['operator']}:lab"
    assert report["Attributes"]["SenderId"] == f"{ids['function']}:function"


@pytest.mark.parametrize("delay", [901, -1])
def test_a_delay_beyond_fifteen_minutes_is_refused(fresh_aws: LocalAws, seen: Queue, delay: int) -> None:
    """Alone, and as one entry of a batch; 900 seconds pass."""
    sqs = fresh_aws.client("sqs")

    with pytest.raises(ClientError) as error:
        sqs.send_message(QueueUrl=seen.url, MessageBody="late", DelaySeconds=delay)
    entries = [{"Id": str(each), "MessageBody": "late", "DelaySeconds": each % 1000} for each in (delay + 1000, 900)]
    answer = sqs.send_message_batch(QueueUrl=seen.url, Entries=[{**entries[0], "DelaySeconds": delay}, entries[1]])

    assert code_of(error) == "InvalidParameterValue"
    assert [entry["Id"] for entry in answer["Successful"]] == ["900"]
    assert [entry["Code"] for entry in answer["Failed"]] == ["InvalidParameterValue"]


@pytest.mark.parametrize("missing", CONSUME)
def test_a_mapping_needs_each_right_of_the_functions_role(fresh_aws: LocalAws, seen: Queue, missing: str) -> None:
    """Lambda reads the queue in the function's role and says which call it may not make."""
    rights = tuple(right for right in CONSUME if right != missing)
    function = new_function(fresh_aws, NOTHING, rights=rights)

    with pytest.raises(ClientError, match=f"permissions to call {missing.removeprefix('sqs:')} on SQS") as error:
        new_mapping(fresh_aws, seen, function)

    assert code_of(error) == "InvalidParameterValueException"


@pytest.mark.parametrize(
    ("queue", "mapping", "message"),
    [
        ({"VisibilityTimeout": "19"}, {}, "visibility timeout: 19 seconds is less than Function timeout: 20 seconds"),
        ({}, {"BatchSize": 11}, "batch window in seconds must be greater than 0"),
    ],
    ids=["visibility", "batch"],
)
def test_a_mapping_that_lambda_does_not_take_is_refused(
    fresh_aws: LocalAws, queue: dict[str, str], mapping: dict[str, Any], message: str
) -> None:
    """Through the API and in a template, with the same words."""
    source, function = new_queue(fresh_aws, "source", **queue), new_function(fresh_aws, NOTHING)

    with pytest.raises(ClientError, match=message):
        new_mapping(fresh_aws, source, function, **mapping)

    assert message in provisioned(fresh_aws, {"EventSourceArn": source.arn, "FunctionName": function, **mapping})


def test_a_template_cannot_ask_for_a_concurrency_of_one(fresh_aws: LocalAws) -> None:
    """The SDK does not even send it; CloudFormation is told by Lambda."""
    source, function = new_queue(fresh_aws, "source"), new_function(fresh_aws, NOTHING)
    scaling = {"ScalingConfig": {"MaximumConcurrency": 1}}

    reason = provisioned(fresh_aws, {"EventSourceArn": source.arn, "FunctionName": function, **scaling})

    assert "Member must have value greater than or equal to 2" in reason


def test_a_mapping_that_lambda_takes_is_provisioned(fresh_aws: LocalAws) -> None:
    """The limits themselves pass; a second mapping of the same pair does not."""
    source, function = new_queue(fresh_aws, "source", VisibilityTimeout="20"), new_function(fresh_aws, NOTHING)
    mapping = {
        "EventSourceArn": source.arn,
        "FunctionName": function,
        "BatchSize": 10,
        "ScalingConfig": {"MaximumConcurrency": 2},
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
    }

    assert provisioned(fresh_aws, mapping) == ""
    with pytest.raises(ClientError) as error:
        new_mapping(fresh_aws, source, function)
    (made,) = fresh_aws.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    assert code_of(error) == "ResourceConflictException"
    assert (made["BatchSize"], made["ScalingConfig"]) == (10, {"MaximumConcurrency": 2})


def test_a_mapping_whose_role_loses_a_right_rests(fresh_aws: LocalAws, seen: Queue) -> None:
    """Messages stay where they are, while another mapping goes on, until the right is back."""
    resting, busy, told = (new_queue(fresh_aws, name) for name in ("resting", "busy", "told"))
    new_mapping(fresh_aws, resting, new_function(fresh_aws, reporting(seen)))
    new_mapping(fresh_aws, busy, new_function(fresh_aws, reporting(told), name="other"))
    iam, sqs = fresh_aws.client("iam"), fresh_aws.client("sqs")
    policy = iam.get_role_policy(RoleName="function", PolicyName="inline")["PolicyDocument"]

    iam.delete_role_policy(RoleName="function", PolicyName="inline")
    resting.send("look")
    busy.send("look")
    told.first()
    waiting = sqs.get_queue_attributes(QueueUrl=resting.url, AttributeNames=["All"])["Attributes"]
    iam.put_role_policy(RoleName="function", PolicyName="inline", PolicyDocument=json.dumps(policy))

    assert seen.first()
    assert waiting["ApproximateNumberOfMessages"] == "1"


def test_a_function_knows_itself_by_its_roles_id(fresh_aws: LocalAws) -> None:
    """GetCallerIdentity in a function names the same user id as SenderId does."""
    code = "import boto3\ndef handler(event, context): return boto3.client('sts').get_caller_identity()['UserId']"
    new_function(fresh_aws, code)

    answer = fresh_aws.client("lambda").invoke(FunctionName="function", Payload=b"{}")

    role_id = fresh_aws.client("iam").get_role(RoleName="function")["Role"]["RoleId"]
    assert json.loads(answer["Payload"].read()) == f"{role_id}:function"


def test_only_the_failed_item_of_a_batch_comes_back_until_it_is_dead(fresh_aws: LocalAws, seen: Queue) -> None:
    """ReportBatchItemFailures, then the queue's dead letters after the second receive."""
    dead = new_queue(fresh_aws, "dead")
    source = new_queue(fresh_aws, "source", VisibilityTimeout="3", **redrive(dead, 2))
    failing = "return {'batchItemFailures': [{'itemIdentifier': r['messageId']} for r in event['Records']"
    function = new_function(fresh_aws, reporting(seen, f"{failing} if r['body'] == 'bad']}}"), timeout_s=3)
    entries = [{"Id": body, "MessageBody": body} for body in ("good", "bad")]
    fresh_aws.client("sqs").send_message_batch(QueueUrl=source.url, Entries=entries)

    new_mapping(fresh_aws, source, function, FunctionResponseTypes=["ReportBatchItemFailures"])

    letter = dead.first()
    bodies = [[record["body"] for record in json.loads(one["Body"])["Records"]] for one in seen.take(2)]
    assert letter["Body"] == "bad"
    assert letter["Attributes"]["DeadLetterQueueSourceArn"] == source.arn
    assert sorted(bodies, key=len, reverse=True) == [["good", "bad"], ["bad"]]


@pytest.mark.parametrize("death", ["time.sleep(60)", "os._exit(1)"], ids=["timeout", "process dies"])
def test_a_message_returns_when_its_function_is_killed(fresh_aws: LocalAws, seen: Queue, death: str) -> None:
    """After the visibility timeout, not before, and with its receive count."""
    source = new_queue(fresh_aws, "source", VisibilityTimeout="3")
    once = f"{death} if event['Records'][0]['attributes']['ApproximateReceiveCount'] == '1' else None"
    new_mapping(fresh_aws, source, new_function(fresh_aws, reporting(seen, once), timeout_s=3))
    source.send("look")
    first = seen.first()

    second = seen.first()

    gap = (int(second["Attributes"]["SentTimestamp"]) - int(first["Attributes"]["SentTimestamp"])) / 1000
    counts = [
        json.loads(report["Body"])["Records"][0]["attributes"]["ApproximateReceiveCount"] for report in (first, second)
    ]
    assert counts == ["1", "2"]
    assert gap > 2


def test_a_function_that_feeds_its_own_queue_is_stopped(fresh_aws: LocalAws, seen: Queue) -> None:
    """After sixteen rounds the next message ends in the queue's dead letters, and the control endpoint names it."""
    dead = new_queue(fresh_aws, "dead")
    source = new_queue(fresh_aws, "source", **redrive(dead, 3))
    function = new_function(fresh_aws, relaying(seen, source))
    new_mapping(fresh_aws, source, function)

    told = len(fresh_aws.log_path.read_text())
    source.send("round")

    letter, rounds = dead.first(), seen.take(16) + seen.messages()
    (stopped,) = fresh_aws.control("GET", "/_local/lambda/loops")["stopped"]
    assert (letter["Body"], letter["MessageId"]) == ("round", stopped["message"])
    assert letter["Attributes"]["DeadLetterQueueSourceArn"] == source.arn
    assert len(rounds) == 16
    assert (stopped["function"], stopped["queue"], stopped["dead_letters"]) == ("function", source.arn, dead.arn)
    assert "recursive loop: function has run 16 times" in fresh_aws.log_path.read_text()[told:]


def test_a_loop_through_a_second_function_is_stopped_too(fresh_aws: LocalAws, seen: Queue) -> None:
    """Each function is counted by itself: the first to come round for the seventeenth time is stopped."""
    one, two = (new_queue(fresh_aws, name) for name in ("one", "two"))
    for name, source, target in (("first", one, two), ("second", two, one)):
        new_mapping(fresh_aws, source, new_function(fresh_aws, relaying(seen, target), name=name))

    one.send("round")

    stopped = eventually(lambda: fresh_aws.control("GET", "/_local/lambda/loops")["stopped"], "a stop", within_s=30)
    assert [(each["function"], each["dead_letters"]) for each in stopped] == [("first", None)]
    assert len(seen.take(32)) == 32


def test_separate_chains_are_no_loop(fresh_aws: LocalAws, seen: Queue) -> None:
    """Forty messages from outside, each handled once and passed on, have nothing to do with each other."""
    source, other = new_queue(fresh_aws, "source"), new_queue(fresh_aws, "other")
    new_mapping(fresh_aws, source, new_function(fresh_aws, relaying(seen, other)), BatchSize=1)

    for number in range(40):
        source.send(str(number))

    assert len(seen.take(40, within_s=30)) == 40
    assert fresh_aws.control("GET", "/_local/lambda/loops")["stopped"] == []


def relaying(seen: Queue, target: Queue) -> str:
    """Code of a function that reports each message and sends it on."""
    return (
        "import boto3\n"
        "sqs = boto3.client('sqs')\n"
        "def handler(event, context):\n"
        "    for record in event['Records']:\n"
        f"        for url in ({seen.url!r}, {target.url!r}):\n"
        "            sqs.send_message(QueueUrl=url, MessageBody=record['body'])\n"
    )


def provisioned(aws: LocalAws, properties: dict[str, Any]) -> str:
    """Make a mapping by a template; why it failed, or nothing."""
    resource = {"Type": "AWS::Lambda::EventSourceMapping", "Properties": properties}
    status = stacks.deploy(aws, "mapping", {"Mapping": resource})
    return "" if status == "CREATE_COMPLETE" else stacks.reasons_of(aws, "mapping")
