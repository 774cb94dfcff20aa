"""The object with this mesh's own SPIFFE bundle, at Amazon S3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from meshcert import naming
from meshcert.aws.errors import aws_errors, error_code
from meshcert.errors import AwsUnavailable
from meshcert.federation.bundle_document import MOST_BYTES
from meshcert.federation.ports import StoredBundle

if TYPE_CHECKING:
    from meshcert.federation.own_bundle import OwnBundle

_ANOTHER_IS_THERE = ("PreconditionFailed", "ConditionalRequestConflict")
"""Codes of a conditional write that came too late (S3 guide, "Conditional requests")."""
_FRESH_S = 60
"""For how long a cache between S3 and a partner may keep it, seconds: short beside any refresh hint."""


class S3BundleObject:
    """
    :class:`meshcert.federation.ports.BundleObject`.

    Args:
        client: boto3's S3 client.
        bucket: Name of the bucket.
    """

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._name = f"{bucket}/{naming.BUNDLE_OBJECT}"

    def find(self) -> StoredBundle | None:
        """See :meth:`meshcert.federation.ports.FoundBundle.find`."""
        with aws_errors("s3:GetObject", self._name):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=naming.BUNDLE_OBJECT)
            except ClientError as error:
                # Told apart from "denied" only to those who may list the bucket (S3 API reference, GetObject).
                if error_code(error) == "NoSuchKey":
                    return None
                raise
            document = answer["Body"].read(MOST_BYTES + 1)
        return StoredBundle(document, answer.get("Metadata", {}), answer["ETag"])

    def write(self, bundle: OwnBundle, *, replaces: StoredBundle | None) -> None:
        """See :meth:`meshcert.federation.ports.BundleObject.write`."""
        only = {"IfMatch": replaces.tag} if replaces else {"IfNoneMatch": "*"}
        with aws_errors("s3:PutObject", self._name):
            try:
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=naming.BUNDLE_OBJECT,
                    Body=bundle.document,
                    ContentType="application/json",
                    CacheControl=f"max-age={_FRESH_S}",
                    Metadata=bundle.notes(),
                    **only,
                )
            except ClientError as error:
                if (code := error_code(error)) in _ANOTHER_IS_THERE:
                    raise AwsUnavailable("s3:PutObject", self._name, code, without_effect=True) from None
                raise
