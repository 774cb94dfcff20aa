"""How the proxy asks Amazon S3: the right host, only what has changed, and every way of not answering."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.config import Config

from entrypoint.aws.answer_reading import HttpAnswer
from entrypoint.aws.endpoint import Endpoint, object_endpoint
from entrypoint.aws.object_storage import ObjectStorage, StoredObject
from meshcert.errors import AwsRefused, AwsUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

BUCKET = "meshcert-color-crl-111122223333-eu-west-1"
KEY = "crl/a.crl"


@pytest.mark.parametrize("fips", [False, True])
@pytest.mark.parametrize("region", ["eu-west-1", "us-east-1", "us-gov-west-1", "cn-north-1", "eusc-de-east-1"])
def test_hosts_are_those_of_the_aws_sdk(region: str, *, fips: bool) -> None:
    """botocore, which the image does not have, sends the same request to the same host; China has no FIPS endpoint."""
    if fips and region == "cn-north-1":
        return
    client = botocore.session.Session().create_client(
        "s3",
        region_name=region,
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(use_fips_endpoint=fips, s3={"us_east_1_regional_endpoint": "regional"}),
    )
    sent: list[str] = []

    def catch(request: Any, **_: object) -> Any:
        sent.append(request.url)
        raise ConnectionAbortedError

    client.meta.events.register("before-send.s3.GetObject", catch)
    with pytest.raises(ConnectionAbortedError):
        client.get_object(Bucket=BUCKET, Key=KEY)

    endpoint, prefix = object_endpoint(region, {"AWS_USE_FIPS_ENDPOINT": str(fips).lower()}, BUCKET)

    assert sent == [f"https://{endpoint.authority}{prefix}/{KEY}"]


@pytest.mark.parametrize(
    "environ",
    [
        {"AWS_ENDPOINT_URL": "http://all:4566"},
        {"AWS_ENDPOINT_URL": "http://none", "AWS_ENDPOINT_URL_S3": "http://all:4566"},
    ],
)
def test_an_endpoint_of_somebody_elses_has_the_bucket_in_its_path(environ: dict[str, str]) -> None:
    """It need not have a host name for every bucket."""
    assert object_endpoint("eu-west-1", environ, BUCKET) == (Endpoint("all", 4566, tls=False), f"/{BUCKET}")


class Wire:
    """Connections that give one answer and remember what they were asked."""

    def __init__(self, answer: Callable[[], HttpAnswer]) -> None:
        self.connections: list[Endpoint] = []
        self.asked: list[tuple[str, list[tuple[str, str]]]] = []
        self._answer = answer

    def connect(self, endpoint: Endpoint) -> Wire:
        """A connection."""
        self.connections.append(endpoint)
        return self

    def get(self, path: str, headers: list[tuple[str, str]], timeout_s: float) -> HttpAnswer:
        """Its answer."""
        assert timeout_s <= 3
        self.asked.append((path, headers))
        return self._answer()


def _storage(wire: Wire, **environ: str) -> ObjectStorage:
    return ObjectStorage("eu-west-1", environ, wire.connect)


def test_an_object_is_asked_for_by_its_tag_on_one_connection() -> None:
    """A bucket is connected to once."""
    wire = Wire(lambda: HttpAnswer(200, b"list", '"1"'))
    storage = _storage(wire)

    assert storage.read(BUCKET, KEY) == storage.read(BUCKET, KEY, '"0"') == StoredObject(b"list", '"1"')
    assert wire.asked == [(f"/{KEY}", []), (f"/{KEY}", [("If-None-Match", '"0"')])]
    assert [each.host for each in wire.connections] == [f"{BUCKET}.s3.eu-west-1.amazonaws.com"]


def test_what_has_not_changed_is_not_sent() -> None:
    """This applies only if the caller has something already."""
    storage = _storage(Wire(lambda: HttpAnswer(304, b"", '"1"')))

    assert storage.read(BUCKET, KEY, '"1"') is None
    with pytest.raises(AwsUnavailable, match="HTTP 304"):
        storage.read(BUCKET, KEY)


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (403, b"<Error><Code>AccessDenied</Code></Error>", AwsRefused, "AccessDenied"),
        (404, b"<Error><Code>NoSuchKey</Code></Error>", AwsRefused, "NoSuchKey"),
        (404, b"", AwsRefused, "HTTP 404"),
        (301, b"<Error><Code>PermanentRedirect</Code></Error>", AwsUnavailable, "PermanentRedirect"),
        (408, b"", AwsUnavailable, "HTTP 408"),
        (429, b"", AwsUnavailable, "HTTP 429"),
        (503, b"<Error><Code>SlowDown</Code></Error>", AwsUnavailable, "SlowDown"),
        (500, b"\xff<html>", AwsUnavailable, "HTTP 500"),
    ],
)
def test_a_refusal_is_told_from_an_outage(
    status: int, body: bytes, kind: type[AwsRefused | AwsUnavailable], said: str
) -> None:
    """S3's own code decides, where it gives one."""
    with pytest.raises(kind, match=said) as error:
        _storage(Wire(lambda: HttpAnswer(status, body, ""))).read(BUCKET, KEY)

    assert f"s3://{BUCKET}/{KEY}" in str(error.value)


def test_a_connection_that_s3_has_ended_meanwhile_is_made_again() -> None:
    """Once, and not for the first request, which is sent on a new connection anyway."""
    ends: list[bool] = []

    def answer() -> HttpAnswer:
        if ends and ends.pop():
            raise ConnectionError("closed")
        return HttpAnswer(200, b"list", "")

    wire = Wire(answer)
    storage = _storage(wire)
    ends[:] = [True]
    with pytest.raises(AwsUnavailable, match="closed"):
        storage.read(BUCKET, KEY)
    ends[:] = [True]
    assert storage.read(BUCKET, KEY)
    ends[:] = [True, True]
    with pytest.raises(AwsUnavailable, match="closed"):
        storage.read(BUCKET, KEY)


def test_no_answer_and_no_url_are_outages() -> None:
    """A broken connection, and an endpoint that is not a URL."""

    def broken() -> HttpAnswer:
        raise ConnectionError("no answer within 3 s")

    for storage in (_storage(Wire(broken)), _storage(Wire(broken), AWS_ENDPOINT_URL="ftp://x")):
        with pytest.raises(AwsUnavailable, match=r"no answer within 3 s|not an http"):
            storage.read(BUCKET, KEY)
