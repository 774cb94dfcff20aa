"""Text for people, made for 100 columns: identities with their tasks, plans, findings, costs and actions."""

from __future__ import annotations

import datetime as dt
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from meshcert.cli import exit_codes
from meshcert.cli.costs.issuing import IssuingWay
from meshcert.cli.costs.month import PRICES_OF
from meshcert.cli.survey import exit_code
from meshcert.contract.lifetimes import CERTIFICATE_DAYS
from meshcert.mesh.part import life_text
from meshcert.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshcert.cli.account import Account
    from meshcert.cli.costs.issuing import IssuingPlan, LifeCosts
    from meshcert.cli.costs.month import Estimate, Line
    from meshcert.cli.sights import Sight
    from meshcert.cli.survey import Survey
    from meshcert.lifecycle.audit import AuditEntry

WIDTH = 100
SHORT = 8
LABEL = 12
STATES = {
    exit_codes.SETTLED: ("settled", "green"),
    exit_codes.UNSETTLED: ("under way", "yellow"),
    exit_codes.NEEDS_A_PERSON: ("needs a person", "red"),
    exit_codes.REFUSED: ("not all could be seen", "red"),
    exit_codes.UNAVAILABLE: ("not all could be seen", "yellow"),
}
"""What is said of an identity, and how it looks, by the exit code for it."""
_OF_SEVERAL = {"needs a person": "need a person", "not all could be seen": "could not be seen whole"}
"""A state's words when they are said of several identities."""

_WAYS = (IssuingWay.SHORT_LIVED, IssuingWay.GENERAL_PURPOSE, IssuingWay.ACM)
_BY_ACM = f"ACM, {CERTIFICATE_DAYS}d"


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

    def paragraph(self, first: str, text: str, style: str = "", *, width: int = LABEL) -> None:
        """Write a label and beside it a text, which may take several lines; names and ARNs are not broken."""
        indent = " " * (2 + width + 1)
        # Escaped before it is wrapped: what is wrapped afterwards has the width that is shown.
        lines = textwrap.wrap(
            printable(text), max(self._console.width, 60) - len(indent), break_long_words=False, break_on_hyphens=False
        )
        for number, line in enumerate(lines or [""]):
            self.line(f"  {first:<{width}} " if number == 0 else indent, (line, style))


def show_plan(
    screen: Screen, account: Account, surveyed: Survey, month: Estimate | None, *, unsettled_only: bool = False
) -> None:
    """Show the next step of each identity, the findings, and the mesh's costs if they are given."""
    head(screen, account, surveyed)
    screen.line()
    sights = chosen(surveyed, unsettled_only=unsettled_only)
    width = max((len(sight.name) for sight in sights), default=0)
    for sight in sights:
        document = sight.document()
        step = sight.plan.step
        rows = [(str(step.action), next_step(document, sight).partition(": ")[2])]
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
    return f"…{name[-SHORT:]}" if "/" in name else name[:SHORT]


def duration(seconds: float) -> str:
    """A time span in the largest unit that is precise enough."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if abs(seconds) >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def head(screen: Screen, account: Account, surveyed: Survey) -> None:
    """Show which mesh it is, how many of its identities are in which state, and what cannot be read."""
    now = account.observers.clock.now()
    where = f" in {account.region}, {now:%Y-%m-%d %H:%M:%S} UTC: "
    screen.line((account.mesh, "bold"), where, *states(surveyed.sights))
    for name, why in surveyed.unreadable.items():
        screen.paragraph("!", f"{name}: {why}", "red", width=1)


def states(sights: Sequence[Sight]) -> list[str | tuple[str, str]]:
    """How many identities there are, and how many of them are in which state: parts of a line."""
    found = [STATES[exit_code(sight)] for sight in sights]
    counts = {state: found.count(state) for state in dict.fromkeys(STATES.values())}
    told = [
        (f", {count:,} {words if count == 1 else _OF_SEVERAL.get(words, words)}", style)
        for (words, style), count in counts.items()
        if count
    ]
    return [f"{len(sights):,} {'identity' if len(sights) == 1 else 'identities'}", *told]


def chosen(surveyed: Survey, *, unsettled_only: bool) -> list[Sight]:
    """The identities that are shown."""
    return [sight for sight in surveyed.sights if not (unsettled_only and exit_code(sight) == exit_codes.SETTLED)]


def next_step(document: dict[str, Any], sight: Sight) -> str:
    """The next step of an identity, and why or when."""
    step, due, now = document["next"], document["due"], sight.seen.now
    renewed, asked = due["acm_renews_at"], due["meshcert_asks_at"]
    if step["action"] == "nothing" and renewed and renewed > now:
        left = duration((renewed - now).total_seconds())
        return f"nothing: ACM renews it about {renewed:%Y-%m-%d}, in {left}"
    if step["action"] == "nothing" and asked and asked > now:
        left = duration((asked - now).total_seconds())
        if sight.seen.issuer.renews_anew:
            return f"nothing: meshcert renews it about {asked:%Y-%m-%d %H:%M}, in {left}"
        return f"nothing: ACM is to renew it these days; meshcert asks it to on {asked:%Y-%m-%d}, in {left}"
    of = f"{step['service']}: " if step["service"] and step["service"] not in step["why"] else ""
    return f"{step['action']}: {of}{step['why']}"


def _then(sight: Sight) -> str:
    """The steps that follow a first step until the identity is settled again, in words."""
    action = str(sight.plan.step.action)
    after = {"renew": (f"{sight.seen.issuer.name} issues it", "export"), "export": ()}.get(action)
    if after is None:
        return ""
    uses = sight.seen.identity.services
    taken = (f"{use.name} {'is redeployed' if use.rotation == 'redeploy' else 'takes it over'}" for use in uses)
    return ", ".join((*after, *taken, "prove"))


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


def show_issuing(screen: Screen, plan: IssuingPlan) -> None:
    """Show what CAs and certificates would cost by issuer, usage of the CAs and life, and which is cheapest."""
    parents = f", {plan.parents} root{'s' * (plan.parents > 1)} above them" if plan.parents else ""
    authorities = f"{plan.authorities} signing CA{'s' * (plan.authorities > 1)}{parents}"
    screen.line()
    screen.line(
        ("CAs and certificates", "bold"),
        f", dollars a month: {plan.identities:,} identities, {authorities}; * cheapest",
    )
    screen.line(f"  {'acm-pca: life':<14}{'certificates':>16}{'short-lived':>18}{'general purpose':>20}{_BY_ACM:>18}")
    for each in plan.lives:
        renewed = next(cost.certificates for cost in each.ways if cost.way is not IssuingWay.ACM)
        short, general, acm = (_price(each, way) for way in _WAYS)
        screen.line(f"  {life_text(each.life):<14}{renewed:>16,.1f}{short:>18}{general:>20}{acm:>18}")
    life, cost = plan.cheapest
    way = _BY_ACM if cost.way is IssuingWay.ACM else f"{cost.way}, {life_text(life.life)}"
    certificates, dollars = plan.declared
    screen.line(f"  cheapest: {way}, ${cost.dollars:,.2f}")
    screen.line(f"  as the file says: {certificates:,.1f} certificates, ${dollars:,.2f}")
    bounds = [f"{life_text(each.life)}: {each.short_lived_until:,}" for each in plan.lives if each.short_lived_until]
    screen.line(f"  identities a CA, up to which short-lived is below ACM: {', '.join(bounds)}")


def _price(costs: LifeCosts, way: IssuingWay) -> str:
    found = costs.of(way)
    return f"{found.dollars:,.2f}{'*' if found is costs.ways[0] else ' '}" if found else "- "


def show_lines(screen: Screen, lines: Iterable[Line]) -> None:
    """Show lines of costs, US dollars at the end."""
    for line in lines:
        screen.line(f"  {line.what:<44} {line.quantity:<38} {line.dollars:>10,.2f}")


def when(time: dt.datetime) -> str:
    """A time of day, UTC."""
    return f"{time.astimezone(dt.UTC):%H:%M:%S}"
