"""The ARN of this task, from the endpoint that ECS gives every container (task metadata, version 4)."""

from __future__ import annotations

import re

from entrypoint.aws.endpoint import parse_endpoint
from entrypoint.aws.http_exchange import HttpConnection, HttpRequest
from meshcert.bounded_json import JsonInvalid, read_json
from meshcert.contract.environment import METADATA_URI

TIMEOUT_S = 1.0
"""Longest wait for each of connection and answer, seconds; the endpoint is on this host."""

_TASK_ARN = re.compile(r"arn:aws[a-z-]*:ecs:[a-z0-9-]+:\d{12}:task/[A-Za-z0-9_/-]{1,512}")
_OK = 200


def task_arn(uri: str) -> str:
    """
    This task's ARN.

    Args:
        uri: Value of ``ECS_CONTAINER_METADATA_URI_V4``.

    Raises:
        ConnectionError: If the endpoint does not answer, or not with a task's ARN.
    """
    try:
        endpoint, path = parse_endpoint(f"{uri}/task")
    except ValueError as error:
        raise ConnectionError(f"{METADATA_URI}: {error}") from error
    request = HttpRequest("GET", path, [("Host", endpoint.authority), ("Accept", "application/json")])
    connection = HttpConnection(endpoint)
    try:
        connection.wait("connection", TIMEOUT_S)
        status, body, _ = connection.exchange(request, TIMEOUT_S)
    except ConnectionError as error:
        raise ConnectionError(f"no task metadata: {error}") from error
    finally:
        connection.close()
    if status != _OK:
        raise ConnectionError(f"no task metadata: the container's endpoint answers {status}")
    return _arn_in(body)


def _arn_in(body: bytes) -> str:
    try:
        arn = read_json(body)["TaskARN"]
    except (JsonInvalid, KeyError, TypeError):
        arn = None
    if not isinstance(arn, str) or not _TASK_ARN.fullmatch(arn):
        raise ConnectionError("no task metadata: the container's endpoint names no task")
    return arn
