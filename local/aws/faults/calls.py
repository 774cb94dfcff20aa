"""A recorder: which calls a role makes, in their order. A crash test finds the boundaries with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.aws import control, operations

if TYPE_CHECKING:
    from local.aws.config import Config
    from local.aws.operations import Exchange, Onward

_recorded: dict[str, list[tuple[str, str]]] = {}


def install(config: Config) -> None:
    """Watch the requests from outside: a call is recorded whatever becomes of it."""
    del config
    control.route("/_local/calls", _configure)
    control.at_reset(_recorded.clear)
    operations.guard(lambda: bool(_recorded), _record)


def _configure(value: Any) -> list[tuple[str, str]]:
    """``{"role": ROLE}`` or ``ROLE/FUNCTION`` starts anew, ``{"role": null}`` ends; anything else only asks."""
    if isinstance(value, dict) and "role" in value:
        _recorded.clear()
        if value["role"]:
            _recorded[str(value["role"])] = []
    return next(iter(_recorded.values()), [])


async def _record(exchange: Exchange, onward: Onward) -> None:
    request = exchange.request
    for role, calls in _recorded.items():
        if request.is_signed_by(role):
            calls.append((request.service, request.action))
    await onward()
