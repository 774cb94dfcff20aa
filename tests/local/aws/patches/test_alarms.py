"""Alarms look at their metric every second and tell their topic, if the topic's key lets them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.aws.bundles import new_function
from tests.local.aws.hierarchies import eventually
from tests.local.aws.stacks import deploy

if TYPE_CHECKING:
    from local.running_aws import LocalAws

MESH = [{"Name": "mesh", "Value": "color"}]


@dataclass(frozen=True)
class Inbox:
    """A topic and the queue that subscribes to it."""

    aws: LocalAws
    topic: str
    url: str

    def first(self) -> tuple[str, str] | None:
        """Name and new state in the oldest message, taken out; None if there is none."""
        sqs = self.aws.client("sqs")
        found = sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=1).get("Messages", [])
        if not found:
            return None
        sqs.delete_message(QueueUrl=self.url, ReceiptHandle=found[0]["ReceiptHandle"])
        alarm = json.loads(json.loads(found[0]["Body"])["Message"])
        return alarm["AlarmName"], alarm["NewStateValue"]


def new_inbox(aws: LocalAws, **attributes: str) -> Inbox:
    """A topic with these attributes, and a queue behind it."""
    topic = aws.client("sns").create_topic(Name="alarms", Attributes=attributes)["TopicArn"]
    return subscribed(aws, topic)


def subscribed(aws: LocalAws, topic: str) -> Inbox:
    """A queue behind a topic."""
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName="inbox")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": _policy("sns.amazonaws.com", "sqs:SendMessage", arn)})
    aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return Inbox(aws, topic, url)


def new_alarm(aws: LocalAws, inbox: Inbox | None = None, **more: Any) -> None:
    """The alarm ``failures``: at one failure of the mesh, looking back one period of ten seconds."""
    actions = [inbox.topic] if inbox else []
    arguments = {
        "AlarmName": "failures",
        "Namespace": "meshcert",
        "MetricName": "failed",
        "Dimensions": MESH,
        "Statistic": "Maximum",
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "Period": 10,
        "EvaluationPeriods": 1,
        "TreatMissingData": "notBreaching",
        "AlarmActions": actions,
        "OKActions": actions,
    }
    aws.client("cloudwatch").put_metric_alarm(**{**arguments, **more})


def fail(aws: LocalAws, value: float = 1, mesh: str = "color") -> None:
    """One point of the metric."""
    datum = {"MetricName": "failed", "Value": value, "Dimensions": [{"Name": "mesh", "Value": mesh}]}
    aws.client("cloudwatch").put_metric_data(Namespace="meshcert", MetricData=[{**datum, "StorageResolution": 1}])


def state(aws: LocalAws, name: str = "failures") -> str:
    """The alarm's state."""
    found = aws.client("cloudwatch").describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    return str((found["MetricAlarms"] + found["CompositeAlarms"])[0]["StateValue"])


def test_an_alarm_rises_at_once_and_calms_down_by_itself(fresh_aws: LocalAws) -> None:
    """OK without data, ALARM with the first breach, OK again when the evaluation range has gone by."""
    inbox = new_inbox(fresh_aws)
    new_alarm(fresh_aws, inbox, Period=1)
    eventually(lambda: state(fresh_aws) == "OK", "OK without data")

    fail(fresh_aws)

    eventually(lambda: state(fresh_aws) == "ALARM", "ALARM", within_s=3)
    eventually(lambda: state(fresh_aws) == "OK", "OK again")
    assert [eventually(inbox.first, "a message") for _ in range(3)] == [
        ("failures", "OK"),
        ("failures", "ALARM"),
        ("failures", "OK"),
    ]


def test_other_dimensions_are_another_metric(fresh_aws: LocalAws) -> None:
    """The failure of another mesh is not ours."""
    new_alarm(fresh_aws)
    fail(fresh_aws, mesh="other")
    fail(fresh_aws, value=0)

    eventually(lambda: state(fresh_aws) == "OK", "OK")
    fail(fresh_aws)
    eventually(lambda: state(fresh_aws) == "ALARM", "ALARM")


@pytest.mark.parametrize(
    ("missing", "expected"),
    [("missing", "INSUFFICIENT_DATA"), ("breaching", "ALARM"), ("notBreaching", "OK")],
)
def test_silence_is_what_the_alarm_says_it_is(fresh_aws: LocalAws, missing: str, expected: str) -> None:
    """A metric that never had a point."""
    new_alarm(fresh_aws, TreatMissingData=missing)
    new_alarm(fresh_aws, AlarmName="marker", TreatMissingData="breaching")

    eventually(lambda: state(fresh_aws, "marker") == "ALARM", "an evaluation")

    assert state(fresh_aws) == expected


def test_a_function_that_fails_raises_lambdas_own_alarm(fresh_aws: LocalAws) -> None:
    """AWS/Lambda Errors, and a metric inside the function's log line."""
    line = {"Namespace": "meshcert", "Dimensions": [["mesh"]], "Metrics": [{"Name": "failed"}]}
    code = (
        "import json, time\n"
        "def handler(event, context):\n"
        f"    metadata = {{'Timestamp': int(time.time() * 1000), 'CloudWatchMetrics': [{line!r}]}}\n"
        "    print(json.dumps({'_aws': metadata, 'mesh': 'color', 'failed': 1}))\n"
        "    raise RuntimeError('no luck')\n"
    )
    new_function(fresh_aws, "failing", code, [{"Effect": "Deny", "Action": "*", "Resource": "*"}])
    errors: dict[str, Any] = {"Namespace": "AWS/Lambda", "MetricName": "Errors", "Statistic": "Sum", "Period": 60}
    dimensions = [{"Name": "FunctionName", "Value": "failing"}]
    new_alarm(fresh_aws, AlarmName="errors", Dimensions=dimensions, **errors)
    new_alarm(fresh_aws, Period=60)

    fresh_aws.client("lambda").invoke(FunctionName="failing", Payload=b"{}")

    eventually(lambda: {state(fresh_aws, name) for name in ("errors", "failures")} == {"ALARM"}, "both in ALARM")


@pytest.mark.parametrize(
    ("actions", "arrives"),
    [(["kms:GenerateDataKey*", "kms:Decrypt"], True), (["kms:GenerateDataKey*"], False), ([], False)],
)
def test_an_encrypted_topic_needs_a_key_that_lets_cloudwatch_in(
    fresh_aws: LocalAws, actions: list[str], *, arrives: bool
) -> None:
    """Else nothing is published, and the alarm's history and the log say why."""
    kms = fresh_aws.client("kms")
    policy = _policy("cloudwatch.amazonaws.com", actions or "kms:Nothing", "*")
    key = kms.create_key(Policy=policy, BypassPolicyLockoutSafetyCheck=True)["KeyMetadata"]["Arn"]
    inbox = new_inbox(fresh_aws, KmsMasterKeyId=key)
    new_alarm(fresh_aws, inbox, OKActions=[])

    told = len(fresh_aws.log_path.read_text())
    fail(fresh_aws)

    [action] = eventually(lambda: _actions(fresh_aws), "an action")
    assert inbox.first() == (("failures", "ALARM") if arrives else None)
    refusal = "CloudWatch Alarms does not have authorization to access the SNS topic encryption key."
    assert action.startswith("Successfully executed" if arrives else "Failed to execute")
    assert (refusal in action) is not arrives
    assert arrives or refusal in fresh_aws.log_path.read_text()[told:]


def test_a_topics_own_policy_must_let_cloudwatch_publish(fresh_aws: LocalAws) -> None:
    """The default policy does; one that only refuses plain HTTP does not."""
    inbox = new_inbox(fresh_aws)
    deny: dict[str, Any] = {"Effect": "Deny", "Principal": "*", "Action": "sns:Publish", "Resource": inbox.topic}
    deny["Condition"] = {"Bool": {"aws:SecureTransport": "false"}}
    fresh_aws.client("sns").set_topic_attributes(
        TopicArn=inbox.topic,
        AttributeName="Policy",
        AttributeValue=json.dumps({"Version": "2012-10-17", "Statement": [deny]}),
    )
    new_alarm(fresh_aws, inbox, OKActions=[])

    fail(fresh_aws)

    [action] = eventually(lambda: _actions(fresh_aws), "an action")
    assert "cloudwatch.amazonaws.com is not authorized to perform: SNS:Publish" in action
    assert inbox.first() is None


def test_a_composite_alarm_follows_its_parts(fresh_aws: LocalAws) -> None:
    """Of two alarms in one rule."""
    new_alarm(fresh_aws)
    rule = 'ALARM("failures")'
    fresh_aws.client("cloudwatch").put_composite_alarm(AlarmName="any", AlarmRule=rule)
    eventually(lambda: state(fresh_aws, "any") == "OK", "OK")

    fail(fresh_aws)

    eventually(lambda: state(fresh_aws, "any") == "ALARM", "ALARM")


def test_a_template_makes_alarm_topic_key_and_dashboard(fresh_aws: LocalAws) -> None:
    """As the CDK writes them; the topic keeps its key, and the message arrives."""
    allow = json.loads(_policy("cloudwatch.amazonaws.com", ["kms:GenerateDataKey*", "kms:Decrypt"], "*"))
    owner = {"Effect": "Allow", "Principal": {"AWS": {"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:root"}}}
    allow["Statement"].append({**owner, "Action": "kms:*", "Resource": "*"})
    alarm = {
        "AlarmName": "failures",
        "Namespace": "meshcert",
        "MetricName": "failed",
        "Dimensions": MESH,
        "Statistic": "Maximum",
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "Period": 300,
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": 1,
        "TreatMissingData": "notBreaching",
        "AlarmActions": [{"Ref": "Topic"}],
    }
    resources = {
        "Key": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": allow}},
        "Topic": {
            "Type": "AWS::SNS::Topic",
            "Properties": {"TopicName": "alarms", "KmsMasterKeyId": {"Fn::GetAtt": ["Key", "Arn"]}},
        },
        "Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": alarm},
        "Dashboard": {
            "Type": "AWS::CloudWatch::Dashboard",
            "Properties": {"DashboardName": "mesh", "DashboardBody": '{"widgets": []}'},
        },
    }
    assert deploy(fresh_aws, "operations", resources) == "CREATE_COMPLETE"
    topic = f"arn:aws:sns:{fresh_aws.region}:{fresh_aws.account}:alarms"
    inbox = subscribed(fresh_aws, topic)

    fail(fresh_aws)

    assert eventually(inbox.first, "the message") == ("failures", "ALARM")
    attributes = fresh_aws.client("sns").get_topic_attributes(TopicArn=topic)["Attributes"]
    assert ":key/" in attributes["KmsMasterKeyId"]
    assert fresh_aws.client("cloudwatch").get_dashboard(DashboardName="mesh")["DashboardBody"] == '{"widgets": []}'


def test_history_tells_when_the_state_changed(fresh_aws: LocalAws) -> None:
    """Newest first, each once, although the alarm looks twice a second."""
    new_alarm(fresh_aws)
    eventually(lambda: state(fresh_aws) == "OK", "OK")
    fail(fresh_aws)
    eventually(lambda: state(fresh_aws) == "ALARM", "ALARM")
    time_of_evaluations = time.monotonic() + 1.5
    eventually(lambda: time.monotonic() > time_of_evaluations, "three more evaluations")

    history = fresh_aws.client("cloudwatch").describe_alarm_history(
        AlarmName="failures", HistoryItemType="StateUpdate"
    )["AlarmHistoryItems"]

    changes = [item["HistorySummary"] for item in history]
    assert changes[:2] == ["Alarm updated from OK to ALARM", "Alarm updated from INSUFFICIENT_DATA to OK"]
    assert changes.count("Alarm updated from OK to ALARM") == 1


def _actions(aws: LocalAws) -> list[str]:
    history = aws.client("cloudwatch").describe_alarm_history(AlarmName="failures", HistoryItemType="Action")
    return [item["HistorySummary"] for item in history["AlarmHistoryItems"]]


def _policy(service: str, action: str | list[str], resource: str) -> str:
    allow = {"Effect": "Allow", "Principal": {"Service": service}, "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [allow]})
