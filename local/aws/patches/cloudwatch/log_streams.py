"""
Searching the log streams of one service in a log group of many.

MiniStack 1.5.33 searches all streams of the group, whatever ``logStreamNamePrefix`` says.

AWS searches only those whose names begin with it (CloudWatch Logs API, FilterLogEvents).

It can go when FilterLogEvents with a prefix that no stream has finds nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.services import cloudwatch_logs

from local.aws import hooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.json_service import Response

    Search = Callable[[dict[str, Any]], Response]


def install() -> None:
    """Have a search name the streams of its prefix."""
    hooks.wrap(cloudwatch_logs, "_filter_log_events", _of_prefix)


def _of_prefix(inner: Search) -> Search:
    def search(data: dict[str, Any]) -> Response:
        groups, prefix = hooks.require(cloudwatch_logs, "_log_groups"), data.get("logStreamNamePrefix")
        group = cloudwatch_logs._resolve_log_group_name(data)
        if not prefix or group not in groups:
            return inner(data)
        streams = [name for name in groups[group]["streams"] if name.startswith(prefix)]
        # No names would be all streams; the prefix itself is the name of none.
        return inner({**data, "logStreamNames": streams or [prefix]})

    return search
