"""What a task learns of itself from its environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from awscrt import io

from entrypoint.aws.endpoint import Endpoint
from entrypoint.platform import platform_of
from evidence.fixtures.secrets_api import SecretsApi

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def api() -> Iterator[SecretsApi]:
    """The metadata endpoint."""
    with SecretsApi() as running:
        yield running


@pytest.fixture(scope="module")
def bootstrap() -> io.ClientBootstrap:
    """Of this process."""
    group = io.EventLoopGroup(1)
    return io.ClientBootstrap(group, io.DefaultHostResolver(group))


def test_the_instance_is_the_task(api: SecretsApi, bootstrap: io.ClientBootstrap) -> None:
    """By the ARN that its metadata says."""
    platform = platform_of(api.environment)

    assert platform.anonymous() == ""
    assert platform.instance(bootstrap).startswith("arn:aws:ecs:")


def test_a_container_that_is_no_task_has_no_name() -> None:
    """Nobody is asked then, and the reason can be logged."""
    assert platform_of({}).anonymous() == "ECS_CONTAINER_METADATA_URI_V4 is not set, so this is no task of ECS"


def test_the_tasks_own_endpoint_wins_over_one_of_a_url() -> None:
    """ECS sets the relative path; the address is always the same."""
    environ = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9/x"}

    given = platform_of(environ).credentials()
    both = platform_of(environ | {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials?id=1"}).credentials()

    assert given
    assert both
    assert given[:2] == (Endpoint("127.0.0.1", 9, tls=False), "/x")
    assert both[:2] == (Endpoint("169.254.170.2", 80, tls=False), "/v2/credentials?id=1")
    assert platform_of({}).credentials() is None


def test_an_endpoint_that_is_not_a_url_is_a_fault_unless_nobody_needs_it() -> None:
    """Keys in the environment win."""
    environ = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "ftp://x"}

    (fault,) = platform_of(environ).faults()

    assert (fault.place, fault.problem) == ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "it is not an http or https URL")
    assert not [*platform_of(environ | {"AWS_ACCESS_KEY_ID": "A"}).faults()]
    with pytest.raises(ValueError, match="not an http or https URL"):
        platform_of(environ).credentials()
