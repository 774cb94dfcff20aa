"""How a service's PERMISSIVE listeners have been asked, from what ``meshcert status --json`` says of its tasks."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, NamedTuple

from meshcert.cli.screen import duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class TakenByMode(NamedTuple):
    """
    What one PERMISSIVE listener of a service has been asked, over all tasks that say so.

    Args:
        port: The listener's.
        tls: Requests over TLS; of ``tcp``, connections.
        plain: The same in plain text.
        last_plain_at: The latest time at which the last of those can have come; None if there is none.
        since: Start of the youngest task that counts: from then on every request is counted. None if nobody knows.
        silent: Tasks that do not say.
    """

    port: int
    tls: int
    plain: int
    last_plain_at: dt.datetime | None
    since: dt.datetime | None
    silent: int

    def told(self, now: dt.datetime) -> str:
        """The counts in words, and what STRICT would have meant."""
        of = f"{self.plain:,} in plain text, {self.tls:,} over TLS"
        since = f", by every task since {_ago(self.since, now)}" if self.since else ""
        silent = f"; {self.silent} {'task does' if self.silent == 1 else 'tasks do'} not say" if self.silent else ""
        if not self.last_plain_at:
            return f"{of}{since}{silent}: STRICT would have refused none of them"
        last = _ago(self.last_plain_at, now)
        return f"{of}{since}{silent}: STRICT would have refused {self.plain:,}, the last {last}"


def taken_by_mode(tasks: Iterable[Mapping[str, Any]]) -> tuple[TakenByMode, ...]:
    """
    What each PERMISSIVE listener has been asked, by its port; empty if no task says anything of one.

    Args:
        tasks: Those of one service, as ``meshcert status --json`` lists them; their times may be text.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: If they are none.
    """
    listed = [task for task in tasks if task.get("running", True)]
    found: dict[int, list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = {}
    for task in listed:
        for each in task.get("requests") or ():
            found.setdefault(int(each["port"]), []).append((task, each))
    return tuple(
        TakenByMode(
            port,
            tls=sum(int(each["tls"]) for _, each in counted),
            plain=sum(int(each["plain"]) for _, each in counted),
            last_plain_at=max((at for _, each in counted if (at := _time(each["last_plain_at"]))), default=None),
            since=max((at for task, _ in counted if (at := _time(task.get("started_at")))), default=None),
            silent=len(listed) - len(counted),
        )
        for port, counted in sorted(found.items())
    )


def _time(value: dt.datetime | str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(value) if isinstance(value, str) else value


def _ago(at: dt.datetime, now: dt.datetime) -> str:
    return f"{duration(max((now - at).total_seconds(), 0.0))} ago"
