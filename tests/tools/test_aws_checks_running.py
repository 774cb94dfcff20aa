"""Judgements on what runs and on how renewals arrive, by table."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.tools.judgements import NO, OPEN, YES, assert_judged
from tools.aws_checks import alarms, renewals, services
from tools.aws_checks.services import DiscoverySeen

if TYPE_CHECKING:
    from tools.aws_checks.verdicts import Judgement, Verdict

OPTIONS = ["noexec", "mode=0700", "uid=1337"]
HEALTHY = {"lastStatus": "RUNNING", "healthStatus": "HEALTHY", "platformVersion": "1.4.0"}


def _container(options: list[str], *, read_only: bool = True) -> dict[str, Any]:
    tmpfs = [{"containerPath": "/run/meshcert", "size": 16, "mountOptions": options}]
    return {"linuxParameters": {"tmpfs": tmpfs}, "readonlyRootFilesystem": read_only}


TMPFS = services.TmpfsSeen(
    [{"ContainerPath": "/run/meshcert", "Size": 16, "MountOptions": OPTIONS}], _container(OPTIONS[::-1]), [HEALTHY]
)


@pytest.mark.parametrize(
    ("seen", "verdict", "word"),
    [
        (TMPFS, YES, "platform 1.4.0"),
        (replace(TMPFS, container=_container(["noexec"])), NO, "noexec"),
        (replace(TMPFS, container={"readonlyRootFilesystem": True}), NO, "no tmpfs"),
        (replace(TMPFS, container=_container(OPTIONS, read_only=False)), NO, "writable"),
        (replace(TMPFS, tasks=[]), OPEN, "no task"),
        (replace(TMPFS, tasks=[{"lastStatus": "PENDING"}]), OPEN, "PENDING UNKNOWN"),
        (replace(TMPFS, tasks=[{**HEALTHY, "healthStatus": "UNHEALTHY"}]), NO, "UNHEALTHY"),
    ],
    ids=["kept", "options lost", "none", "writable root", "no task", "starting", "unhealthy"],
)
def test_the_tmpfs_is_kept_and_tasks_live_with_it(seen: services.TmpfsSeen, verdict: Verdict, word: str) -> None:
    """A definition that ECS kept proves nothing until a task of it is healthy."""
    assert_judged(services.judge_tmpfs(seen), verdict, word)


def _service(*states: str, running: int = 2, breaker: dict[str, bool] | None = None) -> dict[str, Any]:
    return {
        "runningCount": running,
        "desiredCount": 2,
        "deployments": [{"status": "PRIMARY", "rolloutState": state} for state in states],
        "deploymentConfiguration": {"deploymentCircuitBreaker": breaker or {"enable": True, "rollback": False}},
    }


@pytest.mark.parametrize(
    ("service", "verdict"),
    [
        (_service("COMPLETED"), YES),
        (_service("COMPLETED", running=1), NO),
        (_service("IN_PROGRESS", "COMPLETED"), OPEN),
        (_service("FAILED"), NO),
        (_service("COMPLETED", breaker={"enable": True, "rollback": True}), NO),
        (_service("COMPLETED", breaker={"enable": False, "rollback": False}), NO),
    ],
)
def test_a_steady_service_has_one_finished_deployment(service: dict[str, Any], verdict: Verdict) -> None:
    """And ECS must not roll back by itself: it would read the same secret again."""
    assert_judged(services.judge_steady(service), verdict)


def test_names_live_shortly_and_targets_are_healthy() -> None:
    """Callers follow a replaced task; the load balancer reaches the gateway."""

    def registered(ttl: int) -> dict[str, Any]:
        return {"DnsConfig": {"DnsRecords": [{"Type": "A", "TTL": ttl}]}}

    def target(state: str) -> dict[str, Any]:
        return {"TargetHealth": {"State": state}}

    assert_judged(services.judge_registrations([registered(5)]), YES, "A 5 s")
    assert_judged(services.judge_registrations([registered(60)]), NO, "60 s")
    assert_judged(services.judge_registrations([]), NO, "not in Cloud Map")
    assert_judged(services.judge_targets([target("healthy"), target("draining")]), YES)
    assert_judged(services.judge_targets([target("healthy"), target("unhealthy")]), NO)
    assert_judged(services.judge_targets([target("initial")]), OPEN)
    assert_judged(services.judge_targets([]), OPEN, "no target")


@pytest.mark.parametrize(
    ("seen", "verdict", "told"),
    [
        (DiscoverySeen("mesh.local", "mesh.local", 2, 2), YES, "2 instances"),
        (DiscoverySeen("mesh.local", "mesh.local", 1, 2), OPEN, "1 instances, 2 tasks"),
        (DiscoverySeen("mesh.local", "mesh.local_1a2b", 2, 2), NO, "mesh.local_1a2b"),
        (DiscoverySeen("mesh.local", "", None, 2), NO, "not in Cloud Map"),
    ],
)
def test_callers_ask_for_the_right_namespace_and_find_every_task(
    seen: DiscoverySeen, verdict: Verdict, told: str
) -> None:
    """Cloud Map gives a namespace whose name is taken another HTTP name: then callers would ask for somebody else's."""
    assert_judged(services.judge_discovery(seen), verdict, told)


ARN = "arn:aws:events:eu-west-1:111122223333:rule/renewed"
LOOKS = "arn:aws:sqs:eu-west-1:111122223333:meshcert-color-looks"
PATTERN = {"source": ["aws.acm"], "detail-type": ["ACM Certificate Available"]}
TARGET = {"Arn": LOOKS, "DeadLetterConfig": {"Arn": "q"}, "RetryPolicy": {"MaximumRetryAttempts": 185}}
ADMISSION = {
    "Effect": "Allow",
    "Principal": {"Service": "events.amazonaws.com"},
    "Condition": {"ArnEquals": {"aws:SourceArn": ARN}},
}
RULE = renewals.RuleSeen(
    {"Arn": ARN, "State": "ENABLED", "EventPattern": json.dumps(PATTERN)},
    [TARGET],
    PATTERN,
    LOOKS,
    json.dumps({"Statement": [ADMISSION]}),
)


@pytest.mark.parametrize(
    ("seen", "verdict", "word"),
    [
        (RULE, YES, "185 retries"),
        (replace(RULE, rule={**RULE.rule, "State": "DISABLED"}), NO, "DISABLED"),
        (replace(RULE, rule={**RULE.rule, "EventPattern": '{"source":["aws.acm"]}'}), NO, "pattern"),
        (replace(RULE, targets=[]), NO, "does not send"),
        (replace(RULE, targets=[{"Arn": LOOKS}]), NO, "neither tried again"),
        (replace(RULE, policy='{"Statement": []}'), NO, "let it in"),
        (replace(RULE, policy=""), NO, "let it in"),
    ],
    ids=["as deployed", "disabled", "another pattern", "no target", "no retries", "not admitted", "no policy"],
)
def test_the_rule_brings_events_to_the_looks_queue(seen: renewals.RuleSeen, verdict: Verdict, word: str) -> None:
    """Every link of the way: one that is missing makes everything wait for the next sweep."""
    assert_judged(renewals.judge_rule(seen), verdict, word)


@pytest.mark.parametrize(
    ("seen", "verdict", "word"),
    [
        (renewals.MetricsSeen(0, 0, []), OPEN, "nothing has happened yet"),
        (renewals.MetricsSeen(2, 0, []), YES, "2 matched"),
        (renewals.MetricsSeen(2, 1, []), NO, "dead-letters"),
        (renewals.MetricsSeen(0, 0, ["colorteller"]), NO, "colorteller"),
    ],
)
def test_renewals_without_matches_contradict_the_rule(seen: renewals.MetricsSeen, verdict: Verdict, word: str) -> None:
    """ACM has renewed and the rule has seen nothing: the events are not what we think."""
    assert_judged(renewals.judge_metrics(seen), verdict, word)


SCHEDULE = {"ScheduleExpression": "rate(1 minute)", "Target": {"Input": '{"dispatch": "tick"}'}}


def _scheduled(**changes: Any) -> dict[str, Any]:
    target = {"Input": '{"dispatch": "tick"}', "DeadLetterConfig": {"Arn": "q"}}
    return {"ScheduleExpression": "rate(1 minute)", "State": "ENABLED", "Target": target, **changes}


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (_scheduled(), YES),
        (_scheduled(State="DISABLED"), NO),
        (_scheduled(ScheduleExpression="rate(1 day)"), NO),
        (_scheduled(Target={"Input": "{}", "DeadLetterConfig": {"Arn": "q"}}), NO),
        (_scheduled(Target={"Input": '{"dispatch": "tick"}'}), NO),
    ],
    ids=["as deployed", "disabled", "too seldom", "another message", "what fails is lost"],
)
def test_the_clock_ticks_as_declared(found: dict[str, Any], verdict: Verdict) -> None:
    """The sweep heals a lost event; nothing but this check and an alarm tells that the sweep itself is gone."""
    assert_judged(renewals.judge_schedule((SCHEDULE, found)), verdict)


def test_a_mapping_that_is_off_lets_messages_wait() -> None:
    """And one that knows whole batches only lets one bad message hold up others."""
    mapping = {
        "EventSourceArn": LOOKS,
        "FunctionArn": "arn:aws:lambda:eu-west-1:111122223333:function:meshcert-color-renewal",
        "State": "Enabled",
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
    }

    assert_judged(renewals.judge_mapping(mapping), YES, "meshcert-color-looks → meshcert-color-renewal")
    assert_judged(renewals.judge_mapping({**mapping, "State": "Disabled"}), NO, "Disabled")
    assert_judged(renewals.judge_mapping({**mapping, "FunctionResponseTypes": []}), NO, "whole batches")


def test_alarms_are_there_and_tell_somebody() -> None:
    """One that is on is named, for it says itself what to do; one without action is as good as none."""
    alarm = {"AlarmName": "x", "AlarmActions": ["topic"], "StateValue": "OK"}

    def judge(*found: dict[str, Any], declared: tuple[str, ...] = ("x",)) -> Judgement:
        return alarms.judge_alarms(alarms.AlarmsSeen(declared, found, "topic"))

    assert_judged(judge(alarm), YES, "1 alarms, none on")
    assert_judged(judge({**alarm, "StateValue": "ALARM"}), YES, "on: x")
    assert_judged(judge(alarm, declared=("x", "y")), NO, "y does not exist")
    assert_judged(judge({**alarm, "AlarmActions": []}), NO, "x tells nobody")
    assert_judged(judge({**alarm, "ActionsEnabled": False}), NO, "x tells nobody")
    assert_judged(alarms.judge_subscriptions((1, 0)), YES)
    assert_judged(alarms.judge_subscriptions((0, 1)), OPEN, "1 to be confirmed")


def test_acms_warning_comes_after_its_own_renewal() -> None:
    """A warning before that would be a false alarm."""
    assert_judged(renewals.judge_expiry_warning(45), YES)
    assert_judged(renewals.judge_expiry_warning(90), NO)
    assert_judged(renewals.judge_expiry_warning(None), OPEN)


def test_functions_and_queues() -> None:
    """The runtime of the template, ready to run; nothing left in a dead-letter queue."""
    declared = {"Runtime": "python3.13", "Architectures": ["arm64"]}
    found = {**declared, "State": "Active", "LastUpdateStatus": "Successful"}

    assert_judged(renewals.judge_function((declared, found)), YES, "python3.13 on arm64")
    assert_judged(renewals.judge_function((declared, {**found, "State": "Inactive"})), YES)
    assert_judged(renewals.judge_function((declared, {**found, "Architectures": ["x86_64"]})), NO, "wheels")
    assert_judged(
        renewals.judge_function((declared, {**found, "State": "Failed", "StateReason": "no key"})), NO, "no key"
    )
    assert_judged(renewals.judge_waiting(0), YES)
    assert_judged(renewals.judge_waiting(2), NO, "2 waiting")
