"""Tasks that run, and whose role lacks the policy: denied if they may still say so, silent if not."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from entrypoint.aws.json_api import error_of
from entrypoint.rotating.standing import Stage
from meshcert.lifecycle.deciding.findings import Kind
from meshcert.lifecycle.deciding.plan import plan
from meshcert.lifecycle.deciding.steps import Action
from meshcert.lifecycle.last_look import LONGEST_DETAIL
from meshcert.lifecycle.observation import Acknowledgement
from tests.meshcert.lifecycle.observations import (
    DAY,
    GATEWAY,
    MINUTE,
    NOW,
    POLICY,
    SECOND,
    TELLER,
    V1,
    look,
    says,
    service,
)

if TYPE_CHECKING:
    from meshcert.identity import ServiceUse

OPERATION = "secretsmanager:ListSecretVersionIds"
ATTACHED = replace(GATEWAY, attached=True)
ANSWER = error_of(OPERATION, "its secret", 400, {"__type": "AccessDeniedException", "message": "an SCP"})
REFUSED = f"{Stage.FETCH}: {type(ANSWER).__name__}: {ANSWER}"
"""What a row says; see ``entrypoint.rotating.rotation``."""


def told(said: dict[str, Acknowledgement], *uses: ServiceUse) -> list[str]:
    """What a person is told when all else is well, and nothing is done."""
    planned = plan(look(*(uses or (GATEWAY, TELLER)), said=said).seen, look().memory, POLICY)
    assert planned.step.action is Action.NOTHING
    assert {each.kind for each in planned.findings} <= {Kind.SERVED_BEHIND}
    return [each.detail for each in planned.findings]


@pytest.mark.parametrize(
    ("use", "step"),
    [
        (GATEWAY, "put the inline policy `rights` of gateway's task role back"),
        (ATTACHED, "attach the policy that meshcert sidecar gateway names to its task role"),
    ],
    ids=["ours", "attached"],
)
@pytest.mark.parametrize("before", ["", "expired since yesterday; "])
def test_tasks_that_are_denied_are_told_before_anything_new_is_published(
    use: ServiceUse, step: str, before: str
) -> None:
    """With service, next step and call, within what a row of the last look holds."""
    said = says() | {"gateway/1": Acknowledgement(NOW, V1, error=before + REFUSED)}

    (detail,) = told(said, use)

    assert f"1 of 2 tasks of gateway are denied what is new: {step}" in detail[:LONGEST_DETAIL]
    assert OPERATION in detail[:LONGEST_DETAIL]


@pytest.mark.parametrize("ago", [16 * MINUTE, DAY])
@pytest.mark.parametrize("error", ["", REFUSED])
def test_tasks_whose_row_is_old_are_silent_whatever_it_says(ago: dt.timedelta, error: str) -> None:
    """A role without its policy may write no row either; what the last one says is over."""
    said = says() | {"gateway/0": Acknowledgement(NOW - ago, V1, error=error)}

    (detail,) = told(said, ATTACHED)

    assert f"1 of 2 tasks of gateway run, and have acknowledged nothing since {NOW - ago:%Y-%m-%d %H:%M}" in detail
    assert "acknowledgement-waits" in detail[:LONGEST_DETAIL]
    assert "attach the policy that meshcert sidecar gateway names" in detail[:LONGEST_DETAIL]


def test_a_task_whose_row_is_gone_is_silent_since_its_start() -> None:
    """DynamoDB deletes rows after a day."""
    seen = look(GATEWAY, said=says(but={"gateway/1": ""})).seen

    findings = plan(seen, look().memory, POLICY).findings

    silent = [each.detail for each in findings if "have acknowledged nothing since" in each.detail]
    assert len(silent) == 1
    assert f"1 of 2 tasks of gateway run, and have acknowledged nothing since {NOW - 30 * DAY:%Y-%m-%d}" in silent[0]


def test_who_reports_in_time_has_just_started_or_has_other_trouble_is_not_told_so() -> None:
    """Tasks acknowledge every five minutes; throttling and a refusal have messages of their own."""
    late = NOW - dt.timedelta(seconds=POLICY.silent_after_s) + SECOND
    said = says() | {
        "gateway/0": Acknowledgement(late, V1),
        "gateway/1": Acknowledgement(NOW, V1, error="fetch: AwsUnavailable: it: ThrottlingException"),
    }
    young = look(GATEWAY, said=says(gateway=""), services={"gateway": service(GATEWAY, age=MINUTE)}).seen

    assert told(said) == []
    assert not [each for each in plan(young, look().memory, POLICY).findings if "acknowledged" in each.detail]
