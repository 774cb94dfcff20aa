"""Calls the export function and waits for its answer."""

from __future__ import annotations

from functools import partial
from typing import Any

from meshcert.aws.functions.invocation import call
from meshcert.errors import ExportFailed


class ExportFunction:
    """
    :class:`meshcert.lifecycle.ports.Exporter` and :class:`meshcert.issuing.private_ca.Replacer`.

    Args:
        client: boto3's ``lambda`` client. Its read timeout must be longer than the function may run: botocore repeats a
            call that timed out, and two runs of the function would then overlap.
    """

    def __init__(self, client: Any, function_name: str) -> None:
        self._client = client
        self._function_name = function_name

    def export(self, identity: str, version: str) -> str:
        """See :meth:`meshcert.lifecycle.ports.Exporter.export`."""
        event = {"identity": identity, "version": version}
        answer = call(self._client, self._function_name, event, partial(ExportFailed, identity))
        published = answer.get("version_id")
        if not isinstance(published, str) or not published:
            raise ExportFailed(identity, "UnexpectedAnswer", f"the answer names no version: {sorted(answer)}")
        return published

    def replace(self, identity: str, certificate_arn: str) -> None:
        """See :meth:`meshcert.issuing.private_ca.Replacer.replace`."""
        event = {"identity": identity, "replaces": certificate_arn}
        call(self._client, self._function_name, event, partial(ExportFailed, identity))
