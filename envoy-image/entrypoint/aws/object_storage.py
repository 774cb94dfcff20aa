"""The one call that this container makes to Amazon S3: get an object if it has changed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Protocol

from entrypoint.aws.endpoint import object_endpoint
from entrypoint.aws.json_api import REQUEST_TIMEOUT_S
from meshcert.contract.aws_errors import TRANSIENT
from meshcert.errors import AwsRefused, AwsUnavailable, MeshcertError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from entrypoint.aws.answer_reading import HttpAnswer
    from entrypoint.aws.endpoint import Endpoint

_OPERATION = "s3:GetObject"
_OK = 200
_NOT_MODIFIED = 304
_REFUSALS = range(400, 500)
_PASSING = frozenset({408, 429})
_CODE = re.compile(rb"<Code>(\w{1,80})</Code>")


class ObjectConnection(Protocol):
    """Carries a request; :class:`entrypoint.aws.signed_connection.SignedConnection` in the container."""

    def get(self, path: str, headers: list[tuple[str, str]], timeout_s: float) -> HttpAnswer:
        """The answer; ConnectionError if there is none."""


class StoredObject(NamedTuple):
    """
    An object's content.

    Args:
        entity_tag: The ETag of this content; empty if S3 gave none.
    """

    body: bytes
    entity_tag: str


class ObjectStorage:
    """
    Reads objects from S3. A request that fails on a kept connection is sent again on a new one, once.

    Args:
        region: Region of all buckets.
        environ: May name another endpoint for Amazon S3.
        connect: Makes a connection to an endpoint.
    """

    def __init__(
        self, region: str, environ: Mapping[str, str], connect: Callable[[Endpoint], ObjectConnection]
    ) -> None:
        self._region = region
        self._environ = environ
        self._connect = connect
        self._buckets: dict[str, tuple[ObjectConnection, str]] = {}

    def read(self, bucket: str, key: str, entity_tag: str = "") -> StoredObject | None:
        """
        Get an object (s3:GetObject) unless the caller has it already.

        Args:
            entity_tag: ETag of the content that the caller has; empty if it has none.

        Returns:
            The object; None if the caller has it already.

        Raises:
            AwsUnavailable: If S3 cannot answer now.
            AwsRefused: If S3 refuses. It answers AccessDenied for a missing object too, unless the role may list the
                bucket.
        """
        name = f"s3://{bucket}/{key}"
        try:
            answer = self._ask(bucket, key, [("If-None-Match", entity_tag)] if entity_tag else [])
        except (ConnectionError, ValueError) as error:
            raise AwsUnavailable(_OPERATION, name, str(error)) from error
        if answer.status == _NOT_MODIFIED and entity_tag:
            return None
        if answer.status == _OK:
            return StoredObject(answer.body, answer.entity_tag)
        raise _error(name, answer)

    def _ask(self, bucket: str, key: str, headers: list[tuple[str, str]]) -> HttpAnswer:
        kept = bucket in self._buckets
        if not kept:
            endpoint, prefix = object_endpoint(self._region, self._environ, bucket)
            self._buckets[bucket] = self._connect(endpoint), prefix
        connection, prefix = self._buckets[bucket]
        try:
            return connection.get(f"{prefix}/{key}", headers, REQUEST_TIMEOUT_S)
        except ConnectionError:
            # S3 closes idle connections, which may show only when one is used again.
            if not kept:
                raise
            return connection.get(f"{prefix}/{key}", headers, REQUEST_TIMEOUT_S)


def _error(name: str, answer: HttpAnswer) -> MeshcertError:
    found = _CODE.search(answer.body)
    code = found.group(1).decode() if found else f"HTTP {answer.status}"
    if answer.status in _REFUSALS and answer.status not in _PASSING and code not in TRANSIENT:
        return AwsRefused(_OPERATION, name, code, "")
    return AwsUnavailable(_OPERATION, name, code)
