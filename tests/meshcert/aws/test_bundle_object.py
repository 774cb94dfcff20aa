"""The object with this mesh's own bundle: what S3 is asked, and what its answers mean."""

from __future__ import annotations

import datetime as dt
import io
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from meshcert.aws.bundle_object import S3BundleObject
from meshcert.errors import AccessDenied, AwsUnavailable
from meshcert.federation.own_bundle import OwnBundle
from meshcert.federation.ports import StoredBundle

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACE = {"Bucket": "bucket", "Key": "bundle.json"}
TIME = dt.datetime(2026, 11, 30, tzinfo=dt.UTC)
BUNDLE = OwnBundle(b"{}", 1, 300, {"a" * 32: TIME}, TIME)
WRITTEN = PLACE | {
    "Body": b"{}",
    "ContentType": "application/json",
    "CacheControl": "max-age=60",
    "Metadata": BUNDLE.notes(),
}
STORED = StoredBundle(b"[]", {}, '"tag"')


@pytest.fixture
def s3() -> Iterator[tuple[Stubber, S3BundleObject]]:
    """S3, which answers as it is told."""
    client = boto3.client("s3", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        yield stub, S3BundleObject(client, "bucket")
        stub.assert_no_pending_responses()


def test_what_is_there_comes_with_its_notes(s3: tuple[Stubber, S3BundleObject]) -> None:
    """And with the tag by which it is replaced."""
    stub, place = s3
    body = StreamingBody(io.BytesIO(b"{}"), 2)
    stub.add_response("get_object", {"Body": body, "ETag": '"tag"', "Metadata": {"settled": "1"}}, PLACE)

    assert place.find() == StoredBundle(b"{}", {"settled": "1"}, '"tag"')


def test_nothing_there_is_no_error_and_a_denial_is_one(s3: tuple[Stubber, S3BundleObject]) -> None:
    """A denial may hide an object: a new one would begin anew."""
    stub, place = s3
    stub.add_client_error("get_object", "NoSuchKey", http_status_code=404)
    stub.add_client_error("get_object", "AccessDenied", http_status_code=403)

    assert place.find() is None
    with pytest.raises(AccessDenied):
        place.find()


@pytest.mark.parametrize(
    ("replaces", "condition"), [(None, {"IfNoneMatch": "*"}), (STORED, {"IfMatch": '"tag"'})], ids=["first", "next"]
)
def test_it_is_written_over_what_was_seen_and_nothing_else(
    s3: tuple[Stubber, S3BundleObject], replaces: StoredBundle | None, condition: dict[str, Any]
) -> None:
    """Another run that was faster has its say."""
    stub, place = s3
    stub.add_response("put_object", {}, WRITTEN | condition)
    for code, status in (("PreconditionFailed", 412), ("ConditionalRequestConflict", 409)):
        stub.add_client_error("put_object", code, http_status_code=status, expected_params=WRITTEN | condition)

    place.write(BUNDLE, replaces=replaces)
    for _ in range(2):
        with pytest.raises(AwsUnavailable):
            place.write(BUNDLE, replaces=replaces)
