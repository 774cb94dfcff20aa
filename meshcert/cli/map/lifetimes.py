"""The lifetimes of certificates as bars, from the document of ``meshcert status --json``."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from meshcert.cli.map.markup import Markup, element
from meshcert.cli.map.tables import table
from meshcert.cli.screen import duration, short
from meshcert.cli.status.plain_text import taken_by_mode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BAR = 220.0
"""Length of a whole lifetime, pixels."""
_HEIGHT = 16.0
_LATE = 0.9
"""Of a lifetime; what is older looks it (alarm PublishedLifetimeGone90)."""


def lifetimes(status: dict[str, Any]) -> Markup:
    """
    The section of the page about what is published and served.

    Args:
        status: A document of ``meshcert status --json``.

    Raises:
        KeyError, TypeError, ValueError: If it is none; whoever wrote the file may have written anything.
    """
    heads = ("Identity", "Published", "Left", "Served by", "To know")
    rows = [_row(seen) for seen in status["identities"]]
    return table("lifetimes", "Lifetimes", heads, rows, nothing="No identity is known.")


def taken_at(status: dict[str, Any]) -> dict[tuple[str, int], str]:
    """
    What each PERMISSIVE listener has been asked, in words, by its service and port; without those that do not say.

    Args:
        status: A document of ``meshcert status --json``.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: If it is none.
    """
    services = {one["service"]: one["tasks"] for seen in status["identities"] for one in seen["services"]}
    told: dict[tuple[str, int], str] = {}
    for service, tasks in services.items():
        for taken in taken_by_mode(tasks):
            told[service, taken.port] = taken.told(dt.datetime.fromisoformat(status["at"]))
    return told


def _row(seen: dict[str, Any]) -> Markup:
    published = seen["published"]
    gone = published["lifetime_gone"]
    bar = _bar(float(gone), _due(seen)) if gone is not None else str(published["status"])
    findings: list[str] = list(_findings(seen))
    return element(
        "tr",
        {"class": "admitted" if findings else None},
        element("th", {"scope": "row"}, str(seen["identity"])),
        element("td", None, bar, element("small", None, f"version {short(published['version']) or 'none'}")),
        element("td", None, *_left(published)),
        element("td", None, *_served(seen)),
        element("td", None, *(findings or ["settled" if seen["settled"] else _step(seen["next"])])),
    )


def _bar(gone: float, due: float | None) -> Markup:
    """How much of a lifetime is gone; a stroke where it is to be renewed."""
    share = min(max(gone, 0.0), 1.0)
    parts = [
        element("rect", {"class": "whole", "width": _BAR, "height": _HEIGHT, "rx": 4}),
        element(
            "rect",
            {"class": "gone late" if gone >= _LATE else "gone", "width": share * _BAR, "height": _HEIGHT, "rx": 4},
        ),
    ]
    said = f"{gone:.0%} of its lifetime is gone"
    if due is not None and 0.0 <= due <= 1.0:
        x = due * _BAR
        parts.append(element("path", {"class": "due", "d": f"M{x:.1f} 0V{_HEIGHT:g}"}))
        said += f", to be renewed at {due:.0%}"
    attributes = {"class": "bar", "viewBox": f"0 0 {_BAR:g} {_HEIGHT:g}", "width": _BAR, "height": _HEIGHT}
    drawn = element("svg", {**attributes, "role": "img", "aria-label": said}, element("title", None, said), *parts)
    return Markup(drawn + element("b", {"class": "share", "aria-hidden": "true"}, f"{gone:.0%}"))


def _due(seen: dict[str, Any]) -> float | None:
    """At which fraction of its lifetime the published certificate is to be renewed; None if nobody knows."""
    published, due = seen["published"], seen["due"]["acm_renews_at"] or seen["due"]["meshcert_asks_at"]
    gone, left_s, end = published["lifetime_gone"], published["left_s"], published["not_after"]
    if due is None or not end or not left_s or gone >= 1.0:
        return None
    lifetime_s = float(left_s) / (1.0 - float(gone))
    before_end_s = (dt.datetime.fromisoformat(end) - dt.datetime.fromisoformat(due)).total_seconds()
    return 1.0 - before_end_s / lifetime_s


def _left(published: dict[str, Any]) -> Iterator[str]:
    if published["left_s"] is None:
        yield "unknown"
        return
    left_s = float(published["left_s"])
    yield element("b", None, duration(left_s) if left_s >= 0 else f"ended {duration(-left_s)} ago")
    yield element("small", None, f"until {dt.datetime.fromisoformat(published['not_after']):%Y-%m-%d %H:%M}")


def _served(seen: dict[str, Any]) -> Iterator[Markup]:
    current = seen["published"]["version"]
    for service in seen["services"]:
        tasks = service["tasks"]
        serving = sum(task["version"] == current and current is not None for task in tasks)
        told = f"{serving} of {len(tasks)} tasks of {service['service']}"
        yield element("span", {"class": "served" if serving == len(tasks) else "served behind"}, told)
        for task in tasks:
            yield from _behind(task, current)


def _behind(task: dict[str, Any], current: str | None) -> Iterable[Markup]:
    if task["error"]:
        refused = f"refused {short(task['refused'])}: " if task["refused"] else ""
        yield element("small", None, f"{short(task['task'])} {refused}{task['error']}")
    elif task["version"] != current:
        version = short(task["version"]) or "nothing yet"
        gone = f", {task['lifetime_gone']:.0%} gone" if task["lifetime_gone"] is not None else ""
        yield element("small", None, f"{short(task['task'])} serves {version}{gone}")


def _findings(seen: dict[str, Any]) -> Iterator[Markup]:
    for finding in seen["findings"]:
        told = f"{finding['kind']}: {finding['detail']}"
        yield element("span", {"class": "served"}, told, element("small", None, str(finding["remedy"])))


def _step(step: dict[str, Any]) -> str:
    return f"{step['action']}: {step['why']}"
