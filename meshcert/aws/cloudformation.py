"""Answers to CloudFormation."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Any

import urllib3

from meshcert.errors import AwsUnavailable, Fault, RequestInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

# urllib3 logs each retry with the URL, which is a credential.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)

_S3 = re.compile(
    r"https://(?:[a-z0-9][a-z0-9.-]*\.)?s3(?:-fips)?(?:[.-](?:dualstack\.)?[a-z]{2,}(?:-[a-z]+)+-[0-9]+)?\."
    r"(?:amazonaws\.com|amazonaws\.com\.cn|amazonaws\.eu|c2s\.ic\.gov|sc2s\.sgov\.gov|csp\.hci\.ic\.gov)/[!-~]+"
)
"""Amazon S3's own endpoints (AWS General Reference, "Amazon S3 endpoints and quotas"), with or without a bucket."""
_RETRIES = urllib3.Retry(total=3, backoff_factor=0.1, status_forcelist=(500, 502, 503, 504), allowed_methods=None)
_TIMEOUT = urllib3.Timeout(connect=5, read=10)


def require_response_url(response_url: object, environ: Mapping[str, str]) -> str:
    """
    The URL at which CloudFormation waits for the answer: a presigned one of Amazon S3.

    Whoever may invoke the function could otherwise have it send requests anywhere in its network.

    Args:
        response_url: The request's ``ResponseURL``.
        environ: If ``AWS_ENDPOINT_URL_S3`` or ``AWS_ENDPOINT_URL`` is set, Amazon S3 is there.

    Raises:
        RequestInvalid: If it is missing, or leads elsewhere. The URL is not in the message: it is a credential.
    """
    if not isinstance(response_url, str) or not response_url:
        problem = "it is missing: this is no request of CloudFormation's"
    elif _S3.fullmatch(response_url):
        return response_url
    else:
        endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or ""
        if endpoint and response_url.startswith(f"{endpoint.rstrip('/')}/"):
            return response_url
        problem = "it is not an https URL of Amazon S3's: this is no request of CloudFormation's"
    raise RequestInvalid("custom resource", (Fault("ResponseURL", problem, "Invoke `export` instead"),))


def send_answer(response_url: str, answer: Mapping[str, Any]) -> None:
    """
    Send CloudFormation the answer to a custom resource's request.

    Args:
        response_url: From :func:`require_response_url`. It is a credential: anyone who has it can answer.
        answer: The answer's fields, at most 4,096 bytes as JSON.

    Raises:
        AwsUnavailable: If the answer could not be delivered. CloudFormation then waits for up to an hour.
    """
    resource = str(answer.get("LogicalResourceId", "custom resource"))
    try:
        # The URL is signed for an empty content type.
        with (
            urllib3.PoolManager(retries=_RETRIES, timeout=_TIMEOUT) as pool,
            # Nobody reads the body, so it may be of any length.
            pool.request(
                "PUT",
                response_url,
                body=json.dumps(answer).encode(),
                headers={"Content-Type": ""},
                redirect=False,
                preload_content=False,
            ) as response,
        ):
            status = response.status
    except urllib3.exceptions.HTTPError as exc:
        # The error's own text contains the URL.
        raise AwsUnavailable("cloudformation:ResponseURL", resource, type(exc).__name__) from None
    if status >= 300:  # noqa: PLR2004  every HTTP status that is not a success
        raise AwsUnavailable("cloudformation:ResponseURL", resource, f"HTTP {status}")
