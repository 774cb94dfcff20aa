"""What a task learns about itself from its environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entrypoint.aws.credentials import ChainCredentials
from entrypoint.aws.endpoint import Endpoint
from entrypoint.aws.signed_connection import Session
from entrypoint.log import Log
from entrypoint.platform import platform_of
from entrypoint.rotating.acknowledgements import acknowledgement_writer
from entrypoint.settings import Settings
from evidence.fixtures.proxies import teller
from evidence.fixtures.secrets_api import SecretsApi

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from meshcert.errors import Fault


@pytest.fixture
def api() -> Iterator[SecretsApi]:
    """The metadata endpoint."""
    with SecretsApi() as running:
        yield running


def test_the_instance_is_the_task(api: SecretsApi) -> None:
    """Its name is the ARN in the task metadata."""
    platform = platform_of(api.environment)

    assert platform.anonymous() == ""
    assert platform.instance().startswith("arn:aws:ecs:")


def test_a_container_that_is_no_task_has_no_name() -> None:
    """Then no endpoint is asked, and the reason can be logged."""
    assert platform_of({}).anonymous() == "ECS_CONTAINER_METADATA_URI_V4 is not set, so this is no task of ECS"


def test_the_tasks_own_endpoint_wins_over_one_of_a_url() -> None:
    """ECS sets the relative path; the address is always the same."""
    environ = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9/x"}

    given = platform_of(environ).credentials()
    both = platform_of(environ | {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials?id=1"}).credentials()

    assert given
    assert both
    assert (given.endpoint, given.path) == (Endpoint("127.0.0.1", 9, tls=False), "/x")
    assert (both.endpoint, both.path) == (Endpoint("169.254.170.2", 80, tls=False), "/v2/credentials?id=1")
    assert platform_of({}).credentials() is None


def test_an_endpoint_that_is_not_a_url_is_a_fault_unless_nobody_needs_it() -> None:
    """Keys in the environment make it unnecessary."""
    environ = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "ftp://x"}

    (fault,) = platform_of(environ).faults()

    assert (fault.place, fault.problem) == ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "it is not an http or https URL")
    assert not [*platform_of(environ | {"AWS_ACCESS_KEY_ID": "A"}).faults()]
    with pytest.raises(ValueError, match="not an http or https URL"):
        platform_of(environ).credentials()


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("http://127.0.0.1:9/x", True),
        ("http://127.8.9.10/x", True),
        ("http://[::1]:80/x", True),
        ("http://169.254.170.2/x", True),
        ("http://169.254.170.23/v1/credentials", True),
        ("http://[fd00:ec2::23]/v1/credentials", True),
        ("https://credentials.example/x", True),
        ("http://credentials.example/x", False),
        ("http://localhost/x", False),
        ("http://127.0.0.1.example/x", False),
        ("http://169.254.169.254/latest/meta-data/", False),
        ("http://169.254.170.2.example/x", False),
        ("http://10.0.0.1/x", False),
        ("http://[fd00:ec2::254]/x", False),
        ("http://[::ffff:10.0.0.1]/x", False),
    ],
)
def test_credentials_come_without_tls_from_this_host_alone(url: str, *, taken: bool) -> None:
    """Loopback and the addresses of ECS and EKS, which are inside each host, as in every SDK of AWS."""
    platform = platform_of({"AWS_CONTAINER_CREDENTIALS_FULL_URI": url})

    assert [fault.problem for fault in platform.faults()] == (
        [] if taken else ["it is http, and its host is neither loopback nor an address of ECS or EKS"]
    )
    if taken:
        assert platform.credentials()
        return
    with pytest.raises(ValueError, match="neither loopback nor"):
        platform.credentials()


class Elsewhere:
    """Another platform, which has no credentials endpoint and does not say which instance this is."""

    def faults(self) -> Iterator[Fault]:
        """It has none."""
        return iter(())

    def credentials(self) -> None:
        """None."""

    def anonymous(self) -> str:
        """The reason."""
        return "there is no downward API"

    def instance(self) -> str:
        """Must not be called."""
        raise NotImplementedError


def test_another_platform_is_asked_in_the_same_way(tmp_path: Path) -> None:
    """Code that depends on a platform gets it from the wiring, and knows nothing of ECS."""
    lines: list[bytes] = []
    environ = {"MESHCERT_PROXY": teller(acknowledgements="table").to_json(), "AWS_REGION": "eu-west-1"}
    settings = Settings.from_environ(environ | {"MESHCERT_MATERIAL_DIR": str(tmp_path)})
    session = Session.begin({}, Elsewhere().credentials)

    assert type(session.credentials) is ChainCredentials
    assert acknowledgement_writer(settings, environ, Elsewhere(), session, Log("info", lines.append)) is None
    assert b'"event": "acknowledgements-off", "reason": "there is no downward API"' in lines[0]
