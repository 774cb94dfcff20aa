"""A record of the calls that one role makes, in their order. A crash test finds the boundaries with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.aws import control, operations

if TYPE_CHECKING:
    from local.aws.operations import Exchange, Onward, Request
    from local.aws.per_account import PerAccount


class CallLog:
    """The calls of one role of an account, service and action each; of nobody until :meth:`watch`."""

    def __init__(self) -> None:
        self.role = ""
        self.calls: list[tuple[str, str]] = []

    def watch(self, role: str) -> None:
        """Begin anew with the calls of ``role``, or of ``ROLE/FUNCTION``; with an empty name record no more."""
        self.role, self.calls = role, []

    def note(self, request: Request) -> None:
        """Record a request if it is one of the role's."""
        if self.role and request.is_signed_by(self.role):
            self.calls.append((request.service, request.action))


def install(logs: PerAccount[CallLog]) -> None:
    """Watch the requests from outside: a call is recorded whatever becomes of it."""

    def configure(value: Any) -> list[tuple[str, str]]:
        """``{"role": ROLE}`` begins anew, ``{"role": null}`` ends; anything else only asks."""
        log = logs.current
        if isinstance(value, dict) and "role" in value:
            log.watch(str(value["role"] or ""))
        return log.calls

    async def record(exchange: Exchange, onward: Onward) -> None:
        logs[exchange.request.account].note(exchange.request)
        await onward()

    control.route("/_local/calls", configure)
    operations.guard(lambda: any(log.role for log in logs.values()), record)
