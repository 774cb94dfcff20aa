"""Answers to CloudFormation."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import urllib3

from meshcert.errors import AwsUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

# urllib3 logs each retry with the URL, which is a credential.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)

_RETRIES = urllib3.Retry(total=3, backoff_factor=0.1, status_forcelist=(500, 502, 503, 504), allowed_methods=None)
_TIMEOUT = urllib3.Timeout(connect=5, read=10)


def send_answer(response_url: str, answer: Mapping[str, Any]) -> None:
    """
    Send CloudFormation the answer to a custom resource's request.

    Args:
        response_url: The request's ``ResponseURL``. It is a credential: anyone who has it can answer.
        answer: The answer's fields, at most 4,096 bytes as JSON.

    Raises:
        AwsUnavailable: If the answer could not be delivered. CloudFormation then waits for up to an hour.
    """
    resource = str(answer.get("LogicalResourceId", "custom resource"))
    try:
        # The URL is signed for an empty content type.
        with urllib3.PoolManager(retries=_RETRIES, timeout=_TIMEOUT) as pool:
            status = pool.request(
                "PUT", response_url, body=json.dumps(answer).encode(), headers={"Content-Type": ""}
            ).status
    except urllib3.exceptions.HTTPError as exc:
        # The error's own text contains the URL.
        raise AwsUnavailable("cloudformation:ResponseURL", resource, type(exc).__name__) from None
    if status >= 300:  # noqa: PLR2004  every HTTP status that is not a success
        raise AwsUnavailable("cloudformation:ResponseURL", resource, f"HTTP {status}")
