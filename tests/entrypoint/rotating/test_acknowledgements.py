"""When and what a task acknowledges, with a clock, an Envoy and a table that the test controls."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from entrypoint.aws.dynamodb import REQUEST_TIMEOUT_S, DynamoDb
from entrypoint.aws.retrying import ProcessClock
from entrypoint.log import Log
from entrypoint.rotating.acknowledgements import AcknowledgementWriter
from entrypoint.rotating.permissive import PermissiveCounts
from entrypoint.rotating.standing import Standing
from evidence.fixtures.proxies import teller
from meshcert.errors import AwsRefused, AwsUnavailable, IdentityMissing, MeshcertError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrypoint.aws.dynamodb import Value

TABLE = "meshcert-color-acknowledgements"
TASK = "arn:aws:ecs:eu-west-1:111122223333:task/meshcert-color/0123456789abcdef0123456789abcdef"
GOOD = {"colorteller": Standing("v1", "0a", 2_000_000_000)}
NEWER = {"colorteller": Standing("v2", "0b", 2_000_000_000)}
NEWER_ROW = {"colorteller": {"version": "v2", "serial": "0b", "not_after": 2_000_000_000, "refused": "", "error": ""}}
THROTTLED = AwsUnavailable("dynamodb:PutItem", TABLE, "ThrottlingException")


class Task:
    """One task's acknowledgements, on a clock that only the test moves."""

    def __init__(self, every_s: float = 300.0) -> None:
        self.now = 1000.0
        self.rows: list[Mapping[str, Value]] = []
        self.attempts = 0
        self.failing: Exception | None = None
        self.metadata_failing: Exception | None = None
        self.lines: list[bytes] = []
        proxy = teller(acknowledgements=TABLE, acknowledge_every_s=every_s)
        clock = ProcessClock(monotonic=lambda: self.now, jitter=lambda: 1.0, now=lambda: 1_700_000_000 + self.now)
        self.counts: dict[int, PermissiveCounts] = {}
        self.acknowledgements = AcknowledgementWriter(
            proxy, self, self.find, Log("info", self.lines.append), clock, count=lambda: dict(self.counts)
        )
        self.tell = self.acknowledgements.write

    def put(self, table: str, item: Mapping[str, Value]) -> None:
        """Stand in for DynamoDB."""
        assert table == TABLE
        self.attempts += 1
        if self.failing:
            raise self.failing
        self.rows.append(item)

    def find(self) -> str:
        """Stand in for the task metadata endpoint."""
        if self.metadata_failing:
            raise self.metadata_failing
        return TASK


def test_a_row_says_who_when_and_what() -> None:
    """It outlives three intervals by a day."""
    task = Task()

    task.tell(GOOD)

    assert task.rows == [
        {
            "service": "colorteller",
            "task": TASK,
            "schema": 1,
            "at": 1_700_001_000,
            "expires": 1_700_001_000 + 900 + 86_400,
            "secrets": {
                "colorteller": {"version": "v1", "serial": "0a", "not_after": 2_000_000_000, "refused": "", "error": ""}
            },
        }
    ]


def test_a_change_is_told_at_once_and_the_rest_when_the_interval_is_over() -> None:
    """A second before it is not."""
    task = Task()
    task.tell(GOOD)
    task.now += 299
    task.tell(GOOD)
    assert len(task.rows) == 1
    task.tell(NEWER)
    assert len(task.rows) == 2
    task.now += 299
    task.tell(NEWER)
    assert len(task.rows) == 2

    task.now += 1
    task.tell(NEWER)

    assert len(task.rows) == 3
    assert task.acknowledgements.due_at == task.now + 300


def test_the_first_in_plain_text_is_told_at_once_and_the_others_with_the_next_row() -> None:
    """Counts change with every request, and a row costs money."""
    task = Task()
    task.counts[9080] = PermissiveCounts(0, 0)
    task.tell(GOOD)
    for counts in (PermissiveCounts(3, 0), PermissiveCounts(4, 0), PermissiveCounts(4, 1, 1_700_001_100)):
        task.now += 1
        task.counts[9080] = counts
        task.tell(GOOD)
    task.counts[9080] = PermissiveCounts(9, 2, 1_700_001_200)
    task.now += 299
    task.tell(GOOD)
    assert [row["listeners"]["9080"] for row in task.rows] == [  # type: ignore[index]  # a Value may be text
        {"tls": 0, "plain": 0, "plain_at": 0},
        {"tls": 3, "plain": 0, "plain_at": 0},
        {"tls": 4, "plain": 1, "plain_at": 1_700_001_100},
    ]

    task.now += 1
    task.tell(GOOD)

    assert task.rows[3]["listeners"] == {"9080": {"tls": 9, "plain": 2, "plain_at": 1_700_001_200}}


def test_nothing_is_told_before_envoy_has_said_anything() -> None:
    """A row without secrets would look like a task that serves none."""
    task = Task()

    task.tell({})

    assert task.attempts == 0


def test_failures_are_told_once_a_reason_and_repeated_ever_more_slowly() -> None:
    """From one second to a minute; the last state is what gets through."""
    task = Task()
    task.failing = THROTTLED
    task.tell(GOOD)
    pauses = []
    for _ in range(8):
        pauses.append(task.acknowledgements.due_at - task.now)
        attempts = task.attempts
        task.now = task.acknowledgements.due_at - 0.01
        task.tell(GOOD)
        assert task.attempts == attempts
        task.now += 0.02
        task.tell(GOOD)
        assert task.attempts == attempts + 1

    assert pauses == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60], abs=0.02)
    assert len(task.lines) == 1
    task.failing = AwsRefused("dynamodb:PutItem", TABLE, "AccessDeniedException")
    task.tell(NEWER)
    assert len(task.lines) == 2

    task.failing = None
    task.now = task.acknowledgements.due_at
    task.tell(NEWER)

    (row,) = task.rows
    assert row["secrets"] == NEWER_ROW
    assert b"acknowledgement-recovered" in task.lines[2]
    task.failing = THROTTLED
    task.now += 300
    task.tell(NEWER)
    assert len(task.lines) == 4


def test_a_change_does_not_wait_for_the_back_off_of_an_older_state() -> None:
    """A refusal must be known while it can still stop a rollout."""
    task = Task()
    task.failing = THROTTLED
    for _ in range(6):
        task.tell(GOOD)
        task.now = task.acknowledgements.due_at
    task.tell(GOOD)
    task.failing = None

    task.tell(NEWER)

    assert [row["secrets"] for row in task.rows] == [NEWER_ROW]


@pytest.mark.parametrize("error", [RuntimeError("sesame"), KeyError("sesame"), ValueError("sesame")])
def test_an_unforeseen_error_is_told_by_its_place_and_goes_no_further(error: Exception) -> None:
    """Its text could contain anything."""
    task = Task()
    task.failing = error

    task.tell(GOOD)

    assert b"internal fault: " + type(error).__name__.encode() in task.lines[0]
    assert b"sesame" not in task.lines[0]


def test_a_task_that_does_not_know_itself_writes_nothing_until_it_does() -> None:
    """The metadata endpoint is asked with the same back-off until it has answered once."""
    task = Task()
    task.metadata_failing = ConnectionError("no task metadata: the container's endpoint answers 404")
    task.tell(GOOD)
    task.now += 0.5
    task.tell(GOOD)
    assert (task.attempts, len(task.lines)) == (0, 1)

    task.metadata_failing = None
    task.now = task.acknowledgements.due_at
    task.tell(GOOD)
    task.metadata_failing = ConnectionError("gone")
    task.tell(NEWER)

    assert [row["task"] for row in task.rows] == [TASK, TASK]


class Wire:
    """A connection with one prepared answer; an exception is raised."""

    def __init__(self, answer: tuple[int, bytes] | ConnectionError) -> None:
        self.answer = answer
        self.asked: list[tuple[dict[str, str], Any]] = []
        self.closed = 0

    def post(self, headers: list[tuple[str, str]], body: bytes, timeout_s: float) -> tuple[int, bytes]:
        """The answer."""
        assert timeout_s == REQUEST_TIMEOUT_S <= 1
        self.asked.append((dict(headers), json.loads(body)))
        if isinstance(self.answer, ConnectionError):
            raise self.answer
        return self.answer

    def close(self) -> None:
        """Note that the connection is closed."""
        self.closed += 1


def test_an_item_is_put_as_dynamodb_words_it() -> None:
    """Strings, numbers and maps; the connection is given up."""
    wire = Wire((200, b"{}"))

    DynamoDb(lambda: wire).put(TABLE, {"service": "s", "at": 7, "secrets": {"a": {"version": "v", "not_after": 0}}})

    item = {
        "service": {"S": "s"},
        "at": {"N": "7"},
        "secrets": {"M": {"a": {"M": {"version": {"S": "v"}, "not_after": {"N": "0"}}}}},
    }
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.PutItem"}
    assert wire.asked == [(headers, {"TableName": TABLE, "Item": item})]
    assert wire.closed == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (ConnectionError("no answer within 1 s"), AwsUnavailable),
        ((200, b""), AwsUnavailable),
        ((200, b"<html>"), AwsUnavailable),
        ((200, b"[]"), AwsUnavailable),
        ((200, b"[" * 99_999), AwsUnavailable),
        ((503, b"Service Unavailable"), AwsUnavailable),
        ((500, b'{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError"}'), AwsUnavailable),
        (
            (400, b'{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}'),
            AwsUnavailable,
        ),
        ((400, b'{"__type":"com.amazon.coral.availability#ThrottlingException"}'), AwsUnavailable),
        ((400, b'{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"not yours"}'), AwsRefused),
        ((400, b'{"__type":"com.amazon.coral.validate#ValidationException","message":"no"}'), AwsRefused),
        ((400, b'{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"}'), IdentityMissing),
    ],
)
def test_every_answer_of_dynamodb_but_a_good_one_is_an_error_that_names_the_table(
    answer: tuple[int, bytes] | ConnectionError, kind: type[MeshcertError]
) -> None:
    """Whatever comes, the connection is given up."""
    wire = Wire(answer)

    with pytest.raises(kind, match=TABLE):
        DynamoDb(lambda: wire).put(TABLE, {"service": "s"})
    assert wire.closed == 1


def test_an_endpoint_that_is_none_is_told_like_an_outage() -> None:
    """It must not end the watcher."""

    def connect() -> Wire:
        raise ValueError("it is not an http or https URL")

    with pytest.raises(AwsUnavailable, match="AWS_ENDPOINT_URL: it is not"):
        DynamoDb(connect).put(TABLE, {"service": "s"})
