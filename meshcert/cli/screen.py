"""Text for people, made for 100 columns: identities with their tasks, plans, findings, costs and actions."""

from __future__ import annotations

import datetime as dt
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from meshcert.cli import exit_codes
from meshcert.cli.costs import PRICES_OF
from meshcert.cli.survey import exit_code
from meshcert.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshcert.cli.account import Account
    from meshcert.cli.costs import Estimate, Line
    from meshcert.cli.sights import Sight
    from meshcert.cli.survey import Survey
    from meshcert.lifecycle.audit import AuditEntry
    from meshcert.lifecycle.policy import Policy

WIDTH = 100
_SHORT = 8
_LABEL = 12
_SILENT_S = 900.0
"""A task that is silent for longer is reported; tasks send an acknowledgement every five minutes."""
_STATES = {
    exit_codes.SETTLED: ("settled", "green"),
    exit_codes.UNSETTLED: ("under way", "yellow"),
    exit_codes.NEEDS_A_PERSON: ("needs a person", "red"),
    exit_codes.REFUSED: ("not all could be seen", "red"),
    exit_codes.UNAVAILABLE: ("not all could be seen", "yellow"),
}
_OF_SEVERAL = {"needs a person": "need a person", "not all could be seen": "could not be seen whole"}
"""A state's words when they are said of several identities."""


class Screen:
    """
    Writes to standard output, in colours if it is a terminal.

    Args:
        console: The console to write to; by default its own.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)

    def line(self, *parts: str | tuple[str, str]) -> None:
        """
        Write one line, never broken; a part may come with its style.

        Whatever a terminal would obey is written as text: parts may hold what others wrote.
        """
        shown = (
            Text(printable(part)) if isinstance(part, str) else Text(printable(part[0]), part[1]) for part in parts
        )
        self._console.print(Text.assemble(*shown), soft_wrap=True)

    def paragraph(self, first: str, text: str, style: str = "", *, width: int = _LABEL) -> None:
        """Write a label and beside it a text, which may take several lines; names and ARNs are not broken."""
        indent = " " * (2 + width + 1)
        # Escaped before it is wrapped: what is wrapped afterwards has the width that is shown.
        lines = textwrap.wrap(
            printable(text), max(self._console.width, 60) - len(indent), break_long_words=False, break_on_hyphens=False
        )
        for number, line in enumerate(lines or [""]):
            self.line(f"  {first:<{width}} " if number == 0 else indent, (line, style))


def show_status(screen: Screen, account: Account, surveyed: Survey, *, unsettled_only: bool = False) -> None:
    """Show what is declared, issued, published and served, for each identity and task."""
    _head(screen, account, surveyed)
    for sight in _chosen(surveyed, unsettled_only=unsettled_only):
        document = sight.document()
        state, style = _STATES[exit_code(sight)]
        screen.line()
        screen.line((sight.name, "bold"), "  ", (state, style))
        for finding in document["findings"]:
            screen.paragraph("! wrong", f"{finding['kind']}: {finding['detail']}", style)
            screen.paragraph("do", finding["remedy"])
        screen.paragraph("next", _next(document, sight))
        screen.paragraph("declared", ", ".join(document["declared"]["names"]))
        screen.line((f"  {'':<{_LABEL}} version  serial    until          left   gone", "dim"))
        _show_facts(screen, "issued", document["issued"], _issued_note(document), sight.policy)
        _show_facts(screen, "published", document["published"], _published_note(document), sight.policy)
        for service in document["services"]:
            _show_service(screen, service, document, sight)


def show_plan(
    screen: Screen, account: Account, surveyed: Survey, month: Estimate | None, *, unsettled_only: bool = False
) -> None:
    """Show the next step of each identity, the findings, and the mesh's costs if they are given."""
    _head(screen, account, surveyed)
    screen.line()
    sights = _chosen(surveyed, unsettled_only=unsettled_only)
    width = max((len(sight.name) for sight in sights), default=0)
    for sight in sights:
        document = sight.document()
        step = sight.plan.step
        rows = [(str(step.action), _next(document, sight).partition(": ")[2])]
        rows += [(str(wait.action), wait.why) for wait in sight.plan.waits if wait is not step]
        rows += [("then", then)] if (then := _then(sight)) else []
        for number, (action, why) in enumerate(rows):
            label = f"{sight.name if number == 0 else '':<{width}}  {action:<9}"
            screen.paragraph(label, why, "bold" if step.acts and number == 0 else "", width=len(label))
    _show_findings(screen, sights)
    if month:
        show_costs(screen, month)


def show_history(screen: Screen, entries: Iterable[AuditEntry]) -> None:
    """Show actions in the order given, two lines each."""
    for entry in entries:
        what = entry.action + (f" {entry.service}" if entry.service else "")
        style = "green" if entry.outcome.startswith("done") else "red"
        screen.line(f"{entry.at:%Y-%m-%d %H:%M:%S}  ", (f"{what:<28}", "bold"), " ", (entry.outcome, style))
        change = f"{short(entry.before) or 'nothing'} → {short(entry.after) or '?'}; " if entry.after else ""
        screen.paragraph("", f"{change}{entry.why or 'no reason given'}; by {entry.by}", width=18)


def show_verdict(screen: Screen, verdict: dict[str, Any]) -> None:
    """Show the result of the pre-flight of the current version."""
    version, serial_number = short(verdict["version_id"]), verdict["serial_number"]
    about = f"version {version}, serial {serial_number}, until {verdict['not_after']}"
    if not verdict["faults"]:
        screen.line(("good  ", "green"), about)
        return
    screen.line(("bad   ", "red"), about)
    for fault in verdict["faults"]:
        screen.paragraph("!", fault, width=2)


def short(name: str | None) -> str:
    """The start of a version's or task's name, or the end of a deployment's or ARN: enough to tell them apart."""
    name = name or ""
    return f"…{name[-_SHORT:]}" if "/" in name else name[:_SHORT]


def duration(seconds: float) -> str:
    """A time span in the largest unit that is precise enough."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if abs(seconds) >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def _head(screen: Screen, account: Account, surveyed: Survey) -> None:
    now = account.observers.clock.now()
    states = [_STATES[exit_code(sight)] for sight in surveyed.sights]
    counts = {state: states.count(state) for state in dict.fromkeys(_STATES.values())}
    told = [
        (f", {count} {words if count == 1 else _OF_SEVERAL.get(words, words)}", style)
        for (words, style), count in counts.items()
    ]
    parts = [part for part, count in zip(told, counts.values(), strict=True) if count]
    number = len(surveyed.sights)
    what = f"{number:,} {'identity' if number == 1 else 'identities'}"
    screen.line((account.mesh, "bold"), f" in {account.region}, {now:%Y-%m-%d %H:%M:%S} UTC: {what}", *parts)
    for name, why in surveyed.unreadable.items():
        screen.paragraph("!", f"{name}: {why}", "red", width=1)


def _chosen(surveyed: Survey, *, unsettled_only: bool) -> list[Sight]:
    return [sight for sight in surveyed.sights if not (unsettled_only and exit_code(sight) == exit_codes.SETTLED)]


def _next(document: dict[str, Any], sight: Sight) -> str:
    step, due, now = document["next"], document["due"], sight.seen.now
    renewed, asked = due["acm_renews_at"], due["meshcert_asks_at"]
    if step["action"] == "nothing" and renewed and renewed > now:
        left = duration((renewed - now).total_seconds())
        return f"nothing: ACM renews it about {renewed:%Y-%m-%d}, in {left}"
    if step["action"] == "nothing" and asked and asked > now:
        left = duration((asked - now).total_seconds())
        return f"nothing: ACM is to renew it these days; meshcert asks it to on {asked:%Y-%m-%d}, in {left}"
    of = f"{step['service']}: " if step["service"] and step["service"] not in step["why"] else ""
    return f"{step['action']}: {of}{step['why']}"


def _then(sight: Sight) -> str:
    """The steps that follow a first step until the identity is settled again, in words."""
    action = str(sight.plan.step.action)
    after = {"renew": ("ACM issues it", "export"), "export": ()}.get(action)
    if after is None:
        return ""
    uses = sight.seen.identity.services
    taken = (f"{use.name} {'is redeployed' if use.rotation == 'redeploy' else 'takes it over'}" for use in uses)
    return ", ".join((*after, *taken, "prove"))


def _show_facts(screen: Screen, label: str, facts: dict[str, Any], note: tuple[str, str], policy: Policy) -> None:
    gone, left_s = facts["lifetime_gone"], facts["left_s"]
    until = left = share = ""
    if left_s is not None:
        until = f"{facts['not_after']:%Y-%m-%d}" if left_s >= 2 * 86400 else f"{facts['not_after']:%m-%d %H:%M}"
        left = duration(left_s) if left_s >= 0 else f"{duration(-left_s)} ago"
        share = f"{gone:.0%}"
    serial = f"…{facts['serial_number'][-_SHORT:]}" if facts["serial_number"] else ""
    style = "" if gone is None or gone < policy.renew_at else "red"
    cells = f"  {label:<{_LABEL}} {short(facts['version']):<8} {serial:<9} {until:<11} {left:>8} {share:>6}"
    screen.line((cells.rstrip() if not note[0] else cells, style), "  " if note[0] else "", note)


def _issued_note(document: dict[str, Any]) -> tuple[str, str]:
    issued = document["issued"]
    if issued["status"] == "ISSUED":
        return "", ""
    # The reason is among the findings.
    return issued["status"], "red"


def _published_note(document: dict[str, Any]) -> tuple[str, str]:
    published, issued = document["published"], document["issued"]
    if published["status"] != "PUBLISHED":
        return published["status"], "red"
    if published["version"] == published["quarantined"]:
        return "quarantined", "red"
    proven = "proven good" if published["version"] == published["last_good"] else "not proven yet"
    if issued["version"] == published["version"]:
        return f"as issued, {proven}", ""
    return f"not what is issued, {proven}", "yellow" if issued["version"] else ""


def _show_service(screen: Screen, service: dict[str, Any], document: dict[str, Any], sight: Sight) -> None:
    current = document["published"]["version"]
    tasks = service["tasks"]
    serving = sum(task["version"] == current and current is not None for task in tasks)
    if service["exists"] is None:
        how, style = "cannot be looked at", "red"
    elif not service["exists"]:
        how, style = "does not exist", "red"
    else:
        how, style = f"{serving} of {service['desired_count']} tasks serve what is published", ""
        how += {"IN_PROGRESS": ", deploying", "FAILED": ", deployment failed"}.get(service["deployment"], "")
        style = "" if serving == service["desired_count"] == len(tasks) else "yellow"
    screen.line(f"  {service['service']} ({service['rotation']})", "  ", (how, style))
    for task in tasks:
        note = _task_note(task, current, sight)
        _show_facts(screen, f"  {short(task['task'])}", task, note, sight.policy)
        if task["error"]:
            refused = f"refused {short(task['refused'])}: " if task["refused"] else ""
            screen.paragraph("    !", refused + task["error"], "red")
        if routes := task.get("routes"):
            refused = f", refused {short(routes['refused'])}" if routes["refused"] else ""
            why = f": {routes['error']}" if routes["error"] else ""
            screen.paragraph("    routes", f"{short(routes['version']) or 'none'}{refused}{why}", "red" if why else "")


def _task_note(task: dict[str, Any], current: str | None, sight: Sight) -> tuple[str, str]:
    if not task["running"]:
        return "starting", "yellow"
    if task["said_at"] is None:
        return "has not said what it serves", "yellow"
    ago_s = (sight.seen.now - task["said_at"]).total_seconds()
    ago = f"said {duration(max(ago_s, 0.0))} ago"
    if task["version"] != current:
        return f"behind, {ago}", "yellow"
    return ago, "yellow" if ago_s > _SILENT_S else ""


def _show_findings(screen: Screen, sights: Sequence[Sight]) -> None:
    """Show findings by kind: in a large mesh, one cause affects many identities."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for sight in sights:
        for finding in sight.document()["findings"]:
            found.setdefault((finding["kind"], finding["remedy"]), []).append((sight.name, finding["detail"]))
    if found:
        screen.line()
        screen.line(("What a person should know", "bold"))
    for (kind, remedy), details in found.items():
        screen.paragraph("!", f"{kind}. {remedy}", "yellow", width=1)
        for name, detail in details:
            screen.paragraph("", f"{name}: {detail}", width=3)


def show_costs(screen: Screen, month: Estimate) -> None:
    """Show what meshcert adds to the bill each month, line by line."""
    screen.line()
    screen.line((f"About ${month.dollars:,.2f} a month", "bold"), f" (list prices, us-east-1, {PRICES_OF:%Y-%m-%d})")
    show_lines(screen, month.lines)
    screen.line(f"  {month.certificates:.2f} certificates and {month.api_calls:,} calls to ACM and Secrets Manager")


def show_lines(screen: Screen, lines: Iterable[Line]) -> None:
    """Show lines of costs, US dollars at the end."""
    for line in lines:
        screen.line(f"  {line.what:<44} {line.quantity:<38} {line.dollars:>10,.2f}")


def when(time: dt.datetime) -> str:
    """A time of day, UTC."""
    return f"{time.astimezone(dt.UTC):%H:%M:%S}"
