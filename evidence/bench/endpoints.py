"""
Benchmark ``endpoints``: sixteen tasks coming and going behind real callers, of each delivery.

The callers are the real entrypoint and Envoy; Cloud Map's answers are the wire fixture's, in which every task is
unhealthy, as on AWS for its first 30 seconds. Only when no task is there may a request fail, and until callers have
learned that there is one again.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any

from rich.table import Table

from evidence.bench.coming_and_going import PORT, Clients, Service
from evidence.bench.report import circumstances
from evidence.fixtures.addresses import loopback_addresses
from evidence.fixtures.container import Container, installed_envoy, lay_out_image, memory_folder
from evidence.fixtures.proxies import gateway
from evidence.fixtures.registrations import NAMESPACE
from evidence.fixtures.secrets_api import SecretsApi
from meshcert.contract.discovery import CALLERS_LEARN_S
from meshcert.proxy import Backend, DeliveryMode, Route

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.console import Console

NAME = "endpoints"
SUMMARY = "16 tasks coming and going, one redeployed, a service scaled to 0 and back: failed requests, spread of load"
TASKS = 16
GOAL_SPREAD = 0.15
STEADY_S = 30.0
CHANGE_EVERY_S = 3.0
CHANGES = 16
CLIENTS = 4
"""Clients for each caller and service."""
MANY, SINGLE, RESTING, LATE = "many", "single", "resting", "late"


def run(rounds: int, console: Console) -> dict[str, Any]:
    """
    Let tasks come and go, print the table, and give the figures for the report.

    Args:
        rounds: Not used: the number of changes is what is claimed.
        console: For progress and table.
    """
    del rounds
    load_before, began = os.getloadavg()[0], time.monotonic()
    addresses = loopback_addresses()
    with memory_folder() as folder, SecretsApi(next(addresses)) as api:
        image = lay_out_image(folder / "image", installed_envoy())
        callers = {
            delivery: Container(image, folder / delivery, next(addresses), _caller(delivery), api.environment)
            for delivery in DeliveryMode
        }
        figures = asyncio.run(_measure(callers, api, lambda: next(addresses), console))
    figures |= {
        "tasks": TASKS,
        "goal_spread": GOAL_SPREAD,
        "took_s": round(time.monotonic() - began, 1),
        **circumstances(load_before),
    }
    _print(figures, console)
    return figures


def _caller(delivery: DeliveryMode) -> Any:
    services = (MANY, SINGLE, RESTING, LATE)
    return gateway(
        identities={},
        trust_bundles={},
        backends=tuple(Backend(name, f"{name}.{NAMESPACE}", PORT, "http", cloud_map_service=name) for name in services),
        routes=tuple(Route(f"/{name}", name) for name in services),
        cloud_map_namespace=NAMESPACE,
        delivery=delivery,
    )


async def _measure(
    callers: Mapping[DeliveryMode, Container], api: SecretsApi, new_address: Callable[[], str], console: Console
) -> dict[str, Any]:
    many, single, resting, late = (
        Service(name, api.registrations, new_address) for name in (MANY, SINGLE, RESTING, LATE)
    )
    await many.start(TASKS)
    for service in (single, resting):
        await service.start()
    clients = {
        service.name: [Clients(caller.address, f"/{service.name}", CLIENTS) for caller in callers.values()]
        for service in (many, single, resting, late)
    }
    try:
        for caller in callers.values():
            caller.__enter__()
        for caller in callers.values():
            await asyncio.to_thread(caller.wait_until_healthy)
        console.print(f"{TASKS} tasks, {len(callers)} callers: {STEADY_S:g} s")
        for name in (MANY, SINGLE, RESTING):
            _start(clients[name])
        spreads = [await _spread(many)]
        console.print(f"{CHANGES} tasks come and go, one crashes; another service is redeployed, one rests")
        excused = await _change(many, single, resting, clients)
        console.print("a callee is deployed after its caller")
        late.create()
        await late.start()
        await asyncio.sleep(CALLERS_LEARN_S)
        _start(clients[LATE])
        spreads.append(await _spread(many))
        every = [each for of_service in clients.values() for each in of_service]
        for each in every:
            await each.stop()
    finally:
        for caller in callers.values():
            caller.__exit__(None, None, None)
        for service in (many, single, resting, late):
            service.end()
    seen = [times for service in (many, single, resting, late) for times in service.seen.values()]
    return {
        "callers": len(callers) * CLIENTS * len(clients),
        "requests": sum(each.requests for each in every),
        "failed": sum(each.failed for each in every) - excused,
        "without_a_task": excused,
        "counted": len(seen),
        "twice": sum(times > 1 for times in seen),
        "answers": {name: dict(_sum(of_service)) for name, of_service in clients.items()},
        "spread": round(max(spreads), 3),
    }


async def _change(many: Service, single: Service, resting: Service, clients: Mapping[str, list[Clients]]) -> int:
    """Let tasks come and go; returns how many requests failed because a service had no task."""
    before = 0
    for number in range(CHANGES):
        if number == 0:
            resting.stop()
        if number == 1:
            await single.start()
        if number == 2:
            single.stop()
        if number == CHANGES // 2:
            await resting.start()
        if number == CHANGES // 2 + 5:  # every caller has learned that there is a task again
            before = sum(each.failed for each in clients[RESTING])
        await many.start()
        if number == CHANGES // 2:
            await many.crash(noticed_after_s=CHANGE_EVERY_S)
        else:
            many.stop()
            await asyncio.sleep(CHANGE_EVERY_S)
    return before


async def _spread(service: Service) -> float:
    """The largest deviation from even of the tasks' shares, while none comes or goes."""
    await asyncio.sleep(CALLERS_LEARN_S)
    before = {task.address: task.requests for task in service.tasks}
    await asyncio.sleep(STEADY_S)
    counts = [task.requests - before[task.address] for task in service.tasks]
    even = sum(counts) / len(counts)
    return max(abs(count / even - 1) for count in counts) if even else 1.0


def _start(clients: list[Clients]) -> None:
    for each in clients:
        each.start()


def _sum(clients: list[Clients]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in clients:
        for answer, count in each.answers.items():
            found[answer] = found.get(answer, 0) + count
    return found


def _print(figures: Mapping[str, Any], console: Console) -> None:
    table = Table("", "requests", "answers", title="Endpoints")
    for name, answers in figures["answers"].items():
        table.add_row(
            name, str(sum(answers.values())), ", ".join(f"{count} of {each}" for each, count in answers.items())
        )
    console.print(table)
    console.print(
        f"{figures['failed']} of {figures['requests']} requests failed beside {figures['without_a_task']} without a "
        f"task, {figures['twice']} of {figures['counted']} came to a task twice; largest deviation from even "
        f"{figures['spread']:.1%} (goal {GOAL_SPREAD:.0%}); {figures['took_s']} s"
    )
