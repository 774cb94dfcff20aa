"""Events that are lost, doubled, late or out of order because a test wants them so."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from local.running_aws import LocalAwsFailed
from tests.local.aws.triggers import Queue, new_queue

if TYPE_CHECKING:
    from local.running_aws import LocalAws

TELLER, GATEWAY = (f"arn:aws:acm:eu-west-1:111122223333:certificate/{name}" for name in ("teller", "gateway"))
MODES = "/_local/events/modes"


@pytest.fixture
def seen(fresh_aws: LocalAws) -> Queue:
    """A queue behind a rule for everything that ACM and Health send."""
    queue = new_queue(fresh_aws, "seen")
    rules = fresh_aws.client("events")
    rules.put_rule(Name="all", EventPattern=json.dumps({"source": ["aws.acm", "aws.health"]}))
    rules.put_targets(Rule="all", Targets=[{"Id": "queue", "Arn": queue.arn}])
    return queue


def send(aws: LocalAws, resource: str, number: int = 0, source: str = "aws.acm", kind: str = "Available") -> None:
    """One event about a certificate."""
    event = {"Source": source, "DetailType": kind, "Resources": [resource], "Detail": {"number": number}}
    aws.control("POST", "/_local/events", [event])


def bodies(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events in messages."""
    return [json.loads(message["Body"]) for message in messages]


def counts(aws: LocalAws) -> dict[str, int]:
    """How many events met each kind of mode."""
    answer: dict[str, int] = aws.control("GET", MODES)["counts"]
    return answer


def test_without_a_mode_events_arrive_as_sent(fresh_aws: LocalAws, seen: Queue) -> None:
    """Once, and nothing is counted."""
    send(fresh_aws, TELLER)

    assert len(seen.messages()) == 1
    assert counts(fresh_aws) == {"delayed": 0, "doubled": 0, "lost": 0, "mixed": 0, "shuffled": 0}


def test_identities_misbehave_side_by_side(fresh_aws: LocalAws, seen: Queue) -> None:
    """The first mode that fits an event counts: one certificate's are lost, the other's come twice with one id."""
    modes = [
        {"source": "aws.acm", "resource": TELLER, "mode": "lost"},
        {"source": "aws.acm", "resource": "*", "mode": "doubled"},
    ]
    fresh_aws.control("PUT", MODES, modes)

    send(fresh_aws, TELLER)
    send(fresh_aws, GATEWAY)
    send(fresh_aws, TELLER, source="aws.health")

    arrived = bodies(seen.messages())
    assert [event["resources"][0] for event in arrived] == [GATEWAY, GATEWAY, TELLER]
    assert arrived[0]["id"] == arrived[1]["id"]
    assert counts(fresh_aws) == {"delayed": 0, "doubled": 1, "lost": 1, "mixed": 0, "shuffled": 0}
    assert [mode["met"] for mode in fresh_aws.control("GET", MODES)["modes"]] == [1, 1]


def test_a_mode_may_mean_one_kind_of_event(fresh_aws: LocalAws, seen: Queue) -> None:
    """By its detail-type; the others arrive."""
    fresh_aws.control("PUT", MODES, [{"detail_type": "Available", "mode": "lost"}])

    send(fresh_aws, TELLER, kind="Available")
    send(fresh_aws, TELLER, kind="Expired")

    assert [event["detail-type"] for event in bodies(seen.messages())] == ["Expired"]


def test_a_delayed_event_arrives_late_and_keeps_its_time(fresh_aws: LocalAws, seen: Queue) -> None:
    """Not before its seconds have passed; until then it is held."""
    fresh_aws.control("PUT", MODES, [{"mode": "delayed", "seconds": 1}])

    send(fresh_aws, TELLER)
    held = fresh_aws.control("GET", MODES)["modes"][0]["held"]
    message = seen.first()

    arrived = int(message["Attributes"]["SentTimestamp"]) / 1000
    happened = datetime.fromisoformat(json.loads(message["Body"])["time"]).timestamp()
    assert held == 1
    assert arrived - happened >= 1
    assert fresh_aws.control("GET", MODES)["modes"][0]["held"] == 0


def test_a_mode_may_mean_what_an_event_names_in_its_detail(fresh_aws: LocalAws, seen: Queue) -> None:
    """A task's event names its service there and nowhere else."""
    fresh_aws.control("PUT", MODES, [{"resource": "service:teller", "mode": "lost"}])
    event = {"Source": "aws.acm", "DetailType": "Task State Change", "Resources": ["arn:aws:ecs:task"]}
    details = [{"group": "service:teller"}, {"group": "service:colorteller"}]

    fresh_aws.control("POST", "/_local/events", [{**event, "Detail": detail} for detail in details])

    assert [arrived["detail"]["group"] for arrived in bodies(seen.messages())] == ["service:colorteller"]


def test_mixed_events_come_twice_and_out_of_order(fresh_aws: LocalAws, seen: Queue) -> None:
    """Two events are four arrivals, together."""
    fresh_aws.control("PUT", MODES, [{"mode": "mixed", "seconds": 60}])

    send(fresh_aws, TELLER, 0)
    early = seen.messages()
    send(fresh_aws, TELLER, 1)

    arrived = [event["detail"]["number"] for event in bodies(seen.messages())]
    assert early == []
    assert sorted(arrived) == [0, 0, 1, 1]
    assert arrived != [0, 0, 1, 1]


def test_shuffled_events_come_three_together_in_a_repeatable_order(fresh_aws: LocalAws, seen: Queue) -> None:
    """None before the third; the order is another than they were sent in, the same each time."""
    orders = []
    for _ in range(2):
        fresh_aws.control("PUT", MODES, [{"mode": "shuffled", "seconds": 60}])
        for number in range(2):
            send(fresh_aws, TELLER, number)
        assert seen.messages() == []
        send(fresh_aws, TELLER, 2)
        orders.append([event["detail"]["number"] for event in bodies(seen.messages())])

    assert sorted(orders[0]) == [0, 1, 2]
    assert orders[0] != [0, 1, 2]
    assert orders[0] == orders[1]


def test_shuffled_events_wait_no_longer_than_told(fresh_aws: LocalAws, seen: Queue) -> None:
    """Two are let go when no third one comes."""
    fresh_aws.control("PUT", MODES, [{"mode": "shuffled", "seconds": 0.5}])

    for number in range(2):
        send(fresh_aws, TELLER, number)

    assert sorted(event["detail"]["number"] for event in bodies(seen.take(2))) == [0, 1]


def test_new_modes_let_go_what_the_old_ones_held(fresh_aws: LocalAws, seen: Queue) -> None:
    """Nothing is lost by a change; the counts begin anew."""
    fresh_aws.control("PUT", MODES, [{"mode": "delayed", "seconds": 600}])
    send(fresh_aws, TELLER)

    fresh_aws.control("PUT", MODES, [])

    assert len(seen.messages()) == 1
    assert counts(fresh_aws)["delayed"] == 0


def test_a_reset_forgets_modes_and_what_they_hold(fresh_aws: LocalAws) -> None:
    """The next test begins with events that behave."""
    fresh_aws.control("PUT", MODES, [{"mode": "delayed", "seconds": 0.1}])
    send(fresh_aws, TELLER)

    fresh_aws.reset()

    assert fresh_aws.control("GET", MODES)["modes"] == []


def test_events_that_others_put_obey_as_well(fresh_aws: LocalAws) -> None:
    """Modes sit where EventBridge dispatches, so events of ECS and of an account's own sources meet them too."""
    queue, rules = new_queue(fresh_aws, "own"), fresh_aws.client("events")
    rules.put_rule(Name="own", EventPattern=json.dumps({"source": ["shop"]}))
    rules.put_targets(Rule="own", Targets=[{"Id": "queue", "Arn": queue.arn}])
    fresh_aws.control("PUT", MODES, [{"source": "shop", "mode": "doubled"}])

    rules.put_events(Entries=[{"Source": "shop", "DetailType": "sold", "Detail": "{}"}])

    assert len(queue.messages()) == 2


def test_an_unknown_mode_is_refused(fresh_aws: LocalAws) -> None:
    """And the modes in force stay."""
    fresh_aws.control("PUT", MODES, [{"mode": "lost"}])

    with pytest.raises(LocalAwsFailed, match="'torn' is none of"):
        fresh_aws.control("PUT", MODES, [{"mode": "torn"}])

    assert [mode["mode"] for mode in fresh_aws.control("GET", MODES)["modes"]] == ["lost"]
