"""Settings in an object: what goes in comes out, nothing else does, and every size is bounded."""

from __future__ import annotations

import json
import zlib
from hashlib import sha256

import pytest

from evidence.fixtures.many_backends import gateway_with_backends
from meshcert.bounded_json import MOST_BYTES
from meshcert.documents.stored_settings import (
    LONGEST_IN_ENVIRONMENT,
    LONGEST_STORED,
    SUFFIX,
    SettingsObject,
    stored_settings,
)
from meshcert.errors import StoredSettingsUnusable


def _named(content: bytes) -> SettingsObject:
    digest = sha256(content).hexdigest()
    return SettingsObject.from_uri(f"s3://cdk-assets-1-eu-west-1/{digest}{SUFFIX}")


def test_settings_of_300_backends_come_back_as_they_were() -> None:
    """They are far too long for a task definition, and far below the bound of an object."""
    text = gateway_with_backends(300).to_json()

    content, digest = stored_settings(text)

    assert len(text) > LONGEST_IN_ENVIRONMENT
    assert len(content) < LONGEST_STORED / 10
    stored = _named(content)
    assert stored.digest == digest
    assert stored.open(content) == text


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{}", "it is not zlib"),
        (zlib.compress(b"{}")[:-1], "it is cut"),
        (zlib.compress(b"{}") + b"more", "it is cut"),
        (zlib.compress(bytes(MOST_BYTES + 1)), "longer than 1048576 bytes"),
        (zlib.compress(b"\xff"), "not Unicode"),
        (bytes(LONGEST_STORED + 1), "longer than 262144 bytes"),
        (b"", "it is cut"),
    ],
)
def test_an_object_that_is_none_of_ours_is_refused(content: bytes, problem: str) -> None:
    """Also if somebody has named it by its true SHA-256."""
    with pytest.raises(StoredSettingsUnusable, match=problem):
        _named(content).open(content)


def test_other_content_than_the_name_says_is_refused_before_it_is_opened() -> None:
    """Whoever may write into the bucket cannot change what a proxy does."""
    content, _ = stored_settings(json.dumps({"schema": 1}))

    with pytest.raises(StoredSettingsUnusable, match="SHA-256"):
        _named(b"another").open(content)


_DIGEST = "0a" * 32


@pytest.mark.parametrize(
    "uri",
    [
        "",
        f"https://bucket/{_DIGEST}{SUFFIX}",
        f"s3://bucket/{_DIGEST}",
        f"s3://bucket/{_DIGEST[1:]}{SUFFIX}",
        f"s3://bucket/{_DIGEST}{SUFFIX}?versionId=1",
        f"s3://bucket/{_DIGEST}{SUFFIX}\n",
        f"s3://bucket.with.dots/{_DIGEST}{SUFFIX}",
        f"s3://bucket@elsewhere/{_DIGEST}{SUFFIX}",
        f"s3:///{_DIGEST}{SUFFIX}",
        f"s3://bucket/a b/{_DIGEST}{SUFFIX}",
    ],
)
def test_a_name_that_is_none_of_ours_is_refused(uri: str) -> None:
    """It becomes a host and a path, in which nothing is escaped."""
    with pytest.raises(ValueError, match="s3://BUCKET"):
        SettingsObject.from_uri(uri)


def test_a_bootstrap_may_have_a_prefix() -> None:
    """The CDK's bootstrap has one for the whole bucket, if it is asked for."""
    uri = f"s3://bucket/some/prefix/{_DIGEST}{SUFFIX}"

    assert SettingsObject.from_uri(uri) == ("bucket", f"some/prefix/{_DIGEST}{SUFFIX}", _DIGEST)
    assert SettingsObject.from_uri(uri).uri == uri
