"""What a task writes of itself is what the renewal function reads."""

from __future__ import annotations

import datetime as dt

from boto3.dynamodb.types import TypeDeserializer

from entrypoint.aws.dynamodb import attribute
from entrypoint.rotating.acknowledgements import row
from entrypoint.rotating.permissive import PermissiveCounts
from entrypoint.rotating.routes import RouteStanding
from entrypoint.rotating.standing import Stage, Standing
from evidence.fixtures.proxies import teller
from meshcert.aws.tables.acknowledgements import AcknowledgementRows
from meshcert.contract.acknowledgements import REFUSED_BY_UPSTREAM
from meshcert.lifecycle.observation import Acknowledgement, RequestsTaken, RoutesServed
from tests.meshcert.aws.test_rows import At, Rows

AT = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


def test_the_stage_of_a_trial_is_known_to_the_reader() -> None:
    """Tasks of earlier versions say by the stage alone that upstreams refuse a version."""
    assert f"{Stage.TRIAL}: " == REFUSED_BY_UPSTREAM


def test_every_field_that_a_task_writes_is_read() -> None:
    """Through DynamoDB's own types: all is well, a version is refused, an upstream refuses it."""
    standings = {
        "colorteller": Standing("v1", "0a", int(AT.timestamp()) + 60),
        "ledger": Standing("v1", "", 0, "v2", "preflight: it expired"),
        "shop": Standing("v1", "", 0, "v2", "trial: upstream ledger: it refuses it", "ledger@10.0.0.7 ledger@10.0.0.8"),
    }
    written = row(teller(), "arn:task/1", int(AT.timestamp()), standings)
    stored = {name: TypeDeserializer().deserialize(attribute(value)) for name, value in written.items()}

    read = AcknowledgementRows(Rows(stored), "table", At()).of("colorteller", ["arn:task/1"])
    assert read == {
        "arn:task/1": {
            "colorteller": Acknowledgement(AT, "v1", "0a", AT + dt.timedelta(minutes=1)),
            "ledger": Acknowledgement(AT, "v1", refused="v2", error="preflight: it expired"),
            "shop": Acknowledgement(
                AT,
                "v1",
                refused="v2",
                error="trial: upstream ledger: it refuses it",
                refused_by=("ledger@10.0.0.7", "ledger@10.0.0.8"),
            ),
        }
    }


def test_what_a_task_says_of_its_routes_is_read() -> None:
    """Beside each of its identities: the version that Envoy serves, and what it has refused."""
    routes = RouteStanding("a" * 64, "b" * 64, "egress: Envoy rejected it")
    written = row(teller(), "arn:task/1", int(AT.timestamp()), {"colorteller": Standing("v1", "0a", 0)}, routes)
    stored = {name: TypeDeserializer().deserialize(attribute(value)) for name, value in written.items()}

    read = AcknowledgementRows(Rows(stored), "table", At()).of("colorteller", ["arn:task/1"])

    assert read["arn:task/1"]["colorteller"].routes == RoutesServed(*routes)


def test_what_a_task_says_of_its_permissive_listeners_is_read() -> None:
    """Beside each of its identities; the time of a clock that is ahead is now."""
    counts = {
        9443: PermissiveCounts(1_234, 17, int(AT.timestamp())),
        9444: PermissiveCounts(5, 0),
        9445: PermissiveCounts(0, 1, int(AT.timestamp()) + 3_600),
    }
    standings = {"colorteller": Standing("v1", "0a", 0)}
    written = row(teller(), "arn:task/1", int(AT.timestamp()), standings, counts=counts)
    stored = {name: TypeDeserializer().deserialize(attribute(value)) for name, value in written.items()}

    read = AcknowledgementRows(Rows(stored), "table", At()).of("colorteller", ["arn:task/1"])

    assert read["arn:task/1"]["colorteller"].requests == (
        RequestsTaken(9443, 1_234, 17, AT),
        RequestsTaken(9444, 5, 0),
        RequestsTaken(9445, 0, 1, At().now()),
    )
