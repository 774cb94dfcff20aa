"""Credentials of the task role: fetched once, renewed in time, kept through an outage of their endpoint."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from entrypoint.aws.credentials import ChainCredentials, CredentialsEndpoint, EndpointCredentials, find_credentials
from entrypoint.platform.ecs import Ecs
from evidence.fixtures.secrets_api import ACCESS_KEY, SecretsApi

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOUR = 3600.0
LIFETIME_S = 6 * HOUR
"""The lifetime of the stand-in's credentials."""


@pytest.fixture
def api() -> Iterator[SecretsApi]:
    """The credentials endpoint."""
    with SecretsApi() as running:
        yield running


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.passed = 0.0

    def __call__(self) -> float:
        """Seconds since 1970."""
        return time.time() + self.passed


def _of_task(environ: dict[str, str]) -> CredentialsEndpoint:
    endpoint = Ecs(environ).credentials()
    assert endpoint
    return endpoint


def _task_credentials(api: SecretsApi, now: Time) -> EndpointCredentials:
    return EndpointCredentials(_of_task(api.environment), now)


def _access_key(credentials: EndpointCredentials) -> str:
    return credentials.current(2.0).access_key_id


def test_threads_that_ask_at_once_share_one_fetch(api: SecretsApi) -> None:
    """Secrets and endpoints are fetched at the same time, and neither costs the other its connection."""
    credentials = _task_credentials(api, Time())

    with ThreadPoolExecutor(8) as threads:
        keys = list(threads.map(lambda _: _access_key(credentials), range(8)))

    assert keys == [ACCESS_KEY] * 8
    assert api.credential_requests == 1


def test_credentials_are_fetched_once_and_renewed_before_they_end(api: SecretsApi) -> None:
    """Five minutes before they expire."""
    now = Time()
    credentials = _task_credentials(api, now)

    assert [_access_key(credentials) for _ in range(3)] == [ACCESS_KEY] * 3
    assert api.credential_requests == 1
    now.passed = LIFETIME_S - 400
    assert _access_key(credentials) == ACCESS_KEY
    assert api.credential_requests == 1
    now.passed = LIFETIME_S - 200
    assert _access_key(credentials) == ACCESS_KEY
    assert api.credential_requests == 2


def test_old_credentials_serve_until_they_end_when_the_endpoint_is_out(api: SecretsApi) -> None:
    """After that there are none, and the error says so."""
    now = Time()
    credentials = _task_credentials(api, now)
    _access_key(credentials)
    api.credentials_available = False

    now.passed = LIFETIME_S - 60
    assert _access_key(credentials) == ACCESS_KEY
    now.passed = LIFETIME_S + 60
    with pytest.raises(ConnectionError, match="no credentials: the container's endpoint answers 403"):
        credentials.current(2.0)

    api.credentials_available = True
    now.passed = 0.0
    assert _access_key(credentials) == ACCESS_KEY


def test_the_token_may_lie_in_a_file(api: SecretsApi, tmp_path: Path) -> None:
    """It is read again for each fetch, and its line break is dropped."""
    file = tmp_path / "token"
    url = api.environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    environ = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": url, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(file)}
    credentials = EndpointCredentials(_of_task(environ))

    with pytest.raises(ConnectionError, match="AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE cannot be read"):
        credentials.current(2.0)
    file.write_text("token-of-the-task\n")

    assert _access_key(credentials) == ACCESS_KEY


def test_an_endpoint_that_answers_something_else_is_not_quoted(api: SecretsApi) -> None:
    """An unreadable answer may contain part of a credential."""
    elsewhere = api.environment | {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{api.url}/else"}
    credentials = EndpointCredentials(_of_task(elsewhere))

    with pytest.raises(ConnectionError, match="no credentials") as error:
        credentials.current(2.0)
    assert "AccessKeyId" not in str(error.value)


@pytest.mark.parametrize("value", ["", None, 1, {"SecretAccessKey": "a"}, ["a"]])
@pytest.mark.parametrize("part", ["AccessKeyId", "SecretAccessKey", "Token"])
def test_a_part_of_a_credential_that_is_no_text_is_no_credential(part: str, value: object, api: SecretsApi) -> None:
    """A request that is signed with it would only be refused, and say less."""
    api.credential_parts = {part: value}

    with pytest.raises(ConnectionError, match="no credentials"):
        _task_credentials(api, Time()).current(2.0)


@pytest.mark.parametrize(
    ("environ", "kind"),
    [
        ({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/x"}, EndpointCredentials),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9/x"}, EndpointCredentials),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9/x", "AWS_ACCESS_KEY_ID": "A"}, ChainCredentials),
        ({}, ChainCredentials),
    ],
)
def test_keys_in_the_environment_win_over_the_task_role(environ: dict[str, str], kind: type[object]) -> None:
    """Like in every AWS program; with neither, awscrt's chain looks for credentials."""
    assert type(find_credentials(environ, Ecs(environ).credentials)) is kind
