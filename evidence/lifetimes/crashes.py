"""
Rotations in which a function is killed at one of its AWS calls, or AWS throttles, and what they come to all the same.

A rotation is ordered, as an operator does. Its calls are written down once; then every call of it is a boundary, before
and after which the function's process is killed in a rotation of its own.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

from evidence.lifetimes.monitor import Monitor
from local.running_mesh import NotSettled, wait_until
from local.ticking import Ticking
from meshcert import naming
from meshcert.aws.queues.orders import OrdersQueue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from evidence.lifetimes.experiment import Experiment

FUNCTIONS = {"renewal": naming.RENEWAL_ROLE, "export": naming.EXPORT_ROLE}
"""The functions of a rotation, and their roles."""
_ROTATED_WITHIN_S, _THROTTLED_WITHIN_S = 90.0, 300.0
_QUIET_S = 1.5


@dataclass(frozen=True)
class Boundary:
    """
    One side of one AWS call.

    Args:
        function: ``renewal`` or ``export``.
        number: Which of its calls in the rotation, from 1.
        call: The call, ``service:Action``.
        when: ``before`` AWS has seen it, or ``after`` AWS has done it.
    """

    function: str
    number: int
    call: str
    when: str

    def __str__(self) -> str:
        """For example ``after acm:RenewCertificate (renewal 7)``."""
        return f"{self.when} {self.call} ({self.function} {self.number})"


@dataclass(frozen=True)
class Rotation:
    """
    What a rotation came to.

    Args:
        settled: Whether it came to its end in time.
        certificates: New certificates that ACM held.
        versions: New versions that were published.
        epochs: New versions that became current, one after the other.
        deployments: Deployments of the service that began.
        kills: How often a process was killed.
    """

    settled: bool
    certificates: int
    versions: int
    epochs: int
    deployments: int
    kills: int = 0

    def faults(self, most_deployments: int) -> Iterator[str]:
        """
        What was not as it must be.

        Args:
            most_deployments: 1 if the service takes versions over by deployments, else 0.
        """
        if not self.settled:
            yield "not settled in time"
        if (self.certificates, self.versions, self.epochs) != (1, 1, 1):
            yield f"{self.certificates} certificates, {self.versions} versions, {self.epochs} epochs"
        if self.deployments > most_deployments:
            yield f"{self.deployments} deployments"


class Rotations:
    """
    Rotations of one identity, one after the other; a context manager that ticks and watches.

    Args:
        experiment: A mesh that is up, with certificates that are not due.
        identity: The identity; its service has the same name.
        tick_s: Pause between two ticks, seconds.
    """

    def __init__(self, experiment: Experiment, identity: str, tick_s: float = 1.0) -> None:
        self._experiment = experiment
        self._identity = identity
        self._monitor = Monitor(experiment.aws, experiment.name, experiment.deployed.certificates, every_s=0.2)
        self._running = contextlib.ExitStack()
        self._ticking = Ticking(experiment.aws, experiment.name, tick_s)
        self._orders = OrdersQueue(experiment.aws.client("sqs"), naming.queue(experiment.name, "orders"))

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as running:
            running.enter_context(self._monitor)
            running.enter_context(self._ticking)
            self._wait()
            self._running = running.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()
        self._experiment.aws.control("PUT", "/_local/faults", [])

    def record(self, function: str) -> list[str]:
        """The calls of a function in one whole rotation, in their order, ``service:Action``."""
        self._calls({"role": role_of(self._experiment, function)})
        self.rotate()
        calls = self._experiment.aws.control("GET", "/_local/calls")
        self._calls({"role": None})
        return [f"{service}:{action}" for service, action in calls]

    def killed_at(self, boundary: Boundary) -> Rotation:
        """A rotation in which a process dies at a boundary."""
        return self.rotate([fault_of(self._experiment, boundary)])

    def throttled(self, p: float) -> Rotation:
        """A rotation in which every call of the functions and of the task is throttled with a probability."""
        name, region = self._experiment.name, self._experiment.aws.region
        owners = (*FUNCTIONS.values(), naming.DISPATCH_ROLE, self._identity)
        rules = [{"kind": "throttle", "role": naming.role(name, region, owner), "p": p} for owner in owners]
        return self.rotate(rules, within_s=_THROTTLED_WITHIN_S)

    def rotate(self, rules: Sequence[Mapping[str, Any]] = (), within_s: float = _ROTATED_WITHIN_S) -> Rotation:
        """
        Order a renewal and wait until the identity is settled again.

        Args:
            rules: Fault rules in force meanwhile.
            within_s: Longest wait, seconds.
        """
        before = self._monitor.latest(self._identity)
        seen = len(self._monitor.samples[self._identity])
        published, deployments = set(self._experiment.mesh.published(self._identity)), self._deployments()
        aws = self._experiment.aws
        aws.control("PUT", "/_local/faults", list(rules))
        self._orders.send("renew", self._identity, "a rotation of the crash test")
        settled = True
        try:
            self._wait(before.current if before else "", within_s)
        except NotSettled:
            settled = False
        hits = aws.control("GET", "/_local/faults")["hits"]
        aws.control("PUT", "/_local/faults", [])
        samples = self._monitor.samples[self._identity][max(0, seen - 1) :]
        changes = sum(one.current != other.current for one, other in pairwise(samples))
        return Rotation(
            settled=settled,
            certificates=len({sample.issued for sample in samples} - {before.issued if before else None}),
            versions=len(set(self._experiment.mesh.published(self._identity)) - published),
            epochs=changes,
            deployments=self._deployments() - deployments,
            kills=sum(count for name, count in hits.items() if name.endswith(":kill")),
        )

    def _wait(self, old: str = "", within_s: float = _ROTATED_WITHIN_S) -> None:
        """Until the identity is settled on another version than the old one, and no look is under way any more."""

        def there() -> bool:
            latest = [sample for sample in self._monitor.samples[self._identity] if sample.at > time.time() - _QUIET_S]
            return len(latest) > 1 and all(sample.settled and sample.current != old for sample in latest)

        wait_until(there, f"{self._identity}: a rotation", within_s=within_s)

    def _calls(self, value: Mapping[str, Any]) -> None:
        self._experiment.aws.control("PUT", "/_local/calls", value)

    def _deployments(self) -> int:
        ecs, cluster = self._experiment.mesh.client("ecs"), naming.cluster(self._experiment.name)
        question: dict[str, Any] = {"cluster": cluster, "service": self._identity, "maxResults": 100}
        found = 0
        while True:
            answer = ecs.list_service_deployments(**question)
            found += len(answer["serviceDeployments"])
            if not answer.get("nextToken"):
                return found
            question["nextToken"] = answer["nextToken"]


def role_of(experiment: Experiment, function: str) -> str:
    """Who signs a function's calls, as faults and records of the local AWS name it: functions may share a role."""
    name = experiment.name
    role = naming.role(name, experiment.aws.region, FUNCTIONS[function])
    return f"{role}/{naming.function(name, function)}"


def fault_of(experiment: Experiment, boundary: Boundary) -> dict[str, Any]:
    """The fault rule by which a process dies at a boundary."""
    role = role_of(experiment, boundary.function)
    return {"kind": "kill", "role": role, "at": boundary.number, "when": boundary.when}


def boundaries(function: str, calls: Sequence[str]) -> list[Boundary]:
    """Both sides of every call."""
    return [
        Boundary(function, number, call, when)
        for number, call in enumerate(calls, start=1)
        for when in ("before", "after")
    ]
