"""
Buckets of a stack that goes.

MiniStack 1.5.33 deletes a bucket of a stack with everything in it.

AWS does not: "You can only delete empty buckets. Deletion fails for buckets that have contents." (CloudFormation
template reference, "AWS::S3::Bucket"). The resource is DELETE_FAILED, and its stack ROLLBACK_FAILED or DELETE_FAILED.

It can go when deleting a stack whose bucket holds an object ends in DELETE_FAILED.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ministack.services import s3
from ministack.services.cloudformation import provisioners

from local.aws import hooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.resource_type import Properties

_REFUSED = 400


def install() -> None:
    """Ask S3 before MiniStack forgets the bucket."""
    for name in ("_buckets", "_delete_bucket"):
        hooks.require(s3, name)
    handlers = hooks.require(provisioners, "_RESOURCE_HANDLERS")["AWS::S3::Bucket"]
    handlers["delete"] = _as_s3_does(handlers["delete"])


def _as_s3_does(inner: Callable[[str, Properties], None]) -> Callable[[str, Properties], None]:
    def delete(name: str, properties: Properties) -> None:
        if name in s3._buckets:
            status, _, body = s3._delete_bucket(name)
            if status >= _REFUSED:
                raise ValueError(f"S3 does not delete {name}: {body.decode()}")
        inner(name, properties)

    return delete
