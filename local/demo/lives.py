"""Whole lives of certificates of AWS Private CA, while clients keep asking: a day passes in a minute here."""

from __future__ import annotations

import datetime as dt
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from local.demo.renewal import Renewed, tell_requests
from local.policy import act_on
from local.running_mesh import wait_until
from local.ticking import Ticking
from meshcert import naming
from meshcert.aws.queues.orders import OrdersQueue
from meshcert.contract.issuances import IDENTITY, REPLACES
from meshcert.identity import IssuerName
from meshcert.issuing.private_ca_lives import BACK_DATING
from meshcert.lifecycle.orders import RENEW
from meshcert.lifecycle.policy import Policy
from meshcert.mesh.edges.pairs import presenters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from local.demo.scene import Scene
    from local.gateway_client import SteadyClient
    from local.running_mesh import Task

LIFE_S = 60.0
"""A life here, seconds; the mesh file's shortest one, scaled."""
LIVES = 3
LOOK_EVERY_S = 0.5
_LOOKS = 60
"""How often the renewal function looks at an identity in a life; its last third, in which it renews, has 20."""
_ROWS_LIVE_S = 25 * 3600.0
"""A row of the table ``issuances`` counts for a day."""


@dataclass(frozen=True)
class Lived:
    """
    What became of all identities in whole lives.

    Args:
        lifetimes: Whole lives that have passed.
        renewed: Each identity.
        certificates: Certificates that each identity has had meanwhile.
        expired: Identities that showed an expired certificate at some moment.
    """

    lifetimes: int
    renewed: dict[str, Renewed]
    certificates: dict[str, int]
    expired: tuple[str, ...]


def lives_alone(scene: Scene) -> bool:
    """True if every identity of a mesh has its certificates of AWS Private CA."""
    return all(identity.issuer is IssuerName.PRIVATE_CA for identity in scene.mesh.identities.values())


def live_under_load(
    scene: Scene, clients: Sequence[SteadyClient], *, lives: int, life_s: float, when_served: Callable[[], object]
) -> Lived:
    """
    Let whole lives pass while clients ask.

    The local AWS makes lives shorter, in proportion. The renewal function is told how much NotBefore lies before the
    issue, which is shorter alike; on AWS nobody tells it so.

    Args:
        clients: They ask from before the first short certificate until the last life has passed.
        lives: How many.
        life_s: What the mesh file's shortest life lasts here, seconds.
        when_served: Called again and again: clients with certificates of the mesh's take the current ones.

    Raises:
        NotSettled: If an identity does not get there.
    """
    names = list(scene.mesh.identities)
    declared_s = min(scene.mesh.identities[name].life.total_seconds() for name in names)
    factor = life_s / declared_s
    with scene.stage.step("Every identity settles after the deploy"):
        before = scene.all_proven(names)
    tasks = {name: {task.arn for task in _tasks(scene, name)} for name in names}
    serials = {name: [scene.running.serial_of(name, before[name])] for name in names}
    versions = dict(before)
    expired: dict[str, None] = {}
    scene.stage.say(f"from now on, this local AWS makes {life_s:g} seconds of {declared_s / 3600:g} hours of life")
    scene.aws.control("PUT", "/_local/acm-pca/lives", {"factor": factor})
    back_dating_s, pause_s = BACK_DATING.total_seconds() * factor, life_s / _LOOKS
    act_on(
        scene.running, Policy(back_dating_s=back_dating_s, shortest_between_renewals_s=pause_s, look_again_s=pause_s)
    )

    def look() -> None:
        for name in names:
            current = scene.running.current_version(name)
            if current == versions[name]:
                continue
            versions[name] = current
            serials[name].append(scene.running.serial_of(name, current))
        when_served()
        _rows_expire(scene, factor)

    def short() -> bool:
        look()
        return all(versions[name] != before[name] for name in names)

    orders = OrdersQueue(scene.running.client("sqs"), naming.queue(scene.mesh.name, "orders"))
    text = f"{lives} whole lives of {life_s:g} seconds: issued, published, served, renewed, and clients keep asking"
    with scene.stage.step(text), Ticking(scene.aws, scene.mesh.name, every_s=pause_s), ExitStack() as asking:
        for client in clients:
            asking.enter_context(client)
        for name in names:
            orders.send(RENEW, name, "its life is that of the mesh file")
        wait_until(
            short,
            "a short certificate for every identity",
            within_s=scene.patience_s,
            every_s=LOOK_EVERY_S,
        )
        began = time.monotonic()
        while (passed_s := time.monotonic() - began) < lives * life_s:
            look()
            for name in _showing_ended(scene, names):
                expired.setdefault(name)
            scene.stage.detail(f"{passed_s / life_s:.1f} lives, {sum(map(len, serials.values()))} certificates")
            time.sleep(LOOK_EVERY_S)
        scene.wait_for_enough(*clients)
    renewed = {
        name: Renewed(
            old_serial=serials[name][0],
            serial=serials[name][-1],
            served_after_s=0.0,
            settled=len(serials[name]) > lives and name not in expired,
            new_tasks=tasks[name].isdisjoint(task.arn for task in _tasks(scene, name)) if tasks[name] else None,
        )
        for name in names
    }
    for name in names:
        scene.stage.say(f"{name}: {len(serials[name]) - 1} certificates in {lives} lives")
    tell_requests(scene, clients)
    return Lived(lives, renewed, {name: len(each) - 1 for name, each in serials.items()}, tuple(expired))


def _tasks(scene: Scene, identity: str) -> list[Task]:
    return [task for service in presenters(scene.mesh, identity) for task in scene.running.tasks(service)]


def _showing_ended(scene: Scene, names: Sequence[str]) -> Iterator[str]:
    """Identities of which an Envoy serves a certificate that has ended."""
    now = dt.datetime.now(dt.UTC)
    for name in names:
        with suppress(httpx.HTTPError):
            if any(_served_until(task) <= now for task in _tasks(scene, name)):
                yield name


def _served_until(task: Task) -> dt.datetime:
    """When the leaf certificate that a task's Envoy serves ends; the first to end of several."""
    certificates = task.admin("/certs").json()["certificates"]
    ends = [each["cert_chain"][0]["expiration_time"] for each in certificates if each.get("cert_chain")]
    return min(map(dt.datetime.fromisoformat, ends))


def _rows_expire(scene: Scene, factor: float) -> None:
    """DynamoDB deletes what has served its time, and the budget of a day is that of a day of the mesh file's."""
    rows, table = scene.running.client("dynamodb"), naming.issuances_table(scene.mesh.name)
    for row in rows.scan(TableName=table)["Items"]:
        if "published" in row and time.time() - float(row["asked_at"]["N"]) > _ROWS_LIVE_S * factor:
            rows.delete_item(TableName=table, Key={key: row[key] for key in (IDENTITY, REPLACES)})
