"""``meshcert status``: what is declared, issued, published and served, for each identity and task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshcert.cli.screen import LABEL, SHORT, STATES, chosen, duration, head, next_step, short
from meshcert.cli.status.files import show_file
from meshcert.cli.status.plain_text import taken_by_mode
from meshcert.cli.survey import exit_code

if TYPE_CHECKING:
    from meshcert.cli.account import Account
    from meshcert.cli.screen import Screen
    from meshcert.cli.sights import Sight
    from meshcert.cli.survey import Survey
    from meshcert.lifecycle.policy import Policy


def show_status(screen: Screen, account: Account, surveyed: Survey, *, unsettled_only: bool = False) -> None:
    """Show what is declared, issued, published and served, for each identity and task."""
    head(screen, account, surveyed)
    for sight in chosen(surveyed, unsettled_only=unsettled_only):
        document = sight.document()
        state, style = STATES[exit_code(sight)]
        screen.line()
        screen.line((sight.name, "bold"), "  ", (state, style))
        for finding in document["findings"]:
            screen.paragraph("! wrong", f"{finding['kind']}: {finding['detail']}", style)
            screen.paragraph("do", finding["remedy"])
        screen.paragraph("next", next_step(document, sight))
        screen.paragraph("declared", ", ".join(document["declared"]["names"]))
        screen.line((f"  {'':<{LABEL}} version  serial    until          left   gone", "dim"))
        _show_facts(screen, "issued", document["issued"], _issued_note(document), sight.policy)
        _show_facts(screen, "published", document["published"], _published_note(document), sight.policy)
        for compromised in document["compromised"]:
            revoked = compromised["revoked_at"]
            note = f"revoked {revoked:%Y-%m-%d %H:%M} UTC" if revoked else "not revoked yet"
            if not (compromised["serial_number"] and compromised["certificate_authority_arn"]):
                note = "to be revoked by hand, or by the owner of its CA"
            screen.paragraph("compromised", f"{short(compromised['version'])} {note}", "" if revoked else "red")
        if not document["services"] and not document["jobs"]:
            screen.paragraph("served", "by no task of the mesh: who fetches it elsewhere does not say so", "dim")
        for service in document["services"]:
            _show_service(screen, service, document, sight)
        for job in document["jobs"]:
            screen.line(f"  {job} (job)", ("  its next task takes what is published then", "dim"))


def _show_facts(screen: Screen, label: str, facts: dict[str, Any], note: tuple[str, str], policy: Policy) -> None:
    gone, left_s = facts["lifetime_gone"], facts["left_s"]
    until = left = share = ""
    if left_s is not None:
        until = f"{facts['not_after']:%Y-%m-%d}" if left_s >= 2 * 86400 else f"{facts['not_after']:%m-%d %H:%M}"
        left = duration(left_s) if left_s >= 0 else f"{duration(-left_s)} ago"
        share = f"{gone:.0%}"
    serial = f"…{facts['serial_number'][-SHORT:]}" if facts["serial_number"] else ""
    style = "" if gone is None or gone < policy.renew_at else "red"
    cells = f"  {label:<{LABEL}} {short(facts['version']):<8} {serial:<9} {until:<11} {left:>8} {share:>6}"
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
        for file in task["files"]:
            show_file(screen, "    file", file, sight.seen.now)
    for taken in taken_by_mode(tasks):
        style = "yellow" if taken.plain else ""
        screen.paragraph(f"  at {taken.port}", taken.told(sight.seen.now), style)


def _task_note(task: dict[str, Any], current: str | None, sight: Sight) -> tuple[str, str]:
    if not task["running"]:
        return "starting", "yellow"
    if task["said_at"] is None:
        return "has not said what it serves", "yellow"
    ago_s = (sight.seen.now - task["said_at"]).total_seconds()
    ago = f"said {duration(max(ago_s, 0.0))} ago"
    if task["version"] != current:
        return f"behind, {ago}", "yellow"
    return ago, "yellow" if ago_s > sight.policy.silent_after_s else ""
