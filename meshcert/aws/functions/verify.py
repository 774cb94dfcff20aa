"""The verify function, called and waited for."""

from __future__ import annotations

from functools import partial
from typing import Any

from meshcert.aws.functions.invocation import call
from meshcert.errors import VerifyFailed


class VerifyFunction:
    """
    Has what is published checked where its key may be read.

    Args:
        client: boto3's ``lambda`` client. Its read timeout has to be longer than the function may run.
        function_name: Name or ARN of the function.
    """

    def __init__(self, client: Any, function_name: str) -> None:
        self._client = client
        self._function_name = function_name

    def verify(self, identity: str) -> dict[str, Any]:
        """
        What the function says of the version that an identity's proxies read.

        Args:
            identity: Its name.

        Returns:
            ``subject``, ``version_id``, ``serial_number``, ``not_after`` and ``faults``; no material.

        Raises:
            VerifyFailed: With the reason the function gave.
            AwsUnavailable: If the function did not answer, or said that it heals by itself.
            MeshcertError: What AWS says of the call.
        """
        return call(self._client, self._function_name, {"verify": identity}, partial(VerifyFailed, identity))
