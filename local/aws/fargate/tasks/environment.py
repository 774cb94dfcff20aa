"""The environment variables of a container."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ministack.core.responses import get_region

from local.aws.fargate.containers import sandbox
from meshcert.contract.environment import WORKLOAD_API_USERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.config import Config
    from local.aws.fargate.containers.definitions import ContainerDefinition
    from local.aws.fargate.containers.images import Image
    from local.aws.fargate.tasks.credentials import Grant


def platform_settings(config: Config, metadata_token: str, grant: Grant | None) -> dict[str, str]:
    """
    What Fargate itself would set, with the addresses of this local AWS.

    Args:
        metadata_token: The container's token at the task metadata endpoint.
        grant: The way to the task's role, or None if it has none.
    """
    settings = {
        "AWS_REGION": get_region(),
        "AWS_DEFAULT_REGION": get_region(),
        "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE",
        "ECS_CONTAINER_METADATA_URI_V4": f"{config.endpoint}/v4/{metadata_token}",
    }
    if grant is not None:
        settings["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = grant.uri
        settings["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = grant.token
    return settings


def local_settings(config: Config, address: str, resolver: str) -> dict[str, str]:
    """
    The settings that differ from Fargate because tasks here share one network and AWS has another address.

    Args:
        address: The task's own loopback address.
        resolver: Address and port of its VPC's DNS resolver.
    """
    return {
        "MESHCERT_LISTEN_ADDRESS": address,
        "MESHCERT_LOOPBACK_ADDRESS": address,
        "MESHCERT_DNS_RESOLVER": resolver,
        "AWS_ENDPOINT_URL": config.endpoint,
        "MESHCERT_REQUESTS_SEEN": str(config.requests_seen),
    }


def container_environment(
    image: Image, definition: ContainerDefinition, platform: Mapping[str, str], local: Mapping[str, str]
) -> dict[str, str]:
    """
    The whole environment of one container; nothing is inherited from the local AWS.

    Args:
        platform: From :func:`platform_settings`.
        local: From :func:`local_settings`.
    """
    address = local["MESHCERT_LISTEN_ADDRESS"]
    variables = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/",
        "HOSTNAME": f"ip-{address.replace('.', '-')}.{platform['AWS_REGION']}.compute.internal",
        **image.environment,
        **definition.environment,
        **_proxies(definition.environment, address),
        **_workload_api_users(definition.environment),
        **platform,
        **local,
    }
    return {**variables, **image.search_paths(variables)}


def _workload_api_users(declared: Mapping[str, str]) -> dict[str, str]:
    """Whoever the declared users are, they run as one user here: the runner's, whom Envoy's container sees as root."""
    users = declared.get(WORKLOAD_API_USERS, "")
    seen = 0 if sandbox.namespaces_permitted() else os.getuid()
    return {WORKLOAD_API_USERS: f"{users},{seen}"} if users else {}


def _proxies(declared: Mapping[str, str], address: str) -> dict[str, str]:
    """The proxies that an environment names on loopback, at the task's own address: tasks here share a loopback."""
    names = (name for name in declared if name.lower() == "http_proxy")
    return {name: declared[name].replace("//127.0.0.1:", f"//{address}:") for name in names}
