"""Arguments and options that several commands share, and the checks of their values."""

from __future__ import annotations

import datetime as dt
from typing import Any

import click

from meshcert.mesh.naming import NAME

_WAIT_S = 900.0
_PERIODS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def require_names(_: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """
    The names in an argument, after a check that each can be a name.

    Without it, AWS would refuse the name later, with an error about a key or a table.

    Raises:
        click.BadParameter: If one of them cannot be a name.
    """
    names = [value] if isinstance(value, str) else value
    if isinstance(parameter, click.Option):
        # Without it, the mesh is that of the mesh file in this folder.
        names = [name for name in names if name]
    for name in names:
        if not NAME.fullmatch(name):
            problem = f"{name!r} is no name: lower-case letters, digits and hyphens"
            raise click.BadParameter(problem, param=parameter, param_hint="name")
    return value


names_argument = click.argument("names", nargs=-1, metavar="[NAME]...", callback=require_names)
name_argument = click.argument("name", metavar="NAME", callback=require_names)
json_option = click.option("--json", "as_document", is_flag=True, help="A JSON document on standard output.")
unsettled_option = click.option(
    "--unsettled", "unsettled_only", is_flag=True, help="Show only identities that are not settled."
)
reason_option = click.option("--reason", default="", help="Why; it goes into the audit log.")
wait_option = click.option(
    "--wait",
    "wait_s",
    is_flag=False,
    flag_value=_WAIT_S,
    default=0.0,
    type=click.FloatRange(min=0.0),
    metavar="[SECONDS]",
    help=f"After NAME: follow it until the identity is settled, {_WAIT_S:.0f} seconds at most.",
)


def ago(now: dt.datetime, span: str) -> dt.datetime:
    """
    The time that lies a span before another.

    Args:
        span: A number followed by m, h, d or w.

    Returns:
        That time, but no earlier than 1970, where AWS's times begin.

    Raises:
        click.UsageError: If it is not a span.
    """
    number, unit = span[:-1], span[-1:]
    if unit not in _PERIODS or not number.isascii() or not number.isdecimal():
        raise click.UsageError(f"--since {span!r}: write a number and m, h, d or w, for example 12h")
    try:
        begin = now - dt.timedelta(**{_PERIODS[unit]: int(number)})
    except OverflowError:
        begin = dt.datetime.fromtimestamp(0, dt.UTC)
    return max(begin, dt.datetime.fromtimestamp(0, dt.UTC))
