"""Judgements on what runs and on how renewals arrive, by table."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.judgements import NO, OPEN, YES, assert_judged
from tools.aws_checks import renewals, services

if TYPE_CHECKING:
    from tools.aws_checks.verdicts import Verdict

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


ARN = "arn:aws:events:eu-west-1:111122223333:rule/renewed"
FUNCTION = "arn:aws:lambda:eu-west-1:111122223333:function:meshcert-color-export"
TARGET = {"Arn": FUNCTION, "DeadLetterConfig": {"Arn": "q"}, "RetryPolicy": {"MaximumRetryAttempts": 185}}
ADMISSION = {
    "Effect": "Allow",
    "Principal": {"Service": "events.amazonaws.com"},
    "Condition": {"ArnLike": {"AWS:SourceArn": ARN}},
}
RULE = renewals.RuleSeen(
    {"Arn": ARN, "State": "ENABLED", "EventPattern": json.dumps(renewals.PATTERN)},
    [TARGET],
    FUNCTION,
    json.dumps({"Statement": [ADMISSION]}),
)


@pytest.mark.parametrize(
    ("seen", "verdict", "word"),
    [
        (RULE, YES, "185 retries"),
        (replace(RULE, rule={**RULE.rule, "State": "DISABLED"}), NO, "DISABLED"),
        (replace(RULE, rule={**RULE.rule, "EventPattern": '{"source":["aws.acm"]}'}), NO, "pattern"),
        (replace(RULE, targets=[]), NO, "does not invoke"),
        (replace(RULE, targets=[{"Arn": FUNCTION}]), NO, "neither tried again"),
        (replace(RULE, policy='{"Statement": []}'), NO, "let it in"),
    ],
    ids=["as deployed", "disabled", "another pattern", "no target", "no retries", "not admitted"],
)
def test_the_rule_brings_renewals_to_the_function(seen: renewals.RuleSeen, verdict: Verdict, word: str) -> None:
    """Every link of the way, since one that is missing shows only eleven months later."""
    assert_judged(renewals.judge_rule(seen), verdict, word)


@pytest.mark.parametrize(
    ("seen", "verdict", "word"),
    [
        (renewals.MetricsSeen(0, 0, []), OPEN, "nothing yet"),
        (renewals.MetricsSeen(2, 0, []), YES, "2 matched"),
        (renewals.MetricsSeen(2, 1, []), NO, "dead-letters"),
        (renewals.MetricsSeen(0, 0, ["colorteller"]), NO, "colorteller"),
    ],
)
def test_renewals_without_matches_contradict_the_rule(seen: renewals.MetricsSeen, verdict: Verdict, word: str) -> None:
    """ACM has renewed and the rule has seen nothing: the events are not what we think."""
    assert_judged(renewals.judge_metrics(seen), verdict, word)


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
