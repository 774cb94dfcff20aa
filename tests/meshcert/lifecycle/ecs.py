"""Amazon ECS in memory: services with deployments and tasks, and proxies that acknowledge what they serve."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from meshcert.aws.ecs.events import services_of
from meshcert.aws.ecs.services import WORDS
from meshcert.contract.staging_labels import QUARANTINED
from meshcert.errors import IdentityMissing
from meshcert.lifecycle.observation import Acknowledgement, Instance, Rollout, RolloutState, Workload
from meshcert.proxy import RotationMode
from meshcert.publishing.publication import version_labelled

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from evidence.simulation.vault import InMemoryVault
    from meshcert.identity import Identity, ServiceUse
    from tests.meshcert.publishing.fakes import FakeClock

START = dt.timedelta(seconds=30)
FAILURES_ENDURED = 3
DRAIN = dt.timedelta(seconds=100)
"""From the moment on at which ECS wants a task to stop."""


@dataclass
class RunningTask:
    """A task and the proxy in it."""

    arn: str
    deployment: str
    started_at: dt.datetime
    serves: str = ""
    refuses: str = ""
    error: str = ""
    polls_at: dt.datetime | None = None
    deaf: bool = False
    mute: bool = False
    settings: str = ""
    ends_at: dt.datetime | None = None


@dataclass
class Deployment:
    """A deployment; the newest is the one ECS calls PRIMARY."""

    id: str
    state: RolloutState = RolloutState.IN_PROGRESS
    failed_tasks: int = 0
    failures: list[str] = field(default_factory=list)
    excused: list[str] = field(default_factory=list)
    excused_code: int = 0
    starts_at: dt.datetime | None = None
    was_completed: bool = False


@dataclass
class SimulatedService:
    """A service whose tasks serve one identity."""

    identity: Identity
    use: ServiceUse
    desired_count: int
    deployments: list[Deployment] = field(default_factory=list)
    tasks: list[RunningTask] = field(default_factory=list)
    ending: list[RunningTask] = field(default_factory=list)
    breaks: bool = False
    refusal: str = ""
    rolls_back: bool = False
    overruled: Deployment | None = None

    @property
    def newest(self) -> Deployment:
        """The deployment that starts tasks."""
        return self.deployments[-1]

    @property
    def told(self) -> Deployment:
        """The deployment that is shown as the newest: while ECS rolls one back, that one."""
        return self.overruled or self.newest


class SimulatedEcs:
    """
    Services of one cluster.

    A deployment starts one task after the other, each replaces one of before, which drains, and a failed one is tried
    again until the circuit breaker ends it; if the service ``rolls_back``, the last one that was completed is the
    newest again then, and starts what it lacks. A task reads the current version when it starts. Tasks
    of ``reload`` services poll; they go back to an older version only from one that is quarantined. A version among
    ``bad`` cannot be served: a task that starts with it fails, one that runs refuses it.

    Args:
        clock: Time.
        vault: Secrets Manager.
    """

    def __init__(self, clock: FakeClock, vault: InMemoryVault) -> None:
        self.services: dict[str, SimulatedService] = {}
        self.bad: set[str] = set()
        self.forged: dict[str, dict[str, dict[str, Acknowledgement]]] = {}
        self.deployments_begun: list[str] = []
        self.started_with: list[str] = []
        self.published: dict[str, str] = {}
        self.never_end = False
        self._clock, self._vault = clock, vault
        self._numbers = count(1)

    def create(self, identity: Identity, use: ServiceUse, desired_count: int = 2) -> SimulatedService:
        """What the services stack does."""
        service = SimulatedService(identity, use, desired_count)
        self.services[use.name] = service
        self._deploy(service)
        self.settle(service)
        return service

    def settle(self, service: SimulatedService) -> None:
        """Let a service's deployment come to its end at once."""
        while service.newest.state is RolloutState.IN_PROGRESS:
            service.newest.starts_at = self._clock.now()
            self._advance(service)

    def advance(self) -> None:
        """What ECS and the proxies do until now."""
        for service in self.services.values():
            self._advance(service)

    def news(self, event: Mapping[str, Any]) -> tuple[str, ...]:
        """ECS's own events."""
        return services_of(event)

    def look(self, name: str, place: str = "") -> Workload | None:
        """DescribeServices and DescribeTasks."""
        self.advance()
        service = self.services.get(name)
        if service is None or service.use.place != place:
            return None
        newest = service.told
        return Workload(
            name,
            service.desired_count,
            tuple(Instance(task.arn, task.deployment, started_at=task.started_at) for task in service.tasks),
            Rollout(newest.id, newest.state, newest.failed_tasks, taken_back=service.overruled is not None),
            WORDS,
            tuple(newest.failures),
            tuple(newest.excused),
            newest.excused_code,
            refusal=service.refusal,
        )

    def ending(self, name: str, place: str = "") -> tuple[str, ...]:
        """ListTasks, of those that are to stop, and DescribeTasks."""
        self.advance()
        service = self.services.get(name)
        return tuple(task.arn for task in service.ending) if service and service.use.place == place else ()

    def roll_out(self, name: str, place: str = "") -> str:
        """UpdateService with forceNewDeployment."""
        self.advance()
        if name not in self.services:
            raise IdentityMissing(name, "Deploy the services stack")
        self.deployments_begun.append(name)
        assert self.services[name].use.place == place
        return self._deploy(self.services[name])

    def identities_of(self, service_arn: str) -> tuple[str, ...]:
        """ListTagsForResource."""
        service = self.services.get(service_arn.rsplit("/", 1)[-1])
        return (service.identity.name,) if service else ()

    def of(self, service: str, instances: Collection[str]) -> dict[str, dict[str, Acknowledgement]]:
        """The table ``acknowledgements``."""
        self.advance()
        found = self.services.get(service)
        rows: dict[str, dict[str, Acknowledgement]] = {}
        for task in (*found.tasks, *found.ending) if found else ():
            if not task.mute:
                said = Acknowledgement(self._clock.now(), task.serves, refused=task.refuses, error=task.error)
                said = replace(said, settings=task.settings)
                rows[task.arn] = {found.identity.name: said} if found else {}
        rows |= self.forged.get(service, {})
        return {instance: row for instance, row in rows.items() if instance in instances}

    def version(self, service: str) -> str:
        """The settings in the table ``routes``."""
        return self.published.get(service, "")

    def _deploy(self, service: SimulatedService) -> str:
        deployment = Deployment(f"ecs-svc/{next(self._numbers)}", starts_at=self._clock.now() + START)
        service.deployments.append(deployment)
        service.overruled = None
        return deployment.id

    def _advance(self, service: SimulatedService) -> None:
        # A task takes a while to start, so several may have started since we were here last.
        while service.newest.starts_at and service.newest.starts_at <= self._clock.now():
            at, service.newest.starts_at = service.newest.starts_at, None
            self._start(service, service.newest, at)
        for task in service.tasks:
            self._poll(service, task)
        now = self._clock.now()
        service.ending = [task for task in service.ending if self.never_end or (task.ends_at and task.ends_at > now)]

    def _start(self, service: SimulatedService, newest: Deployment, at: dt.datetime) -> None:
        current = self._current(service)
        new = [task for task in service.tasks if task.deployment == newest.id]
        if len(new) < service.desired_count:
            self.started_with.append(current)
            if current in self.bad or service.breaks:
                newest.failed_tasks += 1
                newest.failures.append("Essential container in task exited: 78")
                tripped = newest.failed_tasks >= FAILURES_ENDURED
                # What rolls back is not rolled back itself: it starts tasks until they stay.
                tripped = tripped and newest.state is RolloutState.IN_PROGRESS and not service.overruled
                newest.state = RolloutState.FAILED if tripped else newest.state
                newest.starts_at = None if tripped else at + START
                if tripped and service.rolls_back:
                    self._roll_back(service, newest, at)
                return
            arn = f"arn:aws:ecs:eu-west-1:111122223333:task/color/{next(self._numbers):032x}"
            settings = self.published.get(service.use.name, "")
            started = RunningTask(arn, newest.id, at, serves=current, polls_at=at, settings=settings)
            kept = self._kept(service, newest)
            service.ending += [replace(task, ends_at=at + DRAIN) for task in service.tasks if task not in kept]
            service.tasks = [*kept, started]
            newest.failed_tasks = 0
            new.append(started)
        if len(new) < service.desired_count:
            newest.starts_at = at + START
        else:
            newest.state, newest.was_completed, service.overruled = RolloutState.COMPLETED, True, None

    def _roll_back(self, service: SimulatedService, failed: Deployment, at: dt.datetime) -> None:
        """What the circuit breaker does: the last deployment that was completed is primary again."""
        before = next(each for each in reversed(service.deployments) if each.was_completed)
        service.deployments.remove(before)
        service.deployments.append(before)
        service.overruled, before.state, before.starts_at = failed, RolloutState.IN_PROGRESS, at + START

    def _kept(self, service: SimulatedService, newest: Deployment) -> list[RunningTask]:
        """The tasks that stay when another one has started: as many of before as there is room for."""
        old = [task for task in service.tasks if task.deployment != newest.id]
        new = [task for task in service.tasks if task.deployment == newest.id]
        room = service.desired_count - len(new) - 1
        return [*new, *old[len(old) - min(room, len(old)) :]]

    def _poll(self, service: SimulatedService, task: RunningTask) -> None:
        interval = dt.timedelta(seconds=service.use.poll_interval_s)
        if service.use.rotation is not RotationMode.RELOAD or task.deaf or task.polls_at is None:
            return
        if task.polls_at + interval > self._clock.now() or service.identity.secret_id not in self._vault.secrets:
            return
        task.polls_at = self._clock.now()
        current = self._current(service)
        if current == task.serves:
            task.refuses, task.error = "", ""
        elif current in self.bad:
            task.refuses, task.error = current, "Envoy does not take it"
        elif not self._is_older(service, current, task.serves) or self._is_quarantined(service, task.serves):
            task.serves, task.refuses, task.error = current, "", ""

    def _is_quarantined(self, service: SimulatedService, version: str) -> bool:
        return version_labelled(self._vault.labels(service.identity.secret_id), QUARANTINED) == version

    def _is_older(self, service: SimulatedService, one: str, other: str) -> bool:
        versions = list(self._vault.secrets[service.identity.secret_id].values)
        return other in versions and versions.index(one) < versions.index(other)

    def _current(self, service: SimulatedService) -> str:
        return self._vault.current_version(service.identity.secret_id)
