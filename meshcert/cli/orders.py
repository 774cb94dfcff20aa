"""Renewals and roll backs on order: their effect beforehand, and their outcome."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from meshcert.cli import exit_codes
from meshcert.cli.advice import session_expired
from meshcert.cli.screen import duration, short, when
from meshcert.cli.survey import exit_code, sight
from meshcert.errors import MeshcertError, NotReady
from meshcert.lifecycle.deciding.plan import plan
from meshcert.lifecycle.deciding.steps import Action
from meshcert.lifecycle.observation import Unknown
from meshcert.lifecycle.observing.observe import remembered
from meshcert.lifecycle.orders import COMPROMISED, ROLL_BACK, Order
from meshcert.publishing.publication import is_published

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshcert.cli.account import Account
    from meshcert.cli.sights import Sight
    from meshcert.lifecycle.audit import AuditEntry
    from meshcert.lifecycle.deciding.plan import Plan

LOOK_EVERY_S = 2.0
_CLOCKS_APART = dt.timedelta(seconds=30)
"""The renewal function's clock and ours may differ by this."""
_ENDED = ("refused", "dropped")


def foresee(account: Account, looked: Sight, order: str, reason: str) -> Plan:
    """
    The plan that the renewal function would make if it were given an order now.

    Args:
        order: One of :data:`meshcert.lifecycle.orders.ORDERS`.
        reason: In the operator's own words.
    """
    version = looked.seen.current if order == COMPROMISED else ""
    memory = replace(looked.memory, order=Order(order, "you", reason, looked.seen.now, version))
    return plan(looked.seen, remembered(memory, looked.seen), account.policy)


def is_futile(looked: Sight, order: str, foreseen: Plan) -> bool:
    """True if the renewal function would refuse an order: there is no version to go back to, or none at all."""
    seen = looked.seen
    if order == COMPROMISED and not isinstance(seen.labels, Unknown):
        return not is_published(seen.current)
    return order == ROLL_BACK and not isinstance(seen.labels, Unknown) and foreseen.step.action is not Action.ROLL_BACK


def described(foreseen: Plan) -> str:
    """The first step of a plan, in words."""
    step = foreseen.step
    if step.action is Action.ROLL_BACK:
        return f"leave {short(step.away_from)} and go back to {short(step.version)}"
    if step.action is Action.WAIT and step.again_s:
        return f"wait {duration(step.again_s)}: {step.why}"
    return f"{step.action}: {step.why}"


@dataclass
class Watch:
    """
    Follows an order to its outcome: each change of the plan and each recorded action is a line.

    Args:
        before: The identity before the order.
        tell: Called with each line.
    """

    account: Account
    before: Sight
    tell: Callable[[str], None]
    refused: bool = False

    def __post_init__(self) -> None:
        self._since = self.before.seen.now - _CLOCKS_APART
        self._known = set(self._entries())
        self._told = ""
        self._left = self.before.seen.current

    def follow(self, wait_s: float) -> Sight:
        """
        Look until another version is current and settled, the order is refused, or the time is up.

        Args:
            wait_s: The longest time, seconds.

        Returns:
            The identity as it was when AWS last answered.

        Raises:
            Rejected: If AWS refuses, or the identity is no longer declared.
            AwsUnavailable: If the operator's session has expired.
        """
        pauses = self.account.pauses
        deadline = pauses.monotonic() + wait_s
        now = self.before
        while True:
            try:
                now = sight(self.account, now.name)
                self._tell_news(now)
            except NotReady as error:
                if session_expired(error):
                    raise
                self._say(f"AWS does not answer, trying again: {error}")
            if self.refused or self.is_done(now):
                return now
            if pauses.monotonic() >= deadline:
                self.tell(f"  not settled after {wait_s:.0f} seconds; the order stays, `meshcert status {now.name}`")
                return now
            pauses.sleep(LOOK_EVERY_S)

    def exit_code(self, now: Sight) -> int:
        """The exit code that tells a script the outcome."""
        if self.refused:
            return exit_codes.NEEDS_A_PERSON
        code = exit_code(now)
        return exit_codes.UNSETTLED if code == exit_codes.SETTLED and not self.is_done(now) else code

    def is_done(self, now: Sight) -> bool:
        """True if another version than before the order is current, and the identity is settled."""
        self._left = self._left or now.seen.current
        return now.seen.current != self._left and now.plan.settled

    def _tell_news(self, now: Sight) -> None:
        for entry in self._entries():
            if entry not in self._known:
                self._known.add(entry)
                self.tell(f"  {when(entry.at)} {_line(entry)}")
                self.refused |= entry.action.startswith("order ") and entry.outcome.startswith(_ENDED)
        step = now.plan.step
        waiting = now.seen.current == self.before.seen.current and now.plan.settled
        self._say("waiting for the renewal function" if waiting else f"{step.action}: {step.why}", now.seen.now)

    def _say(self, text: str, at: dt.datetime | None = None) -> None:
        if text != self._told:
            self._told = text
            self.tell(f"  {when(at or self.account.observers.clock.now())} {text}")

    def _entries(self) -> list[AuditEntry]:
        try:
            return list(self.account.history(self.before.name, self._since))
        except MeshcertError:
            # The lines only show progress; the outcome is read from the next look.
            return []


def _line(entry: AuditEntry) -> str:
    what = " ".join(filter(None, (entry.action, entry.service)))
    change = f" {short(entry.before) or 'nothing'} → {short(entry.after)}" if entry.after else ""
    return f"{what}{change}: {entry.outcome}"
