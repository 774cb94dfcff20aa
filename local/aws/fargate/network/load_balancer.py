"""Network load balancers: one TCP forwarder for each listener, on an address of the load balancer's own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import threading
from typing import TYPE_CHECKING, Any

from ministack.core.responses import request_scope
from ministack.services import alb

from local.aws import control, hooks
from local.aws.fargate.network import addresses
from local.aws.fargate.network.addresses import Addresses
from local.aws.fargate.network.leaving_targets import Lag, LeavingTargets

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from local.aws.config import Config

logger = logging.getLogger(__name__)

# Listeners come and go through the API and through CloudFormation's provisioners; looking is simpler than two hooks.
_LOOK_AGAIN_S = 0.25
_CONNECT_TIMEOUT_S = 5.0
_CHUNK = 65536
# Ports below 1024 are not everybody's: an ordinary user finds such a listener this much higher.
_UNPRIVILEGED_OFFSET = 10000


def install(config: Config) -> Balancers:
    """Start forwarding for the listeners there will be."""
    for name in ("_lbs", "_listeners", "_targets", "_tgs"):
        hooks.require(alb, name)
    balancers = Balancers(config)
    control.at_stop(balancers.close)
    control.at_reset(balancers.release)
    control.route("/_local/targets", balancers.hold)
    return balancers


class Balancers:
    """All forwarders of one local AWS, on an event loop in a thread of their own."""

    def __init__(self, config: Config) -> None:
        self._lag = Lag(config.traffic.target_lag_s * config.traffic.scale)
        self._addresses = Addresses(config.network, addresses.LOAD_BALANCERS)
        self._hosts: dict[str, str] = {}
        self._lock = threading.Lock()
        self._listeners: dict[str, Listener] = {}
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="load-balancers")
        self._thread.start()

    def address_of(self, dns_name: str) -> str | None:
        """The address of the load balancer with that DNS name, or None; it is allocated when first asked for."""
        for _, balancer in alb._lbs.all_items():
            if balancer["DNSName"].lower() == dns_name and balancer["Type"] == "network":
                arn = balancer["LoadBalancerArn"]
                with self._lock:
                    if arn not in self._hosts:
                        self._hosts[arn] = self._addresses.allocate()
                return self._hosts[arn]
        return None

    def listening(self) -> dict[str, tuple[str, list[int]]]:
        """Address and ports of every network load balancer, by its DNS name."""
        found: dict[str, tuple[str, list[int]]] = {}
        for _, balancer in alb._lbs.all_items():
            arn = balancer["LoadBalancerArn"]
            if arn in self._hosts:
                ports = [item.port for item in list(self._listeners.values()) if item.balancer == arn]
                found[balancer["DNSName"]] = (self._hosts[arn], ports)
        return found

    def hold(self, request: Mapping[str, Any]) -> dict[str, bool]:
        """
        Hold deregistered targets, or let them go: a test may so look at the lag without having to hurry.

        Args:
            request: ``held``: whether they get new connections until told otherwise; without it, nothing is changed.

        Returns:
            Whether they are held now.
        """
        self._lag.held = bool(request.get("held", self._lag.held))
        return {"held": self._lag.held}

    def release(self) -> None:
        """Let deregistered targets go when their lag is over."""
        self._lag.held = False

    def close(self) -> None:
        """Stop listening and cut what is open."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(_CONNECT_TIMEOUT_S)

    def _run(self) -> None:
        self._loop.run_until_complete(self._follow())

    async def _follow(self) -> None:
        while not self._ended.is_set():
            try:
                await self._sync()
            except OSError:
                logger.exception("a load balancer cannot listen")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), _LOOK_AGAIN_S)
        for listener in self._listeners.values():
            await listener.close()

    async def _sync(self) -> None:
        balancers = {arn: balancer for (_, _, arn), balancer in alb._lbs.all_items()}
        wanted = {
            arn: (item, (account, region))
            for (account, region, arn), item in alb._listeners.all_items()
            if _forwarded(item, balancers.get(item["LoadBalancerArn"]))
        }
        for arn in [arn for arn in self._listeners if arn not in wanted]:
            await self._listeners.pop(arn).close()
        for arn, (item, scope) in wanted.items():
            if arn not in self._listeners:
                host = self.address_of(balancers[item["LoadBalancerArn"]]["DNSName"].lower())
                listener = Listener(arn, item["LoadBalancerArn"], scope, LeavingTargets(self._lag))
                await listener.open(str(host), int(item["Port"]))
                self._listeners[arn] = listener
        for listener in self._listeners.values():
            # Without a look now and then, a target that leaves between two connections would not be missed.
            listener.targets()


def _forwarded(listener: dict[str, Any], balancer: dict[str, Any] | None) -> bool:
    return balancer is not None and balancer["Type"] == "network" and listener["Protocol"] == "TCP"


class Listener:
    """
    One listener; each new connection goes to the next registered target, as a network load balancer's flow does.

    Args:
        arn: The listener's ARN.
        balancer: Its load balancer's ARN.
        scope: Account and region.
        leaving: Which targets are still used though they are deregistered.
    """

    def __init__(self, arn: str, balancer: str, scope: tuple[str, str], leaving: LeavingTargets) -> None:
        self._arn = arn
        self._scope = scope
        self._leaving = leaving
        self.balancer = balancer
        self.port = 0
        self._turn = itertools.count()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def open(self, host: str, port: int) -> None:
        """
        Listen.

        Raises:
            OSError: If neither the port nor its unprivileged stand-in can be bound.
        """
        try:
            self._server = await asyncio.start_server(self._accept, host, port)
            self.port = port
        except PermissionError:
            self.port = port + _UNPRIVILEGED_OFFSET
            self._server = await asyncio.start_server(self._accept, host, self.port)

    async def close(self) -> None:
        """Stop listening and cut open connections, as deleting a listener does."""
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        targets = self.targets()
        if not targets:
            writer.transport.abort()
            return
        host, port = targets[next(self._turn) % len(targets)]
        try:
            opening = asyncio.open_connection(host, port)
            upstream_reader, upstream_writer = await asyncio.wait_for(opening, _CONNECT_TIMEOUT_S)
        except (OSError, TimeoutError):
            writer.transport.abort()
            return
        clean = False
        try:
            clean = await _both(_pump(reader, upstream_writer), _pump(upstream_reader, writer))
        finally:
            for side in (writer, upstream_writer):
                if clean:
                    side.close()
                else:
                    side.transport.abort()

    def targets(self) -> list[tuple[str, int]]:
        """Where new connections go; a target that is none of them any more keeps those it has."""
        with request_scope(*self._scope):
            actions = (alb._listeners.get(self._arn) or {}).get("DefaultActions") or []
            group = next((action["TargetGroupArn"] for action in actions if action.get("TargetGroupArn")), "")
            default = alb._tgs.get(group, {}).get("Port", 0)
            registered = list(alb._targets.get(group, []))
        return self._leaving.used([(target["Id"], int(target.get("Port") or default)) for target in registered])


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy one direction to its end and pass that end on; the other direction stays open."""
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
    writer.write_eof()


async def _both(*directions: Coroutine[Any, Any, None]) -> bool:
    """Wait until both directions have ended; False as soon as one breaks."""
    clean = True
    try:
        async with asyncio.TaskGroup() as group:
            for direction in directions:
                group.create_task(direction)
    except* OSError:
        clean = False
    return clean
