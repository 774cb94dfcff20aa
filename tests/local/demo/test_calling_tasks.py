"""From which tasks the clients of a node's application call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from local.demo.calling_tasks import LOOK_EVERY_S, CallingTasks
from local.running_mesh import RunningMesh

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.running_aws import LocalAws


@dataclass
class Ecs:
    """Tasks of one service: the last number of the address of each, its status and its health."""

    tasks: dict[int, tuple[str, str]] = field(default_factory=dict)
    looks: int = 0

    def client(self, _service: str, **_account: str) -> Ecs:
        """Itself."""
        return self

    def get_paginator(self, _operation: str) -> Ecs:
        """Itself."""
        return self

    def paginate(self, *, desiredStatus: str, **_: Any) -> Iterator[dict[str, Any]]:  # noqa: N803 -- boto3's
        """One page of ListTasks."""
        self.looks += 1
        assert desiredStatus == "RUNNING"
        yield {"taskArns": [str(number) for number in self.tasks]}

    def describe_tasks(self, tasks: list[str], **_: Any) -> dict[str, Any]:
        """DescribeTasks."""
        return {"tasks": [self._described(int(number)) for number in tasks]}

    def _described(self, number: int) -> dict[str, Any]:
        status, health = self.tasks[number]
        details = [{"name": "privateIPv4Address", "value": f"10.0.0.{number}"}]
        return {
            "taskArn": str(number),
            "lastStatus": status,
            "healthStatus": health,
            "group": "service:front",
            "attachments": [{"details": details}],
        }


def test_calls_come_from_the_ready_tasks_of_now_in_turn() -> None:
    """A task that is not healthy yet makes none; one that is no longer meant to run makes none after the next look."""
    now = [0.0]
    ecs = Ecs({1: ("RUNNING", "HEALTHY"), 2: ("RUNNING", "HEALTHY"), 3: ("RUNNING", "UNKNOWN"), 4: ("PENDING", "")})
    running = RunningMesh(cast("LocalAws", ecs), "front", str)
    address = CallingTasks(running, lambda: now[0]).address_of("front")

    assert [address() for _ in range(3)] == ["10.0.0.1", "10.0.0.2", "10.0.0.1"]
    assert ecs.looks == 1
    ecs.tasks = {2: ("RUNNING", "HEALTHY"), 3: ("RUNNING", "HEALTHY")}
    now[0] += LOOK_EVERY_S

    assert {address() for _ in range(4)} == {"10.0.0.2", "10.0.0.3"}


def test_without_a_ready_task_there_is_nobody_to_call() -> None:
    """The client counts that as a failure."""
    running = RunningMesh(cast("LocalAws", Ecs()), "front", str)

    with pytest.raises(LookupError, match="no task of front is ready"):
        CallingTasks(running).address_of("front")()
