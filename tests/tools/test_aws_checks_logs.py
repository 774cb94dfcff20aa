"""A log group of yours is asked about before tasks are to write to it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from meshcert.mesh import read_mesh
from tests.meshcert.mesh.mesh_slips import changed
from tests.tools.judgements import NO, OPEN, YES, assert_judged
from tools.aws_checks.account import Account
from tools.aws_checks.deployment import Deployment
from tools.aws_checks.logs import CHECKS, YourLogGroupSeen, judge_group

if TYPE_CHECKING:
    from local.running_aws import LocalAws
    from tools.aws_checks.verdicts import Verdict

NAME = "/shop/tasks"
PLACE = f"arn:aws:logs:us-west-1:111122223333:log-group:{NAME}"
GROUP = {"logGroupName": NAME, "logGroupClass": "STANDARD", "metricFilterCount": 2}
LOGS = "logs.us-west-1.amazonaws.com"
SEEN = YourLogGroupSeen(NAME, PLACE, GROUP, LOGS, {}, "", is_planned=True)
KEY = {"KeyId": "1234", "KeyState": "Enabled"}
UNDER_KEY = SEEN._replace(key=KEY, key_policy=f'{{"Statement": [{{"Principal": {{"Service": "{LOGS}"}}}}]}}')
FULL = GROUP | {"metricFilterCount": 100}


@pytest.mark.parametrize(
    ("seen", "verdict", "words"),
    [
        (SEEN, YES, "class STANDARD, 2 metric filters"),
        (SEEN._replace(declared=PLACE), YES, "STANDARD"),
        (SEEN._replace(declared=f"{PLACE}:*"), YES, "STANDARD"),
        (SEEN._replace(declared=PLACE.replace("1111", "2222")), NO, f"this account and region: {PLACE}"),
        (SEEN._replace(group={}), NO, "does not exist"),
        (SEEN._replace(group=GROUP | {"logGroupClass": "INFREQUENT_ACCESS"}), NO, "others take no metric filter"),
        (SEEN._replace(group=FULL), NO, "Remove a metric filter"),
        (SEEN._replace(group=FULL, is_planned=False), YES, "100 metric filters"),
        (UNDER_KEY, YES, "under key 1234, which is Enabled"),
        (UNDER_KEY._replace(key=KEY | {"KeyState": "Disabled"}), NO, "takes no line meanwhile"),
        (UNDER_KEY._replace(key_policy="{}"), OPEN, f"does not name {LOGS}"),
    ],
    ids=[
        "by name",
        "by ARN",
        "by ARN as the console has it",
        "of another account",
        "missing",
        "infrequent access",
        "full",
        "full, with ours",
        "under a key",
        "under a disabled key",
        "under a key for others",
    ],
)
def test_tasks_can_write_to_a_log_group(seen: YourLogGroupSeen, verdict: Verdict, words: str) -> None:
    """Else no task starts, or a metric filter fails in the middle of a deploy."""
    assert_judged(judge_group(seen), verdict, words)


def test_aws_is_asked_about_the_group_of_exactly_this_name(aws: LocalAws) -> None:
    """Others begin with it."""
    logs = aws.client("logs")
    mesh = read_mesh(changed(("logs", {"existing": NAME}))).mesh
    assert mesh
    (check,), seen = CHECKS, []

    for name in (f"{NAME}-2", NAME):
        logs.create_log_group(logGroupName=name)
        deployment = Deployment.planned(mesh, Account(aws.client), aws.region, dt.datetime.now(dt.UTC))
        seen += [found.seen for found in check.findings(deployment)]

    before, after = seen
    assert ("does not exist" in before, after) == (True, "class STANDARD, 0 metric filters")
