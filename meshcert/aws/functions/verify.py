"""Calls the verify function and waits for its answer."""

from __future__ import annotations

from functools import partial
from typing import Any

from meshcert.aws.functions.invocation import call
from meshcert.errors import VerifyFailed


class VerifyFunction:
    """
    Checks published material through the verify function, which may read its key.

    Args:
        client: boto3's ``lambda`` client. Its read timeout must be longer than the function may run.
    """

    def __init__(self, client: Any, function_name: str) -> None:
        self._client = client
        self._function_name = function_name

    def verify(self, identity: str) -> dict[str, Any]:
        """
        The function's report on the version that an identity's proxies read.

        Returns:
            ``subject``, ``version_id``, ``serial_number``, ``not_after`` and ``faults``; no material.

        Raises:
            VerifyFailed: With the reason the function gave.
            AwsUnavailable: If the function did not answer, or raised an error that heals by itself.
            MeshcertError: If AWS refuses the call.
        """
        return call(self._client, self._function_name, {"verify": identity}, partial(VerifyFailed, identity))
