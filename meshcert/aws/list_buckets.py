"""Buckets of others at Amazon S3 that hold revocation lists."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from meshcert.aws.errors import aws_errors, error_code
from meshcert.errors import IdentityMissing

_NOT_THERE_YET = ("404", "NoSuchKey", "NotFound")
_NO_BUCKET = "NoSuchBucket"


class S3ListBuckets:
    """
    :class:`meshcert.deploying.named_lists.ListBuckets`.

    Args:
        client: boto3's S3 client.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def look(self, bucket: str, key: str) -> None:
        """See :meth:`meshcert.deploying.named_lists.ListBuckets.look`."""
        name = f"s3://{bucket}/{key}"
        with aws_errors("s3:GetObject", name):
            try:
                # GetObject tells by its code what HeadObject, whose answer has no body, cannot.
                self._client.get_object(Bucket=bucket, Key=key, Range="bytes=0-0")
            except ClientError as error:
                if error_code(error) == _NO_BUCKET:
                    raise IdentityMissing(name, "Write where the CA's owner keeps its list") from error
                if error_code(error) not in _NOT_THERE_YET:
                    raise
