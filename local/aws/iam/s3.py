"""
What S3 says of an object that is not there: to whoever may not list the bucket, that access is denied.

S3 API reference, GetObject: "If you don't have the s3:ListBucket permission, Amazon S3 returns an HTTP status code 403
(Access Denied) error."
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.core import iam_actions
from ministack.services import s3

from local.aws import hooks

if TYPE_CHECKING:
    from collections.abc import Callable

    Checks = Callable[..., list[tuple[str, str]]]


def install() -> None:
    """Have reading a missing object need the right to list its bucket."""
    hooks.require(s3, "_buckets")
    hooks.require(s3, "_bucket_owner_account")
    hooks.wrap(iam_actions, "s3_additional_checks", _with_the_list)


def _with_the_list(inner: Checks) -> Checks:
    def checks(method: str, path: str, *more: Any) -> list[tuple[str, str]]:
        found = list(inner(method, path, *more))
        bucket, _, key = path.lstrip("/").partition("/")
        owner = s3._bucket_owner_account(bucket)
        record = s3._buckets.get_scoped(owner, None, bucket) if owner else None
        if method in {"GET", "HEAD"} and key and record is not None and key not in record["objects"]:
            found.append(("s3:ListBucket", f"arn:aws:s3:::{bucket}"))
        return found

    return checks
