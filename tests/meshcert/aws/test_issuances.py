"""The table of requests: one winner for each change, in memory and in DynamoDB alike."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from evidence.simulation.private_ca import InMemoryEpochs
from meshcert.aws.tables.issuances import Issuances
from meshcert.contract.issuances import IDENTITY, REPLACES
from meshcert.errors import CertificateRequestInvalid
from meshcert.issuing.epochs import FIRST, Epoch
from meshcert.issuing.issuance_terms import make_request
from meshcert.issuing.issuing_once import TOKEN_LIVES
from tests.meshcert.issuing.private_ca import AUTHORITY, NOW, TERMS

if TYPE_CHECKING:
    from local.running_aws import LocalAws
    from meshcert.issuing.epochs import Epochs

REQUEST = make_request(TERMS, "color", "front", "first 1", NOW)
EPOCH = Epoch("front", FIRST, 1, REQUEST.made_at, 1)
ARN = f"{AUTHORITY}/certificate/1"
LATER = REQUEST.made_at + dt.timedelta(minutes=10)


@pytest.fixture(params=["in memory", "DynamoDB"])
def epochs(request: pytest.FixtureRequest) -> Epochs:
    """A table with one request."""
    table: Epochs = InMemoryEpochs() if request.param == "in memory" else request.getfixturevalue("in_dynamodb")
    assert table.begin(REQUEST, EPOCH, 0)
    return table


@pytest.fixture
def in_dynamodb(aws: LocalAws) -> Issuances:
    """The adapter on a new, empty table."""
    name = f"issuances-{uuid.uuid4()}"
    keys = {IDENTITY: "HASH", REPLACES: "RANGE"}
    aws.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys.items()],
    )
    key = aws.client("kms").create_key()["KeyMetadata"]["KeyId"]
    root: dict[str, Any] = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    tables = boto3.resource("dynamodb", endpoint_url=aws.endpoint, region_name=aws.region, **root)
    return Issuances(tables.Table(name), aws.client("kms"), key)


def _only(epochs: Epochs) -> Epoch:
    (found,) = epochs.of("front")
    return found


def test_a_request_is_begun_once_and_read_as_it_was(epochs: Epochs) -> None:
    """Who comes second gets the first one's, key and all."""
    assert not epochs.begin(make_request(TERMS, "color", "front", "first 1", NOW), EPOCH, 0)
    assert _only(epochs) == EPOCH
    assert epochs.request(EPOCH) == REQUEST


def test_one_of_two_counts_another_certificate(epochs: Epochs) -> None:
    """Both have read the same row."""
    assert epochs.ask_again(EPOCH, LATER)
    assert not epochs.ask_again(EPOCH, LATER)
    assert (_only(epochs).asked, _only(epochs).asked_at) == (2, LATER)


def test_what_was_not_issued_is_taken_back_by_who_has_counted_it(epochs: Epochs) -> None:
    """The next one is as late as this one was; nobody takes back what another run has counted since."""
    epochs.ask_again(EPOCH, LATER)
    counted = _only(epochs)

    epochs.not_issued(EPOCH, EPOCH.asked_at)
    assert _only(epochs) == counted
    for _ in range(2):
        epochs.not_issued(counted, EPOCH.asked_at)

    assert _only(epochs) == EPOCH


def test_a_first_request_that_was_refused_has_cost_nothing(epochs: Epochs) -> None:
    """And is sent again as a late one."""
    epochs.not_issued(EPOCH, EPOCH.asked_at - TOKEN_LIVES)

    assert (_only(epochs).asked, _only(epochs).asked_at) == (0, EPOCH.asked_at - TOKEN_LIVES)


def test_a_certificate_that_came_through_meanwhile_stays_counted(epochs: Epochs) -> None:
    """Another run has sent the same request, and was answered."""
    epochs.issued(EPOCH, ARN)
    epochs.not_issued(EPOCH, EPOCH.asked_at - TOKEN_LIVES)

    assert (_only(epochs).asked, _only(epochs).certificate_arn) == (1, ARN)


def test_a_published_request_is_forgotten_with_its_key(epochs: Epochs) -> None:
    """What was counted stays."""
    epochs.issued(EPOCH, ARN)
    epochs.forget_request(_only(epochs))

    assert (_only(epochs).asked, _only(epochs).published) == (1, True)
    with pytest.raises(CertificateRequestInvalid, match="it is not stored any more"):
        epochs.request(EPOCH)
