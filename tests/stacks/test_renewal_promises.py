"""Promises of the renewal stack: what triggers looks, which failures are kept, and how people are notified."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from aws_cdk import Stack
from aws_cdk import aws_sqs as sqs
from aws_cdk.assertions import Template

from meshcert.issuing.acm import ACM
from meshcert.lifecycle.deciding.findings import Kind, remedies
from stacks.constructs.triggers import ClockSchedules
from stacks.renewal import looks_at_once
from stacks.runbook import alarms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stacks.synthesis import Resource, Templates

QUEUES = {
    # name → seconds hidden, tries
    "meshcert-color-looks": (720, 5),
    "meshcert-color-orders": (150, 10),
    "meshcert-color-dispatch": (360, 3),
}
FOR_FAILURES = {
    "meshcert-color-looks-dead-letters",
    "meshcert-color-orders-dead-letters",
    "meshcert-color-dispatch-dead-letters",
    "meshcert-color-deploy-dead-letters",
    "meshcert-color-undelivered",
}


def _queues(templates: Templates) -> dict[str, Resource]:
    return {queue.properties["QueueName"]: queue for queue in templates.resources("AWS::SQS::Queue")}


def _queue_names(templates: Templates) -> dict[str, str]:
    """Logical id → name."""
    return {queue.logical_id: name for name, queue in _queues(templates).items()}


def _alarms(templates: Templates) -> dict[str, dict[str, Any]]:
    prefix = "meshcert-color-"
    return {
        alarm.properties["AlarmName"].removeprefix(prefix): alarm.properties
        for alarm in templates.resources("AWS::CloudWatch::Alarm")
    }


def _patterns(templates: Templates) -> Iterator[dict[str, Any]]:
    """The patterns, with parameters in ARNs as their names."""
    return (_written_out(rule.properties["EventPattern"]) for rule in templates.resources("AWS::Events::Rule"))


def _written_out(value: Any) -> Any:
    if isinstance(value, list):
        return [_written_out(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "Fn::Join" in value:
        separator, parts = value["Fn::Join"]
        return separator.join(part if isinstance(part, str) else part["Ref"] for part in parts)
    return {key: _written_out(item) for key, item in value.items()}


def test_rules_hear_of_certificates_deployments_and_stopped_tasks(templates: Templates) -> None:
    """Each source and type is written as AWS sends it."""
    heard = {
        (source, kind): pattern.get("detail", {})
        for pattern in _patterns(templates)
        for source in pattern["source"]
        for kind in pattern["detail-type"]
    }

    assert heard == {
        ("aws.acm", "ACM Certificate Available"): {},
        ("aws.acm", "ACM Certificate Approaching Expiration"): {},
        ("aws.acm", "ACM Certificate Expired"): {},
        ("aws.acm", "ACM Certificate Renewal Action Required"): {},
        ("aws.acm", "ACM Certificate Revoked"): {},
        ("aws.acm", "ACM Certificate Rotated"): {},
        ("aws.health", "AWS Health Event"): {
            "service": ["ACM"],
            "eventTypeCode": ["AWS_ACM_RENEWAL_STATE_CHANGE", "AWS_ACM_RENEWAL_FAILURE"],
        },
        ("aws.ecs", "ECS Deployment State Change"): {},
        ("aws.ecs", "ECS Task State Change"): {
            "desiredStatus": ["STOPPED"],
            "clusterArn": ["arn:AWS::Partition:ecs:AWS::Region:AWS::AccountId:cluster/meshcert-color"],
            "group": [{"prefix": "service:"}],
        },
    }


def test_rules_hear_of_their_own_account_alone(templates: Templates) -> None:
    """Without it a rule matches what other accounts send to the bus, too (EventBridge guide, "Event buses")."""
    assert {str(pattern["account"]) for pattern in _patterns(templates)} == {"[{'Ref': 'AWS::AccountId'}]"}


def test_rules_name_no_certificate_and_of_ecs_the_meshs_cluster_alone(templates: Templates) -> None:
    """A replaced certificate is not missed; ECS sends every task's events, and other teams' are none of ours."""
    resources = {
        tuple(pattern["detail-type"]): pattern["resources"]
        for pattern in _patterns(templates)
        if "resources" in pattern
    }

    assert resources == {
        ("ECS Deployment State Change",): [
            {"prefix": "arn:AWS::Partition:ecs:AWS::Region:AWS::AccountId:service/meshcert-color/"}
        ]
    }


def test_rules_deliver_to_the_looks_queue_and_keep_what_they_cannot(templates: Templates) -> None:
    """Tried again for a day, then kept; both queues let these rules in, and no other service."""
    names = _queue_names(templates)
    rules = {rule.logical_id for rule in templates.resources("AWS::Events::Rule")}
    for rule in templates.resources("AWS::Events::Rule"):
        (target,) = rule.properties["Targets"]
        assert names[target["Arn"]["Fn::GetAtt"][0]] == "meshcert-color-looks"
        assert names[target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0]] == "meshcert-color-undelivered"
        assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}

    admitted: dict[str, set[str]] = {}
    for policy in templates.resources("AWS::SQS::QueuePolicy"):
        (queue,) = policy.properties["Queues"]
        for statement in policy.properties["PolicyDocument"]["Statement"]:
            if statement["Effect"] == "Allow":
                assert statement["Principal"] == {"Service": "events.amazonaws.com"}
                (source,) = statement["Condition"]["ArnEquals"].values()
                admitted.setdefault(names[queue["Ref"]], set()).add(source["Fn::GetAtt"][0])
    assert admitted == {"meshcert-color-looks": rules, "meshcert-color-undelivered": rules}


@pytest.mark.parametrize(("name", "expression"), [("tick", "rate(1 minute)"), ("sweep", "rate(1 hour)")])
def test_the_clock_sends_what_the_dispatch_function_reads(templates: Templates, name: str, expression: str) -> None:
    """Exactly on time, to the dispatch queue, with retries and a queue for what was not delivered."""
    (schedule,) = (
        schedule.properties
        for schedule in templates.resources("AWS::Scheduler::Schedule")
        if schedule.properties["Name"] == f"meshcert-color-{name}"
    )
    names, target = _queue_names(templates), schedule["Target"]

    assert schedule["ScheduleExpression"] == expression
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert schedule.get("State", "ENABLED") == "ENABLED"
    assert names[target["Arn"]["Fn::GetAtt"][0]] == "meshcert-color-dispatch"
    assert json.loads(target["Input"]) == {"dispatch": name}
    assert target["RetryPolicy"]["MaximumRetryAttempts"] == 10
    assert names[target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0]] == "meshcert-color-undelivered"


def test_a_large_fleet_is_swept_in_parts_over_the_hour() -> None:
    """The looks of one sweep would else come faster than ACM answers."""
    stack = Stack()
    queues = [sqs.Queue(stack, name) for name in ("Dispatch", "Undelivered")]
    ClockSchedules(stack, "Clock", mesh="color", identities=10_000, target=queues[0], undelivered=queues[1])

    found = Template.from_stack(stack).find_resources("AWS::Scheduler::Schedule").values()

    assert {
        each["Properties"]["Name"]: (each["Properties"]["ScheduleExpression"], each["Properties"]["Target"]["Input"])
        for each in found
    } == {
        "meshcert-color-tick": ("rate(1 minute)", '{"dispatch": "tick"}'),
        "meshcert-color-sweep-1": ("cron(0 * * * ? *)", '{"dispatch": "sweep", "part": 0, "parts": 3}'),
        "meshcert-color-sweep-2": ("cron(20 * * * ? *)", '{"dispatch": "sweep", "part": 1, "parts": 3}'),
        "meshcert-color-sweep-3": ("cron(40 * * * ? *)", '{"dispatch": "sweep", "part": 2, "parts": 3}'),
    }


def test_queues_hide_a_message_longer_than_its_function_runs_and_give_up_at_last(templates: Templates) -> None:
    """Lambda refuses a mapping otherwise; what was tried often enough becomes a dead letter."""
    queues, names = _queues(templates), _queue_names(templates)
    for name, (hidden_s, tries) in QUEUES.items():
        properties = queues[name].properties
        redrive = properties["RedrivePolicy"]
        assert (properties["VisibilityTimeout"], redrive["maxReceiveCount"]) == (hidden_s, tries), name
        assert names[redrive["deadLetterTargetArn"]["Fn::GetAtt"][0]] == f"{name}-dead-letters"
    functions = {function.logical_id: function.properties for function in templates.resources("AWS::Lambda::Function")}
    for mapping in templates.resources("AWS::Lambda::EventSourceMapping"):
        queue = names[mapping.properties["EventSourceArn"]["Fn::GetAtt"][0]]
        assert functions[mapping.properties["FunctionName"]["Ref"]]["Timeout"] <= QUEUES[queue][0]


def test_every_queue_is_one_of_these_encrypted_and_closed_to_plain_text(templates: Templates) -> None:
    """With SQS's own key, so that EventBridge and Scheduler can write; over TLS only."""
    queues = _queues(templates)
    refusing = {
        policy.properties["Queues"][0]["Ref"]
        for policy in templates.resources("AWS::SQS::QueuePolicy")
        for statement in policy.properties["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny" and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    }

    assert set(queues) == set(QUEUES) | FOR_FAILURES
    for name, queue in queues.items():
        assert queue.properties["SqsManagedSseEnabled"] is True, name
        assert queue.logical_id in refusing, name
    for name in FOR_FAILURES:
        assert queues[name].properties["MessageRetentionPeriod"] == 14 * 86400


def test_functions_take_messages_one_by_one_and_say_whether_they_failed(templates: Templates) -> None:
    """A small mesh takes few of the ten functions that a new account may run at once."""
    names = _queue_names(templates)
    functions = {
        function.logical_id: function.properties["FunctionName"]
        for function in templates.resources("AWS::Lambda::Function")
    }
    mappings = {}
    for mapping in templates.resources("AWS::Lambda::EventSourceMapping"):
        properties = mapping.properties
        assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert properties.get("Enabled", True) is True
        mappings[names[properties["EventSourceArn"]["Fn::GetAtt"][0]]] = (
            functions[properties["FunctionName"]["Ref"]],
            properties["BatchSize"],
            properties["ScalingConfig"]["MaximumConcurrency"],
        )

    assert mappings == {
        "meshcert-color-looks": ("meshcert-color-renewal", 1, 2),
        "meshcert-color-orders": ("meshcert-color-renewal", 1, 2),
        "meshcert-color-dispatch": ("meshcert-color-dispatch", 1, 2),
    }


@pytest.mark.parametrize(("identities", "expected"), [(0, 2), (2, 2), (20, 3), (57, 4), (160, 10), (1_000, 10)])
def test_more_identities_are_looked_at_side_by_side(identities: int, expected: int) -> None:
    """Each look may need the export function besides; more than ten would only wait for ACM."""
    assert looks_at_once(identities) == expected


def test_a_function_may_receive_before_its_mapping_is_made(templates: Templates) -> None:
    """Lambda asks for the right when it makes the mapping; the mapping waits for the function, that for its rights."""
    policies = {
        role["Ref"]: policy.logical_id
        for policy in templates.resources("AWS::IAM::Policy")
        if "Rights" in policy.logical_id
        for role in policy.properties["Roles"]
    }
    for function in templates.resources("AWS::Lambda::Function"):
        assert policies[function.properties["Role"]["Fn::GetAtt"][0]] in function.definition["DependsOn"]


def test_the_audit_is_kept_for_ten_years(templates: Templates) -> None:
    """Other log groups go after a year or less."""
    kept = {
        group.properties["LogGroupName"]: group.properties["RetentionInDays"]
        for group in templates.resources("AWS::Logs::LogGroup")
    }

    assert kept.pop("/meshcert/color/audit") == 3653
    assert max(kept.values()) == 365


def test_cloudwatch_may_really_tell_people_of_an_alarm(templates: Templates) -> None:
    """It may publish to the topic and use the topic's key, for alarms of this account; else nobody hears of them."""
    (topic,) = templates.resources("AWS::SNS::Topic")
    (policy,) = templates.resources("AWS::SNS::TopicPolicy")
    (key,) = (key for key in templates.resources("AWS::KMS::Key") if key.stack == "renewal")
    here = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}

    def granted(statements: list[dict[str, Any]]) -> list[Any]:
        for_alarms = [each for each in statements if each["Principal"] == {"Service": "cloudwatch.amazonaws.com"}]
        (statement,) = for_alarms
        assert (statement["Effect"], statement["Condition"]) == ("Allow", here)
        return [statement["Action"], statement["Resource"]]

    assert topic.properties["TopicName"] == "meshcert-color-alarms"
    assert topic.properties["KmsMasterKeyId"] == {"Fn::GetAtt": [key.logical_id, "Arn"]}
    assert granted(key.properties["KeyPolicy"]["Statement"]) == [["kms:Decrypt", "kms:GenerateDataKey*"], "*"]
    assert policy.properties["Topics"] == [{"Ref": topic.logical_id}]
    assert granted(policy.properties["PolicyDocument"]["Statement"]) == ["sns:Publish", {"Ref": topic.logical_id}]


def test_every_alarm_tells_the_topic_of_its_begin_and_end(templates: Templates) -> None:
    """The topic admits CloudWatch before the first alarm finds its state."""
    (topic,) = templates.resources("AWS::SNS::Topic")
    (policy,) = templates.resources("AWS::SNS::TopicPolicy")
    for alarm in templates.resources("AWS::CloudWatch::Alarm"):
        assert alarm.properties["AlarmActions"] == [{"Ref": topic.logical_id}]
        assert alarm.properties["OKActions"] == [{"Ref": topic.logical_id}]
        assert policy.logical_id in alarm.definition["DependsOn"]


def test_every_alarm_says_what_it_means_and_what_to_do(templates: Templates) -> None:
    """The runbook's line is the alarm's description, so that it stands in the message that wakes somebody."""
    found = _alarms(templates)

    assert set(found) == {row.name for row in alarms("color")}
    for row in alarms("color"):
        assert found[row.name]["AlarmDescription"] == row.description
        assert ". What to do: " in row.description
        # CloudWatch takes 1,024 characters.
        assert len(row.description) < 1024


@pytest.mark.parametrize("kind", list(Kind))
def test_every_finding_has_an_alarm_with_its_remedy(templates: Templates, kind: Kind) -> None:
    """A finding of an hourly look keeps the alarm on until the next sweep."""
    alarm = _alarms(templates)[kind.value]

    assert (alarm["Namespace"], alarm["MetricName"]) == ("meshcert", kind.value)
    assert alarm["Dimensions"] == [{"Name": "mesh", "Value": "color"}]
    assert (alarm["Statistic"], alarm["Threshold"]) == ("Sum", 1)
    assert remedies(ACM)[kind] in alarm["AlarmDescription"]
    assert alarm["TreatMissingData"] == "notBreaching"
    if kind not in {Kind.AWS_DENIED, Kind.AWS_UNAVAILABLE}:
        assert alarm["DatapointsToAlarm"] == 1
        assert alarm["Period"] * alarm["EvaluationPeriods"] > 3600


@pytest.mark.parametrize(
    ("name", "metric", "percent"),
    [
        ("IssuedLifetimeGone88", "IssuedLifetimeGone", 88),
        ("PublishedLifetimeGone90", "PublishedLifetimeGone", 90),
        ("PublishedLifetimeGone95", "PublishedLifetimeGone", 95),
        ("ServedLifetimeGone90", "ServedLifetimeGone", 90),
        ("ServedLifetimeGone95", "ServedLifetimeGone", 95),
    ],
)
def test_the_oldest_certificate_sets_an_alarm_off(templates: Templates, name: str, metric: str, percent: int) -> None:
    """At the fractions of a lifetime that the design names; ACM itself renews at 84.8 %."""
    alarm = _alarms(templates)[name]

    assert (alarm["MetricName"], alarm["Statistic"], alarm["Threshold"]) == (metric, "Maximum", percent)
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"


@pytest.mark.parametrize(
    ("name", "metric", "within_s"), [("TickMissed", "Ticks", 600), ("SweepMissed", "Sweeps", 7200)]
)
def test_silence_of_the_clock_is_an_alarm(templates: Templates, name: str, metric: str, within_s: int) -> None:
    """A missing figure counts as bad, because the sender itself may have failed."""
    alarm = _alarms(templates)[name]

    assert (alarm["MetricName"], alarm["TreatMissingData"]) == (metric, "breaching")
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert alarm["Period"] * alarm["EvaluationPeriods"] == within_s


@pytest.mark.parametrize(
    ("name", "metric", "statistic", "least"),
    [("IdentitiesMissing", "Identities", "Maximum", 2), ("LooksMissed", "Looks", "Sum", 1)],
)
def test_a_lifecycle_that_looks_at_nothing_is_an_alarm(
    templates: Templates, name: str, metric: str, statistic: str, least: int
) -> None:
    """Two hours with fewer identities than the mesh file declares, or without a look; silence is as bad."""
    alarm = _alarms(templates)[name]

    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == ("meshcert", metric, statistic)
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", least)
    assert (alarm["Period"], alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (3600, 2, 2)
    assert alarm["TreatMissingData"] == "breaching"


def test_a_mesh_without_identities_is_not_expected_to_be_looked_at() -> None:
    """CAs alone need no looks, but the clock is still watched."""
    names = {alarm.name for alarm in alarms("color", identities=0)}

    assert not names & {"IdentitiesMissing", "LooksMissed"}
    assert {"TickMissed", "SweepMissed"} <= names


def test_bad_material_and_refused_calls_are_two_alarms(templates: Templates) -> None:
    """One is about a certificate, the other about rights."""
    found = _alarms(templates)

    assert [found[name]["MetricName"] for name in ("Rejected", "Refused")] == ["Rejected", "Refused"]
    assert "pre-flight" in found["Rejected"]["AlarmDescription"]
    assert "AWS denies a call" in found["Refused"]["AlarmDescription"]


def test_every_queue_for_failures_is_watched_and_every_other_queues_age(templates: Templates) -> None:
    """By their names; of a queue that nobody touches SQS tells nothing more, and the alarm stays as it was."""
    watched: dict[str, set[str]] = {}
    for alarm in _alarms(templates).values():
        if alarm["Namespace"] == "AWS/SQS":
            (dimension,) = alarm["Dimensions"]
            watched.setdefault(alarm["MetricName"], set()).add(dimension["Value"])
            if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible":
                assert (alarm["Threshold"], alarm["TreatMissingData"]) == (1, "ignore")

    assert watched == {
        "ApproximateNumberOfMessagesVisible": FOR_FAILURES,
        "ApproximateAgeOfOldestMessage": set(QUEUES),
    }


def test_every_functions_errors_are_watched(templates: Templates) -> None:
    """All five functions have an alarm."""
    watched = {
        alarm["Dimensions"][0]["Value"] for alarm in _alarms(templates).values() if alarm["MetricName"] == "Errors"
    }

    assert watched == {function.properties["FunctionName"] for function in templates.resources("AWS::Lambda::Function")}


def test_the_dashboard_reads_like_the_diagram(templates: Templates) -> None:
    """Triggers, queues, renewal, export, findings: in this order, and every finding among them."""
    (dashboard,) = templates.resources("AWS::CloudWatch::Dashboard")
    body = "".join(part for part in dashboard.properties["DashboardBody"]["Fn::Join"][1] if isinstance(part, str))
    parts = [
        "issued → published → served",
        "1. What makes us look",
        "2. ↓ the queues",
        "3. ↓ renewal function",
        "4. ↓ export function",
        "5. What a person should know",
    ]
    places = [body.index(part) for part in parts]

    assert places == sorted(places)
    for kind in Kind:
        assert kind.value in body


def test_the_renewal_stack_imports_nothing_and_deploys_last(templates: Templates) -> None:
    """It knows the other stacks' parts by name, so it never holds one of them back."""
    assert "Fn::ImportValue" not in json.dumps(templates.by_stack["renewal"])
    assert list(templates.by_stack) == ["pki", "identities", "services", "renewal"]
