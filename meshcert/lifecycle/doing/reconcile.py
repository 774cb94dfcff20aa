"""Look, plan, take the step and look again until there is nothing to do now. A lease admits one run at a time."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from meshcert.errors import LeaseLost, LeaseTaken, MeshcertError
from meshcert.lifecycle.asking.looks import Look
from meshcert.lifecycle.audit import AuditEntry
from meshcert.lifecycle.deciding.failing import only
from meshcert.lifecycle.deciding.plan import Plan, plan
from meshcert.lifecycle.deciding.steps import Action
from meshcert.lifecycle.doing.apply import TakenStep, apply
from meshcert.lifecycle.doing.leaving import forget
from meshcert.lifecycle.doing.owned_memory import OwnedMemory
from meshcert.lifecycle.doing.recording import last_look, order_ended, record
from meshcert.lifecycle.memory import Memory
from meshcert.lifecycle.observation import Missing, Observation, Unknown
from meshcert.lifecycle.observing.compromised import told
from meshcert.lifecycle.observing.observe import observe, remembered
from meshcert.lifecycle.orders import COMPROMISED, ROLL_BACK, Order

if TYPE_CHECKING:
    from meshcert.identity import Identity
    from meshcert.issuing.issuer import Issuance
    from meshcert.lifecycle.memory import Change
    from meshcert.lifecycle.policy import Policy
    from meshcert.lifecycle.ports import Lease, Ports

logger = logging.getLogger(__name__)

MOST_STEPS = 12
"""Largest number of steps in one run, so that a plan that never ends, which would be a bug, cannot block a function."""
MOST_LOOKS_AGAIN = 3
"""How often a run looks again because the identity was wanted meanwhile; after that, a tick continues."""
MOST_WAITING = 8
"""Orders about compromised keys that wait behind another one; what comes then is dropped, and recorded as such."""
MEANWHILE = "an event that came meanwhile"
"""The cause recorded for such a look: the event itself has left only a mark."""
ORDERS_KEPT = dt.timedelta(days=1)
"""An order that could not be carried out in this time is dropped."""


@dataclass(frozen=True)
class Reconciled:
    """
    The result of a run.

    Args:
        steps: The steps that were taken.
        plan: The plan at the end; None if another look has covered this one, another run has the lease, or the identity
            is not declared.
        seen: The last look.
        memory: The memory at the end.
    """

    identity: str
    steps: tuple[TakenStep, ...] = ()
    plan: Plan | None = None
    seen: Observation | None = None
    memory: Memory = field(default_factory=Memory)


def reconcile(look: Look, owner: str, ports: Ports, until: dt.datetime | None = None) -> Reconciled:
    """
    Take every step that an identity needs and that can be taken now.

    A run that finds another one at work leaves a mark and ends; the other run sees the mark and looks again before it
    ends. So an event that comes during a look does not wait for a tick: meshcert must respond to a failed instance
    within ten seconds.

    Args:
        look: The identity, and who asks.
        owner: Names this run: the Lambda request id.
        until: After this time the run does not look again, even if it is asked to; None sets no limit.

    Returns:
        The steps taken, the plan and the observation. An error of AWS about a step is part of the result: the next look
        sees the step's effect. There is no plan if another look has covered this one.

    Raises:
        LeaseTaken: If an order found another run at work; its message must come again. Other looks leave a mark and
            end.
        LeaseLost: If this run took so long that another one has taken over.
        IdentityUnreadable: If the identity's row makes no sense; nothing is done or forgotten.
        MeshcertError: If the tables cannot be reached.
    """
    result, wanted = _once(look, owner, ports)
    for _ in range(MOST_LOOKS_AGAIN):
        if not wanted or (until and ports.clock.now() >= until):
            break
        again, wanted = _once(Look(look.identity, MEANWHILE), owner, ports)
        # Without a plan, another run was quicker and looks in place of this one, or the identity is gone.
        result = replace(again if again.plan else result, steps=(*result.steps, *again.steps))
    return result


def _once(look: Look, owner: str, ports: Ports) -> tuple[Reconciled, bool]:
    """The result of one look with its steps, and whether another look wanted the identity meanwhile."""
    if _has_been_seen(look, ports):
        return Reconciled(look.identity), False
    identity = ports.declared.find(look.identity)
    lease = _take(look, owner, ports)
    if lease is None:
        return Reconciled(look.identity), False
    if identity is None:
        forget(lease, look.by, ports)
        return Reconciled(look.identity), False
    run = _Run(identity, look, lease, ports)
    look_at: dt.datetime | None = ports.clock.now()
    wanted = settled = False
    try:
        result = run.go()
        look_at = _look_again_at(result, ports.policy)
        settled = result.plan is not None and result.plan.settled
    finally:
        wanted = run.leave(look_at, settled=settled)
    return result, wanted


def _has_been_seen(look: Look, ports: Ports) -> bool:
    """True if another look has made this one unnecessary; the issuer's answers have a quota."""
    return look.seen_since is not None and ports.table.looked_since(look.identity, look.seen_since)


def _take(look: Look, owner: str, ports: Ports) -> Lease | None:
    table, now = ports.table, ports.clock.now()
    until = now + dt.timedelta(seconds=ports.lease_s)
    lease = table.take(look.identity, owner, now, until)
    if lease is None and look.order:
        raise LeaseTaken(look.identity)
    if lease is None and look.brings_news:
        # The clock's looks leave no mark: each mark would cause another look, without an end.
        table.want(look.identity, now)
        # An owner from now on sees the mark. The owner so far may have given the lease back just before it.
        lease = table.take(look.identity, owner, now, until)
    return lease


def _look_again_at(result: Reconciled, policy: Policy) -> dt.datetime | None:
    """When a tick may look again; None if the next sweep is soon enough."""
    if result.plan is None or result.seen is None:
        return None
    if result.plan.settled:
        # A certificate that is due at a moment of its own waits for it in the index that ticks ask.
        return result.plan.due_at
    waits = [wait.again_s or policy.look_again_s for wait in result.plan.waits]
    if result.plan.step.acts:
        # The step failed, is slow, or was one too many: it must not wait for the longer waits of the plan.
        waits.append(policy.look_again_s)
    again_at, due_at = result.seen.now + dt.timedelta(seconds=min(waits)), result.plan.due_at
    # What waits for long must not keep a renewal waiting whose moment comes before.
    return min(again_at, due_at) if due_at and due_at > result.seen.now else again_at


class _Run:
    """One run for one identity, while its lease is held."""

    def __init__(self, identity: Identity, look: Look, lease: Lease, ports: Ports) -> None:
        self._identity = identity
        self._look = look
        self._ports = ports
        self._owned = OwnedMemory(lease, ports.table)

    def go(self) -> Reconciled:
        """Take steps until there is nothing to do now."""
        self._take_order()
        steps: list[TakenStep] = []
        known: Issuance | None = None
        while True:
            self._owned.change(Memory.next_order)
            seen = self._see(known)
            planned = plan(seen, self._owned.memory, self._ports.policy)
            if seen.whole:
                self._owned.change(partial(only, wanted=planned.failing))
            self._refuse_order(seen, planned)
            if self._owned.memory.waiting and not self._owned.memory.order:
                continue
            if not planned.step.acts or len(steps) == MOST_STEPS:
                break
            taken = apply(planned.step, seen, self._ports, self._owned.save)
            self._owned.change(taken.change)
            self._write_down(taken)
            steps.append(taken)
            if not taken.done or planned.step.action is Action.RENEW:
                # A failed step is not repeated at once, and a renewal comes too late for this run to see it.
                break
            known = taken.issuance
        ended = last_look(seen, planned)
        self._owned.change(lambda memory: replace(memory, last_look=ended))
        return Reconciled(self._identity.name, tuple(steps), planned, seen, self._owned.memory)

    def leave(self, look_at: dt.datetime | None, *, settled: bool) -> bool:
        """Give the lease back in any case; true if another look wanted the identity meanwhile."""
        try:
            return self._owned.release(look_at, settled=settled)
        except LeaseLost:
            raise
        except MeshcertError as error:
            # The lease runs out by itself; taking it marked the identity unsettled, so a later tick looks again.
            logger.warning("the lease of %s was not given back: %s", self._identity.name, error)
            return False

    def _see(self, known: Issuance | None) -> Observation:
        seen = observe(self._identity, self._owned.memory, self._ports, known)
        learn: Change = partial(remembered, seen=seen)
        before, after = self._owned.memory.order, learn(self._owned.memory).order
        if before and not after and before.kind == COMPROMISED:
            self._take_up(before, learn)
        elif before and not after:
            self._end_order("done: another version is in its place")
        elif before and seen.now - before.at > ORDERS_KEPT:
            self._end_order("dropped: it could not be carried out within a day")
        elif before != after:
            # Save the order's version: if this run dies after the next call, a later one can tell that it was done.
            self._owned.save(learn)
        self._owned.change(learn)
        return seen

    def _take_order(self) -> None:
        look, memory = self._look, self._owned.memory
        if not look.order or (look.message and look.message in memory.messages):
            return
        order = Order(look.order, look.by, look.reason, self._ports.clock.now(), look.version)
        if memory.order and memory.order.kind == COMPROMISED:
            pending, is_kept = memory.order, look.order == COMPROMISED and len(memory.waiting) < MOST_WAITING
            waiting = (*memory.waiting, order) if is_kept else memory.waiting
            self._owned.save(
                lambda memory: replace(memory.ordered(order, look.message), order=pending, waiting=waiting)
            )
            if not is_kept:
                self._write_down_end(order, "dropped: orders about a compromised key come first")
            return
        self._owned.save(lambda memory: memory.ordered(order, look.message))
        if memory.order:
            self._write_down_end(memory.order, "dropped: a later order took its place")

    def _take_up(self, order: Order, learn: Change) -> None:
        """
        Remember which certificates have a compromised key.

        The line comes first: a run that ends in between writes it twice, and a leaked key never stays unrecorded.
        """
        before, after = self._owned.memory.compromise, learn(self._owned.memory).compromise
        outcome, now = told(before, after), self._ports.clock.now()
        record(
            self._ports.audit,
            AuditEntry(now, self._identity.name, "compromised", order.reason, order.by, order.version, outcome=outcome),
        )
        self._owned.save(learn)

    def _refuse_order(self, seen: Observation, planned: Plan) -> None:
        """Refuse an order that cannot be carried out: there is no version to go back to, or none of that name."""
        order = self._owned.memory.order
        if order is None or isinstance(seen.labels, Unknown):
            return
        if order.kind == COMPROMISED and not isinstance(seen.labels, Missing):
            self._end_order("refused: no such version was published")
        if order.kind == ROLL_BACK and planned.step.action is not Action.ROLL_BACK:
            self._end_order("refused: there is no good version to go back to")

    def _end_order(self, outcome: str) -> None:
        """
        Delete the order, then record its outcome.

        In this order, a run that ends in between leaves a line unwritten; it never leaves two lines that contradict
        each other.
        """
        order = self._owned.memory.order
        if order:
            self._owned.save(lambda memory: replace(memory, order=None))
            self._write_down_end(order, outcome)

    def _write_down_end(self, order: Order, outcome: str) -> None:
        record(self._ports.audit, order_ended(self._identity.name, order, outcome, self._ports.clock.now()))

    def _write_down(self, taken: TakenStep) -> None:
        entry = AuditEntry(
            at=self._ports.clock.now(),
            identity=self._identity.name,
            action=str(taken.step.action),
            why=taken.step.why,
            by=self._look.by,
            before=taken.before,
            after=taken.after,
            outcome=taken.outcome,
            service=taken.step.service,
        )
        record(self._ports.audit, entry)
