"""AWS's request quotas: off until switched on, by API, account and region, and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config as ClientConfig

from local.aws.faults.buckets import TokenBucket
from tests.local.aws.refusals import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.running_aws import LocalAws

ONCE = ClientConfig(retries={"total_max_attempts": 1})


@pytest.fixture
def limited(aws: LocalAws) -> Iterator[Callable[..., None]]:
    """Switches quotas on; they are off again afterwards."""
    aws.reset()
    yield lambda **rates: aws.control("PUT", "/_local/quotas", {"on": True, "rates": rates})
    aws.control("PUT", "/_local/quotas", {"on": False})


def test_a_bucket_fills_at_its_rate_and_never_over_its_brim() -> None:
    """Two at once; one more after half a second; after an hour still two at once."""
    now = [0.0]
    bucket = TokenBucket(rate=2, burst=2, clock=lambda: now[0])

    seen = []
    for moment in (0.0, 0.0, 0.0, 0.5, 0.5, 3600.0, 3600.0, 3600.0):
        now[0] = moment
        seen.append(bucket.take())

    assert seen == [True, True, False, True, False, True, True, False]


def test_nothing_is_limited_or_counted_until_quotas_are_on(fresh_aws: LocalAws) -> None:
    """ACM lists certificates twenty times at once."""
    acm = fresh_aws.client("acm", ONCE)

    seen = [_code(acm.list_certificates) for _ in range(20)]

    assert set(seen) == {""}
    assert fresh_aws.control("GET", "/_local/quotas") == {"on": False, "apis": {}}


def test_acms_own_rates_refuse_the_excess(aws: LocalAws, limited: Callable[..., None]) -> None:
    """Eight ListCertificates come through at once; the refused ones are counted; other APIs have their own buckets."""
    limited()
    acm = aws.client("acm", ONCE)

    seen = [_code(acm.list_certificates) for _ in range(30)]
    other = _code(acm.describe_certificate, CertificateArn=f"arn:aws:acm:{aws.region}:{aws.account}:certificate/none")

    assert seen[:8] == [""] * 8
    refused = seen.count("ThrottlingException")
    assert refused >= 10
    assert other == "ResourceNotFoundException"
    assert aws.control("GET", "/_local/quotas")["apis"] == {
        "acm:DescribeCertificate": {"calls": 1, "throttled": 0},
        "acm:ListCertificates": {"calls": 30, "throttled": refused},
    }


def test_secret_writes_share_one_bucket(aws: LocalAws, limited: Callable[..., None]) -> None:
    """PutSecretValue, UpdateSecret and UpdateSecretVersionStage take from the same fifty; here from the same two."""
    secrets = aws.client("secretsmanager", ONCE)
    secrets.create_secret(Name="one", SecretString="x")
    limited(**{"secretsmanager:UpdateSecret": {"rate": 0.01, "burst": 2}})

    seen = [
        _code(secrets.put_secret_value, SecretId="one", SecretString="y"),
        _code(secrets.update_secret, SecretId="one", Description="z"),
        _code(secrets.put_secret_value, SecretId="one", SecretString="w"),
        _code(secrets.describe_secret, SecretId="one"),
    ]

    assert seen == ["", "", "ThrottlingException", ""]


def test_each_region_has_its_own_buckets(aws: LocalAws, limited: Callable[..., None]) -> None:
    """What is used up in one region is whole in the next."""
    limited(**{"acm:ListCertificates": {"rate": 0.01, "burst": 1}})
    here = aws.client("acm", ONCE)
    there = boto3.client("acm", endpoint_url=aws.endpoint, region_name="us-east-1", config=ONCE, **_ADMINISTRATOR)

    seen = [_code(client.list_certificates) for client in (here, here, there, there)]

    assert seen == ["", "ThrottlingException", "", "ThrottlingException"]


def test_an_api_without_a_quota_may_get_one(aws: LocalAws, limited: Callable[..., None]) -> None:
    """DynamoDB's own throttling error, at a rate that the test chose."""
    limited(**{"dynamodb:ListTables": {"rate": 0.01, "burst": 1}})
    dynamodb = aws.client("dynamodb", ONCE)

    seen = [_code(dynamodb.list_tables) for _ in range(2)]

    assert seen == ["", "ProvisionedThroughputExceededException"]


def test_a_client_with_retries_gets_through(aws: LocalAws, limited: Callable[..., None]) -> None:
    """The refusals are of the kind that botocore waits for and repeats."""
    limited(**{"acm:ListCertificates": {"rate": 20, "burst": 2}})
    acm = aws.client("acm", ClientConfig(retries={"mode": "standard", "max_attempts": 8}))

    seen = [_code(acm.list_certificates) for _ in range(6)]

    assert set(seen) == {""}
    assert aws.control("GET", "/_local/quotas")["apis"]["acm:ListCertificates"]["throttled"] > 0


_ADMINISTRATOR = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}


def _code(call: Callable[..., Any], **arguments: Any) -> str:
    """The error code of a call; empty if it is answered."""
    try:
        call(**arguments)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""
