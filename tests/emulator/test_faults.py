"""Faults on purpose hit the operation they name and nothing else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config as ClientConfig  # noqa: TID251 - a client without retries
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError  # noqa: TID251 - what a client sees of faults

from local.lab import LocalAws, LocalAwsFailed
from tests.emulator.refusals import ClientError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def secrets(aws: LocalAws) -> Iterator[Any]:
    """Secrets Manager with one secret and without retries; no faults are left behind."""
    aws.reset()
    client = aws.client("secretsmanager")
    client.create_secret(Name="one", SecretString="x")
    config = ClientConfig(retries={"total_max_attempts": 1}, read_timeout=1)
    yield aws.client("secretsmanager", config)
    aws.control("PUT", "/_local/faults", [])


def inject(aws: LocalAws, **rule: Any) -> None:
    """One rule for GetSecretValue."""
    aws.control("PUT", "/_local/faults", [{"service": "secretsmanager", "action": "GetSecretValue", **rule}])


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("throttle", "ThrottlingException"),
        ("500", "InternalServiceError"),
        ("503", "ServiceUnavailable"),
    ],
)
def test_an_injected_error_comes_n_times(aws: LocalAws, secrets: Any, kind: str, code: str) -> None:
    """Twice refused, then answered; other operations are not touched; the hits are counted."""
    inject(aws, kind=kind, n=2)

    seen = [_code(secrets) for _ in range(3)]
    secrets.describe_secret(SecretId="one")

    assert seen == [code, code, ""]
    assert aws.control("GET", "/_local/faults")["hits"] == {f"secretsmanager:GetSecretValue:{kind}": 2}


def test_a_broken_connection_a_silent_one_and_a_slow_one(aws: LocalAws, secrets: Any) -> None:
    """Half an answer, no answer, a late answer."""
    inject(aws, kind="cut")
    with pytest.raises(ConnectionClosedError):
        secrets.get_secret_value(SecretId="one")

    inject(aws, kind="hang")
    with pytest.raises(ReadTimeoutError):
        secrets.get_secret_value(SecretId="one")

    inject(aws, kind="latency", ms=300)
    began = time.monotonic()
    secrets.get_secret_value(SecretId="one")
    assert time.monotonic() - began >= 0.3


def test_a_bucket_lets_a_burst_through_and_refuses_the_rest(aws: LocalAws, secrets: Any) -> None:
    """Three at once, then no more than one every ten seconds."""
    inject(aws, kind="bucket", rate=0.1, burst=3)

    seen = [_code(secrets) for _ in range(5)]

    assert seen == ["", "", "", "ThrottlingException", "ThrottlingException"]


def test_an_unknown_fault_is_refused_and_an_empty_list_ends_all(aws: LocalAws, secrets: Any) -> None:
    """The endpoint says which kinds there are."""
    inject(aws, kind="throttle")
    with pytest.raises(LocalAwsFailed, match="earthquake"):
        inject(aws, kind="earthquake")

    aws.control("PUT", "/_local/faults", [])
    secrets.get_secret_value(SecretId="one")


def _code(secrets: Any) -> str:
    """The error code of a GetSecretValue; empty if it is answered."""
    try:
        secrets.get_secret_value(SecretId="one")
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""
