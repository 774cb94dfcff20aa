"""Fetching: the meaning of AWS's answers, and how long a container tries."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from entrypoint.aws.json_api import error_of
from entrypoint.aws.retrying import FRESH_ROLE_GRACE_S, LONGEST_DELAY_S, ProcessClock, delay, until
from entrypoint.aws.secrets_manager import SecretLabels, SecretsReader, SecretVersion
from entrypoint.rotating.first_delivery import exit_code_of
from meshcert.errors import (
    AwsRefused,
    AwsUnavailable,
    IdentityMissing,
    MaterialRejected,
    MeshcertError,
    SecretMalformed,
    SecretNotPublished,
    SettingsInvalid,
    VersionQuarantined,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "meshcert/color/identity/colorteller"


class Wire:
    """A connection that gives prepared answers; an exception is raised."""

    def __init__(self, *answers: tuple[int, bytes] | ConnectionError) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[dict[str, str], Any]] = []

    def post(self, headers: list[tuple[str, str]], body: bytes, timeout_s: float) -> tuple[int, bytes]:
        """The next answer."""
        assert timeout_s > 0
        self.asked.append((dict(headers), json.loads(body)))
        answer = self._answers.pop(0)
        if isinstance(answer, ConnectionError):
            raise answer
        return answer


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self.now += seconds
        self.slept.append(seconds)

    @property
    def clock(self) -> ProcessClock:
        """Without jitter."""
        return ProcessClock(monotonic=lambda: self.now, sleep=self.sleep, jitter=lambda: 1.0)


def _failing(error: MeshcertError, times: int = 10**9) -> Callable[[], str]:
    left = iter(range(times))

    def attempt() -> str:
        if next(left, None) is None:
            return "done"
        raise error

    return attempt


def test_a_secret_is_asked_for_by_its_current_label() -> None:
    """GetSecretValue names AWSCURRENT; the answer's version is kept with the text."""
    wire = Wire((200, json.dumps({"VersionId": "v1", "SecretString": "text"}).encode()))

    assert SecretsReader(wire).current_value(SECRET) == SecretVersion("v1", "text")
    assert wire.asked == [
        (
            {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "secretsmanager.GetSecretValue"},
            {"SecretId": SECRET, "VersionStage": "AWSCURRENT"},
        )
    ]


def test_looking_for_a_new_version_does_not_read_the_secret() -> None:
    """DescribeSecret shows where the labels stand."""
    stages = {"bad": ["AWSPREVIOUS", "QUARANTINED"], "new": ["AWSCURRENT", "LASTGOOD"]}
    wire = Wire(
        (200, json.dumps({"VersionIdsToStages": stages}).encode()),
        (200, json.dumps({"Name": SECRET}).encode()),
    )
    secrets = SecretsReader(wire)

    assert secrets.labels(SECRET) == SecretLabels("new", frozenset({"bad"}))
    assert secrets.labels(SECRET) == SecretLabels("", frozenset())
    assert {headers["X-Amz-Target"] for headers, _ in wire.asked} == {"secretsmanager.DescribeSecret"}


@pytest.mark.parametrize(
    ("labels", "quarantined"),
    [(["AWSCURRENT", "QUARANTINED"], True), (["AWSCURRENT"], False), (None, False), (7, False), ("QUARANTINED", False)],
)
def test_a_value_says_whether_its_version_is_quarantined(labels: object, *, quarantined: bool) -> None:
    """GetSecretValue tells the version's labels: a start needs no second call."""
    answer = {"VersionId": "v1", "SecretString": "text", "VersionStages": labels}

    assert SecretsReader(Wire((200, json.dumps(answer).encode()))).current_value(SECRET).quarantined == quarantined


def test_a_secret_version_never_shows_its_text() -> None:
    """Not in repr, not in a format string."""
    version = SecretVersion("v1", "very-secret-text")

    assert "very-secret-text" not in f"{version} {version!r}"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (ConnectionError("no connection: AWS_IO_SOCKET_CONNECTION_REFUSED"), AwsUnavailable),
        ((200, b""), AwsUnavailable),
        ((200, b"<html>"), AwsUnavailable),
        ((200, b"[]"), AwsUnavailable),
        ((200, b"{}"), AwsUnavailable),
        ((500, b"{}"), AwsUnavailable),
        ((503, b"Service Unavailable"), AwsUnavailable),
        ((400, b'{"__type":"ThrottlingException"}'), AwsUnavailable),
        ((400, b'{"__type":"com.amazonaws#ExpiredTokenException:http://x"}'), AwsUnavailable),
        ((400, b'{"__type":"ResourceNotFoundException"}'), IdentityMissing),
        ((400, b'{"__type":"AccessDeniedException","Message":"no"}'), AwsRefused),
        ((400, b'{"__type":"InvalidRequestException","Message":"marked for deletion"}'), AwsRefused),
    ],
)
def test_every_answer_but_a_good_one_is_an_error_of_its_kind(
    answer: tuple[int, bytes] | ConnectionError, kind: type[MeshcertError]
) -> None:
    """Errors that heal by themselves are distinct from those that a person must repair; the secret is named."""
    with pytest.raises(kind, match=SECRET):
        SecretsReader(Wire(answer)).current_value(SECRET)


def test_garbage_is_never_quoted() -> None:
    """A body that is not JSON could be half a key."""
    with pytest.raises(AwsUnavailable) as error:
        SecretsReader(Wire((200, b'{"SecretString": "half a ke'))).current_value(SECRET)

    assert "half" not in str(error.value)


def test_delays_double_up_to_a_limit_and_jitter_only_shortens_them() -> None:
    """0.1, 0.2, 0.4 ... 3 s; at least half of each is waited."""
    delays = [delay(attempt, 1.0) for attempt in range(40)]

    assert delays[:4] == [0.1, 0.2, 0.4, 0.8]
    assert all(before <= after for before, after in pairwise(delays))
    assert max(delays) == LONGEST_DELAY_S
    assert [delay(attempt, 0.0) for attempt in range(40)] == [value / 2 for value in delays]


def test_what_heals_is_tried_again_until_it_does() -> None:
    """Throttling, an outage, a placeholder, a version that is being rolled back."""
    for error in (
        AwsUnavailable("call", SECRET, "ThrottlingException"),
        SecretNotPublished(SECRET),
        VersionQuarantined(SECRET, "v1"),
    ):
        time = Time()

        assert until(60.0, _failing(error, times=5), time.clock) == "done"
        assert time.slept == [0.1, 0.2, 0.4, 0.8, 1.6]


def test_the_deadline_is_never_overrun_by_waiting() -> None:
    """The last error is the answer, and no sleep goes past the deadline."""
    time = Time()

    with pytest.raises(AwsUnavailable):
        until(60.0, _failing(AwsUnavailable("call", SECRET, "timeout")), time.clock)

    assert 60.0 - LONGEST_DELAY_S <= time.now < 60.0


def test_a_refusal_that_a_fresh_role_meets_gets_a_short_grace() -> None:
    """IAM takes seconds to spread; a missing right stays missing."""
    time = Time()

    with pytest.raises(AwsRefused):
        until(60.0, _failing(AwsRefused("call", SECRET, "AccessDeniedException")), time.clock)

    assert FRESH_ROLE_GRACE_S - LONGEST_DELAY_S <= time.now < FRESH_ROLE_GRACE_S


@pytest.mark.parametrize(
    "error",
    [
        IdentityMissing(SECRET, "Deploy."),
        AwsRefused("call", SECRET, "InvalidRequestException"),
        SecretMalformed(SECRET, "it is not JSON"),
        MaterialRejected(SECRET, ()),
    ],
)
def test_what_a_person_must_repair_is_final_at_once(error: MeshcertError) -> None:
    """Nothing is gained by asking again."""
    time = Time()

    with pytest.raises(type(error)):
        until(60.0, _failing(error), time.clock)

    assert time.slept == []


def test_one_attempt_is_made_even_after_the_deadline() -> None:
    """So that every secret's own fault is told, not only the slow one's."""
    assert until(-1.0, lambda: "done", Time().clock) == "done"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsInvalid("environment", ()), 64),
        (SecretMalformed(SECRET, "it is not JSON"), 65),
        (MaterialRejected(SECRET, ()), 65),
        (VersionQuarantined(SECRET, "v1"), 65),
        (SecretNotPublished(SECRET), 66),
        (error_of("call", SECRET, 500, None), 69),
        (IdentityMissing(SECRET, "Deploy."), 77),
        (AwsRefused("call", SECRET, "AccessDeniedException"), 77),
    ],
)
def test_every_cause_has_an_exit_code(error: MeshcertError, code: int) -> None:
    """ECS shows the code; docs/errors.md has the table."""
    assert exit_code_of(error) == code
