"""Events reach functions with retries and dead letters; functions run on their own and fail by their real names."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.emulator.hierarchies import eventually
from tests.emulator.roles import new_role

if TYPE_CHECKING:
    from local.lab import LocalAws

EVENT = {
    "Source": "aws.acm",
    "DetailType": "ACM Certificate Available",
    "Resources": ["arn:aws:acm:eu-west-1:111122223333:certificate/1"],
    "Detail": {"Action": "RENEWAL"},
}
RULE = {"source": ["aws.acm"], "detail": {"Action": ["RENEWAL"]}}


@dataclass(frozen=True)
class Queue:
    """A queue that every service may send to."""

    aws: LocalAws
    url: str
    arn: str

    def messages(self) -> list[dict[str, Any]]:
        """What is in it, taken out."""
        sqs = self.aws.client("sqs")
        found = sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get(
            "Messages", []
        )
        for message in found:
            sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return list(found)

    def first(self) -> dict[str, Any]:
        """Its first message, as soon as there is one."""
        return eventually(self.messages, "a message", within_s=15)[0]


def new_queue(aws: LocalAws, name: str) -> Queue:
    """A queue whose policy lets EventBridge send."""
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{**allow, "Resource": arn}]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return Queue(aws, url, arn)


def new_function(aws: LocalAws, code: str, dead_letters: Queue | None = None) -> str:
    """A function that may send to every queue; its ARN."""
    rights = [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}]
    bundle = io.BytesIO()
    with zipfile.ZipFile(bundle, "w") as archive:
        archive.writestr("handler.py", code)
    more = {"DeadLetterConfig": {"TargetArn": dead_letters.arn}} if dead_letters else {}
    created = aws.client("lambda").create_function(
        FunctionName="function",
        Runtime="python3.13",
        Handler="handler.handler",
        Role=new_role(aws, "function", rights, "lambda.amazonaws.com"),
        Code={"ZipFile": bundle.getvalue()},
        Timeout=20,
        **more,
    )
    return str(created["FunctionArn"])


def new_rule(aws: LocalAws, target: str, dead_letters: Queue | None = None) -> str:
    """A rule for renewals with one target; its ARN."""
    events = aws.client("events")
    arn = events.put_rule(Name="renewals", EventPattern=json.dumps(RULE))["RuleArn"]
    more = {"DeadLetterConfig": {"Arn": dead_letters.arn}} if dead_letters else {}
    events.put_targets(Rule="renewals", Targets=[{"Id": "target", "Arn": target, **more}])
    return str(arn)


def permit(aws: LocalAws, function: str, rule: str) -> None:
    """Let a rule invoke a function."""
    aws.client("lambda").add_permission(
        FunctionName=function,
        StatementId="rule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule,
    )


def reporting(queue: Queue, then: str = "") -> str:
    """Code of a function that sends its event to a queue, and then does something else."""
    return (
        "import boto3, json\n"
        "def handler(event, context):\n"
        f"    boto3.client('sqs').send_message(QueueUrl={queue.url!r}, MessageBody=json.dumps(event))\n"
        f"    {then}\n"
    )


def test_an_event_of_a_service_reaches_a_function_through_a_rule(fresh_aws: LocalAws) -> None:
    """The whole event, with the ARN in resources."""
    seen = new_queue(fresh_aws, "seen")
    function = new_function(fresh_aws, reporting(seen))
    permit(fresh_aws, function, new_rule(fresh_aws, function))

    fresh_aws.control("POST", "/_local/events", [EVENT, {**EVENT, "Detail": {"Action": "ISSUANCE"}}])

    event = json.loads(seen.first()["Body"])
    assert event["source"] == "aws.acm"
    assert event["resources"] == EVENT["Resources"]
    assert event["detail"] == EVENT["Detail"]
    assert seen.messages() == []


def test_a_failing_function_is_tried_again_and_its_event_ends_in_its_queue(fresh_aws: LocalAws) -> None:
    """Two attempts with one retry; the dead letter is the event itself with the error beside it."""
    seen, dead = new_queue(fresh_aws, "seen"), new_queue(fresh_aws, "dead")
    function = new_function(fresh_aws, reporting(seen, "raise RuntimeError('no luck')"), dead)
    fresh_aws.client("lambda").put_function_event_invoke_config(FunctionName=function, MaximumRetryAttempts=1)
    permit(fresh_aws, function, new_rule(fresh_aws, function))

    fresh_aws.control("POST", "/_local/events", [EVENT])

    letter = dead.first()
    assert json.loads(letter["Body"])["detail"] == EVENT["Detail"]
    assert letter["MessageAttributes"]["ErrorMessage"]["StringValue"] == "no luck"
    assert len(seen.messages()) == 2


def test_a_target_out_of_reach_ends_in_the_rules_queue(fresh_aws: LocalAws) -> None:
    """Missing function: NO_RESOURCE. Function that the rule may not invoke: NO_PERMISSIONS."""
    dead, seen = new_queue(fresh_aws, "dead"), new_queue(fresh_aws, "seen")
    function = new_function(fresh_aws, reporting(seen))
    rule = new_rule(fresh_aws, function, dead)

    fresh_aws.control("POST", "/_local/events", [EVENT])
    forbidden = dead.first()
    fresh_aws.client("lambda").delete_function(FunctionName="function")
    fresh_aws.control("POST", "/_local/events", [EVENT])
    missing = dead.first()

    codes = [letter["MessageAttributes"]["ERROR_CODE"]["StringValue"] for letter in (forbidden, missing)]
    assert codes == ["NO_PERMISSIONS", "NO_RESOURCE"]
    assert missing["MessageAttributes"]["RULE_ARN"]["StringValue"] == rule
    assert json.loads(missing["Body"])["resources"] == EVENT["Resources"]
    assert seen.messages() == []


@pytest.mark.parametrize(
    ("code", "error_type", "message"),
    [
        ("class Rejected(Exception): ...\ndef handler(event, context): raise Rejected('no')", "Rejected", "no"),
        ("def handler(event, context): return {}['identity']", "KeyError", "'identity'"),
        ("import cryptography\ndef handler(event, context): ...", "Runtime.ImportModuleError", "No module named"),
    ],
    ids=["own exception", "builtin", "missing from the bundle"],
)
def test_an_error_has_the_name_of_the_exception(fresh_aws: LocalAws, code: str, error_type: str, message: str) -> None:
    """What Step Functions, alarms and tests match on; and functions see boto3 only, as on AWS."""
    new_function(fresh_aws, code)

    answer = fresh_aws.client("lambda").invoke(FunctionName="function", Payload=b"{}")

    payload = json.loads(answer["Payload"].read())
    assert answer["FunctionError"] == "Unhandled"
    assert payload["errorType"] == error_type
    assert message in payload["errorMessage"]


def test_a_function_sees_its_own_environment_only(fresh_aws: LocalAws) -> None:
    """Nothing of the environment in which the tests run gets into a function; boto3 finds the API by itself."""
    new_function(fresh_aws, "import os\ndef handler(event, context): return dict(os.environ)")

    answer = fresh_aws.client("lambda").invoke(FunctionName="function", Payload=b"{}")

    environment = json.loads(answer["Payload"].read())
    assert environment["AWS_ENDPOINT_URL"] == fresh_aws.endpoint
    assert environment["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert not {"MESHCERT_LOCAL_PYTHON", "PYTEST_CURRENT_TEST", "VIRTUAL_ENV"} & set(environment)
