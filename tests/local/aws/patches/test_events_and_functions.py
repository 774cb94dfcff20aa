"""Events reach functions with retries and dead letters; functions run on their own and fail by their real names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.aws.triggers import Queue, new_function, new_queue, reporting

if TYPE_CHECKING:
    from local.running_aws import LocalAws

EVENT = {
    "Source": "aws.acm",
    "DetailType": "ACM Certificate Available",
    "Resources": ["arn:aws:acm:eu-west-1:111122223333:certificate/1"],
    "Detail": {"Action": "RENEWAL"},
}
RULE: dict[str, Any] = {"source": ["aws.acm"], "detail": {"Action": ["RENEWAL"]}}


def new_rule(
    aws: LocalAws, target: str, dead_letters: Queue | None = None, pattern: dict[str, Any] = RULE, **more: Any
) -> str:
    """A rule, by default for renewals, with one target; its ARN."""
    events = aws.client("events")
    arn = events.put_rule(Name="renewals", EventPattern=json.dumps(pattern))["RuleArn"]
    if dead_letters:
        more["DeadLetterConfig"] = {"Arn": dead_letters.arn}
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
    function = new_function(fresh_aws, reporting(seen, "raise RuntimeError('no luck')"), dead_letters=dead)
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
        ("import os\ndef handler(event, context): os._exit(1)", "Runtime.ExitError", "Runtime exited"),
    ],
    ids=["own exception", "builtin", "missing from the bundle", "process dies"],
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


RULE_ARN = "arn:aws:events:eu-west-1:111122223333:rule/renewals"


@pytest.mark.parametrize(
    ("allowed", "code"), [(RULE_ARN, ""), (f"{RULE_ARN}-others", "NO_PERMISSIONS")], ids=["this rule", "another rule"]
)
def test_a_queue_takes_events_from_the_rule_that_its_policy_names(fresh_aws: LocalAws, allowed: str, code: str) -> None:
    """aws:SourceArn is the rule's ARN; what the policy refuses ends in the rule's queue with the reason."""
    dead, seen = new_queue(fresh_aws, "dead"), new_queue(fresh_aws, "seen", allowed)
    new_rule(fresh_aws, seen.arn, dead)

    fresh_aws.control("POST", "/_local/events", [EVENT])

    arrived = (dead if code else seen).first()
    attributes = arrived.get("MessageAttributes", {})
    assert json.loads(arrived["Body"])["resources"] == EVENT["Resources"]
    assert attributes.get("ERROR_CODE", {}).get("StringValue", "") == code
    assert (attributes.get("TARGET_ARN", {}).get("StringValue") == seen.arn) is bool(code)
    assert (seen if code else dead).messages() == []


def test_a_queue_without_a_policy_gets_no_event(fresh_aws: LocalAws) -> None:
    """Nobody may send to it but the account's own principals; a deleted queue is NO_RESOURCE."""
    dead, seen = new_queue(fresh_aws, "dead"), new_queue(fresh_aws, "seen")
    new_rule(fresh_aws, seen.arn, dead)
    sqs = fresh_aws.client("sqs")

    sqs.set_queue_attributes(QueueUrl=seen.url, Attributes={"Policy": ""})
    fresh_aws.control("POST", "/_local/events", [EVENT])
    refused = dead.first()
    sqs.delete_queue(QueueUrl=seen.url)
    fresh_aws.control("POST", "/_local/events", [EVENT])
    missing = dead.first()

    codes = [letter["MessageAttributes"]["ERROR_CODE"]["StringValue"] for letter in (refused, missing)]
    assert codes == ["NO_PERMISSIONS", "NO_RESOURCE"]


def test_a_target_can_get_a_message_of_the_rules_making(fresh_aws: LocalAws) -> None:
    """InputTransformer takes values out of the event and puts them into a template."""
    seen = new_queue(fresh_aws, "seen")
    transformer = {
        "InputPathsMap": {"arns": "$.resources", "action": "$.detail.Action"},
        "InputTemplate": '{"look": <arns>, "because": "<action>"}',
    }
    new_rule(fresh_aws, seen.arn, InputTransformer=transformer)

    fresh_aws.control("POST", "/_local/events", [EVENT])

    assert json.loads(seen.first()["Body"]) == {"look": EVENT["Resources"], "because": "RENEWAL"}


@pytest.mark.parametrize(
    ("detail", "matches"),
    [
        ({"Action": [{"prefix": "REN"}]}, True),
        ({"Action": [{"prefix": "ISS"}]}, False),
        ({"Action": [{"anything-but": ["ISSUANCE"]}]}, True),
        ({"Action": [{"anything-but": ["RENEWAL"]}]}, False),
        ({"Exported": [{"exists": False}]}, True),
        ({"Action": [{"exists": True}], "Exported": [{"exists": True}]}, False),
    ],
    ids=["prefix", "other prefix", "anything but another", "anything but this", "absent", "present"],
)
def test_a_rule_matches_by_content(fresh_aws: LocalAws, detail: dict[str, Any], matches: bool) -> None:  # noqa: FBT001 - a case
    """prefix, anything-but and exists on fields of the detail."""
    seen = new_queue(fresh_aws, "seen")
    new_rule(fresh_aws, seen.arn, pattern={"source": ["aws.acm"], "detail": detail})

    fresh_aws.control("POST", "/_local/events", [EVENT])

    assert len(seen.messages()) == int(matches)
