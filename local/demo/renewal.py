"""ACM's day of renewal, while clients keep asking."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.ticking import Ticking
from meshcert.mesh.edges.pairs import presenters

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from local.demo.scene import Scene
    from local.gateway_client import SteadyClient


@dataclass(frozen=True)
class Renewed:
    """
    What became of one identity.

    Args:
        old_serial: Its certificate before, hex.
        serial: Its certificate after, hex, as every Envoy that presents it serves it.
        served_after_s: From the promotion to that, seconds.
        settled: Whether it is served, and from now on the version to go back to.
        new_tasks: Whether other tasks than before serve it; None if no service presents it.
    """

    old_serial: str
    serial: str
    served_after_s: float
    settled: bool
    new_tasks: bool | None

    @property
    def done(self) -> bool:
        """Whether the renewal was carried through."""
        return self.settled and self.serial not in {"", self.old_serial}


def renew_under_load(
    scene: Scene,
    clients: Sequence[SteadyClient],
    *,
    before: str,
    text: str,
    when_served: Callable[[], object] = bool,
) -> dict[str, Renewed]:
    """
    Have ACM renew every identity while clients ask.

    Args:
        clients: They ask from before the renewal until every identity has settled.
        before: What is said of the wait for the versions before.
        text: What is said of the renewal.
        when_served: Called when every Envoy serves the new certificates, while the clients still ask.

    Returns:
        Each identity, in the mesh file's order.

    Raises:
        NotSettled: If an identity does not get there.
    """
    names = list(scene.mesh.identities)
    with scene.stage.step(before):
        versions = scene.all_proven(names)
    services = {name: presenters(scene.mesh, name) for name in names}
    tasks = {name: _tasks(scene, services[name]) for name in names}
    watches = {name: scene.watch(name, versions[name]) for name in names}
    # A tick is a message for each identity that is not settled: more than the functions work off would only queue.
    pace_s = max(1.0, len(names) / 4)
    ticking = Ticking(scene.aws, scene.mesh.name, every_s=pace_s, accounts=scene.accounts)
    with scene.stage.step(text), ticking, ExitStack() as asking:
        for client in clients:
            asking.enter_context(client)
        for watch in watches.values():
            watch.start()
        scene.acm_renews()
        for watch in watches.values():
            watch.join()
        when_served()
        scene.stage.detail("served; the clients go on asking")
        if clients:
            scene.wait_for_enough(*clients)
        settled = scene.all_proven(names)
    renewed = {
        name: Renewed(
            old_serial=watch.old_serial,
            serial=watch.serial,
            served_after_s=round(watch.served_after_s, 2),
            settled=settled[name] != versions[name],
            new_tasks=tasks[name].isdisjoint(_tasks(scene, services[name])) if services[name] else None,
        )
        for name, watch in watches.items()
    }
    _tell(scene, renewed, clients)
    return renewed


def _tasks(scene: Scene, services: Sequence[str]) -> set[str]:
    return {task.arn for service in services for task in scene.running.tasks(service)}


def _tell(scene: Scene, renewed: dict[str, Renewed], clients: Sequence[SteadyClient]) -> None:
    for name, one in renewed.items():
        serials = f"…{one.old_serial[-8:]} → …{one.serial[-8:]}"
        if one.new_tasks is None:
            scene.stage.say(f"{name}: {serials}, for a client outside the mesh")
            continue
        task = "a new task" if one.new_tasks else "the same task"
        scene.stage.say(f"{name}: {serials}, served by {task} {one.served_after_s:.2f} s after promotion")
    tell_requests(scene, clients)


def tell_requests(scene: Scene, clients: Sequence[SteadyClient]) -> None:
    """Say how many requests there were, and what failed first."""
    failures = [failure for client in clients for failure in client.failures]
    scene.stage.say(f"{sum(client.requests for client in clients)} requests meanwhile, {len(failures)} failed")
    scene.say_what_failed(*clients)
