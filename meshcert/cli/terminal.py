"""The one way from the command line to a terminal: every line that holds what others wrote goes through here."""

from __future__ import annotations

import datetime as dt
import io
import json
import traceback
from typing import TYPE_CHECKING, Any

import click

from meshcert.printable import printable

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable
    from types import TracebackType

    from meshcert.cli.account import Account

SCHEMA = 1
"""Schema of every JSON document. Keys are never removed; a changed meaning gets a new number."""


def counted(number: int, what: str) -> str:
    """A number of things, for example ``1 fault`` or ``2 faults``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def tell(line: str) -> None:
    """Write one line to standard output."""
    click.echo(printable(line))


def tell_lines(lines: Iterable[str], *, aside: bool = False) -> None:
    """Write lines to standard output, or beside it to standard error."""
    for line in lines:
        click.echo(printable(line), err=aside)


def tell_aside(line: str) -> None:
    """Write one line to standard error."""
    click.echo(printable(line), err=True)


def tell_usage(error: click.ClickException) -> None:
    """Write what is wrong with a command line to standard error; a script may have typed anything."""
    shown, message = io.StringIO(), error.format_message()
    error.show(shown)
    tell_lines(shown.getvalue().rstrip("\n").replace(message, printable(message)).split("\n"), aside=True)


def tell_fault(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    """Write the traceback of an unforeseen error to standard error; its message may quote what others wrote."""
    tell_lines("".join(traceback.format_exception(kind, error, where)).rstrip("\n").split("\n"), aside=True)


def tell_fault_of_thread(failed: threading.ExceptHookArgs) -> None:
    """Write the traceback of an unforeseen error that has ended a thread; the rest of the command goes on."""
    if failed.exc_value is not None:
        tell_fault(failed.exc_type, failed.exc_value, failed.exc_traceback)


def tell_json(document: Any) -> None:
    """Write a JSON document to standard output, for scripts; JSON escapes what a terminal would obey."""
    click.echo(json.dumps(document, indent=2, default=dt.datetime.isoformat))


def print_json(mesh: Account, **content: Any) -> None:
    """Print a document about a mesh, which says which one and when it was made."""
    head = {"schema": SCHEMA, "mesh": mesh.mesh, "region": mesh.region, "at": mesh.observers.clock.now()}
    tell_json(head | content)
