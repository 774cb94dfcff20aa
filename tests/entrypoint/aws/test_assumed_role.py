"""Sessions of another cell's role: asked of STS once an hour, renewed in time, kept through an outage or a refusal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import botocore.session
import pytest

from entrypoint.aws.assumed_role import SESSION_S, AssumedRoleCredentials
from entrypoint.aws.credentials import REFRESH_BEFORE_S, REFUSED_AGAIN_AFTER_S
from entrypoint.aws.endpoint import parse_endpoint
from entrypoint.aws.signature import Credentials
from entrypoint.aws.signed_connection import Session, SignedConnection
from evidence.fixtures.sts import session

if TYPE_CHECKING:
    from collections.abc import Callable

ROLE = "arn:aws:iam::333344445555:role/meshcert-yelb-eu-west-1-cells.discovery"
DENIED = (
    b"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
)
TOKEN = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQW=="
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY"


class Sts:
    """AWS STS, whose sessions are numbered, and a clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.asked: list[dict[str, list[str]]] = []
        self.open = 0
        self.failure: tuple[int, bytes] | ConnectionError | None = None
        self.credentials = AssumedRoleCredentials(self._connect, ROLE, "meshcert-ui", lambda: self.now)

    def _connect(self) -> Sts:
        self.open += 1
        return self

    def post(self, headers: list[tuple[str, str]], body: bytes, timeout_s: float) -> tuple[int, bytes]:
        """The answer to AssumeRole."""
        assert dict(headers)["Content-Type"].startswith("application/x-www-form-urlencoded")
        assert timeout_s > 0
        self.asked.append(parse_qs(body.decode(), strict_parsing=True))
        if isinstance(self.failure, ConnectionError):
            raise self.failure
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.now + SESSION_S))
        return self.failure or (200, session(f"ASIA{len(self.asked)}", expires=ends))

    def close(self) -> None:
        """One connection less is open."""
        self.open -= 1

    def key(self) -> str:
        """The access key that requests are signed with now."""
        return self.credentials.current(2.0).access_key_id


def test_a_role_is_assumed_once_for_an_hour() -> None:
    """For as long as one role may assume another; CloudTrail shows which service asked."""
    sts = Sts()

    assert [sts.credentials.current(2.0) for _ in range(3)] == [Credentials("ASIA1", SECRET, TOKEN)] * 3
    assert sts.asked == [
        {
            "Action": ["AssumeRole"],
            "Version": ["2011-06-15"],
            "RoleArn": [ROLE],
            "RoleSessionName": ["meshcert-ui"],
            "DurationSeconds": ["3600"],
        }
    ]
    assert sts.open == 0


def test_a_session_is_renewed_before_it_ends() -> None:
    """Five minutes before; until then nobody is asked."""
    sts = Sts()
    keys = [sts.key()]
    for seconds in (SESSION_S - REFRESH_BEFORE_S - 1, 2, 60):
        sts.now += seconds
        keys.append(sts.key())

    assert keys == ["ASIA1", "ASIA1", "ASIA2", "ASIA2"]
    assert len(sts.asked) == 2


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        ((403, DENIED), "sts:AssumeRole: AccessDenied"),
        ((500, b""), "sts:AssumeRole: HTTP 500"),
        (ConnectionError("no answer within 3 s"), "AWS STS: no answer within 3 s"),
        ((200, b"<html>not what you asked for</html>"), "AWS STS answers something else"),
    ],
)
def test_a_session_serves_until_it_ends_whatever_sts_says(
    failure: tuple[int, bytes] | ConnectionError, told: str
) -> None:
    """Then there are no credentials, the error says of which role and why, and what comes next is as ever."""
    sts = Sts()
    sts.key()
    sts.failure = failure

    sts.now += SESSION_S - 60
    assert sts.key() == "ASIA1"
    sts.now += 61
    with pytest.raises(ConnectionError) as error:
        sts.key()
    assert str(error.value) == f"no credentials of {ROLE}: {told}"
    assert sts.open == 0

    sts.failure = None
    assert sts.key() == f"ASIA{len(sts.asked)}"


def test_credentials_that_aws_refuses_are_fetched_anew_and_not_at_every_look() -> None:
    """A role that is made anew, or whose sessions are revoked, serves 20 s later, not an hour; STS is not besieged."""
    sts = Sts()
    sts.key()
    sts.credentials.refused()
    assert sts.key() == "ASIA1", "a new session is refused for some seconds"
    sts.now += REFUSED_AGAIN_AFTER_S
    endpoint, _ = parse_endpoint("http://127.0.0.1:9")
    SignedConnection(endpoint, "eu-west-1", "servicediscovery", Session(sts.credentials)).credentials_refused()
    assert sts.key() == "ASIA2"

    # The role is gone: what is kept serves on, since it may be refused for what it asks alone.
    sts.failure = 403, DENIED
    for _ in range(60):
        sts.now += 5
        assert sts.key() == "ASIA2"
        sts.credentials.refused()
    assert len(sts.asked) == 2 + 60 / 5, "STS is asked at every fifth look"
    sts.failure = None
    sts.now += REFUSED_AGAIN_AFTER_S
    sts.credentials.refused()
    assert sts.key() == f"ASIA{len(sts.asked)}"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda answer: answer.replace(b"<SessionToken>", b"<Other>"),
        lambda answer: answer.replace(b"ASIA1", b"ASIA&lt;1"),
        lambda answer: answer.replace(b"ASIA1", b""),
        lambda answer: answer + answer,
        lambda answer: answer.replace(b"Z</Expiration>", b" o'clock</Expiration>"),
    ],
)
def test_an_answer_that_is_no_session_is_not_quoted(spoil: Callable[[bytes], bytes]) -> None:
    """Part of it may be a credential; guessed at, requests would be refused and say less."""
    sts = Sts()
    sts.failure = 200, spoil(session("ASIA1"))

    with pytest.raises(ConnectionError, match="AWS STS answers something else") as error:
        sts.key()
    assert SECRET not in str(error.value)


def test_the_question_is_that_of_the_aws_sdk() -> None:
    """botocore, which the image does not have, asks the same."""
    client = botocore.session.Session().create_client(
        "sts", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    sent: list[Any] = []

    def catch(request: Any, **_: object) -> Any:
        sent.append(request)
        raise ConnectionAbortedError

    client.meta.events.register("before-send.sts.AssumeRole", catch)
    with pytest.raises(ConnectionAbortedError):
        client.assume_role(RoleArn=ROLE, RoleSessionName="meshcert-ui", DurationSeconds=SESSION_S)
    sts = Sts()
    sts.key()

    assert parse_qs(sent[0].body) == sts.asked[0]
