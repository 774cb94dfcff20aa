"""``meshcert status --all-cells``: each cell asked with credentials of its own account, and all told in one table."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

from meshcert.cli import exit_codes
from meshcert.cli.advice import advice_in_cell
from meshcert.cli.screen import chosen, states
from meshcert.cli.status.recorded import show_page, show_when, status_of, urgency
from meshcert.cli.survey import Survey
from meshcert.cli.terminal import SCHEMA, tell_json
from meshcert.clock import SystemClock
from meshcert.errors import MeshcertError
from meshcert.mesh.cells.placing import cells_of_identities

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshcert.cli.account import Account
    from meshcert.cli.screen import Screen
    from meshcert.mesh import Mesh

ANSWERS_WITHIN_S = 10.0
"""How long a cell's tables are waited for, once its credentials are there; those of 1,000 identities take two."""
_CODES = (exit_codes.NEEDS_A_PERSON, exit_codes.REFUSED, exit_codes.UNAVAILABLE, exit_codes.USAGE, exit_codes.UNSETTLED)


@dataclass(frozen=True)
class CellAnswer:
    """
    What was learned of one cell.

    Args:
        account: Of the mesh file, twelve digits.
        survey: Its identities; none if it did not answer.
        problem: Why it did not answer, and what to do; empty if it did.
        exit_code: That of ``meshcert status`` of this cell alone.
    """

    cell: str
    account: str
    region: str
    survey: Survey
    problem: str = ""
    exit_code: int = exit_codes.SETTLED

    def document(self) -> dict[str, Any]:
        """The same for scripts."""
        return {
            "cell": self.cell,
            "account": self.account,
            "region": self.region,
            "problem": self.problem or None,
            "exit_code": self.exit_code,
            "identities": [sight.document() for sight in self.survey.sights],
            "unreadable": list(self.survey.unreadable),
        }


def ask_cells(
    mesh: Mesh,
    opened: Callable[[str, str], Account],
    profiles: Mapping[str, str],
    match: str,
    *,
    live: bool,
    tell: Callable[[str], None],
) -> tuple[CellAnswer, ...]:
    """
    Ask every cell that has identities, all at once; what is wrong with one of them is no failure of the others.

    Before, it signs in for one after the other: a profile may ask for an MFA code, and there is one terminal.

    Args:
        opened: Signs in, and gives access to the mesh in a region, with a profile; an empty one means the environment's
            credentials.
        profiles: Profiles of the AWS configuration by cell.
        match: A pattern of the shell's; only identities whose name matches are kept.
        live: Whether AWS is asked now, which may take minutes; otherwise it is what the last looks have left in the
            tables, and who has not answered in :data:`ANSWERS_WITHIN_S` is not waited for.
        tell: Called with a line of progress if it takes long.

    Returns:
        An answer of each, in the mesh file's order.
    """
    holders = {cell for cells in cells_of_identities(mesh).values() for cell in cells}
    asked = [cell for cell in mesh.cells if cell in holders]
    answers: dict[str, CellAnswer] = {}
    accounts: dict[str, Account] = {}
    for cell in asked:
        profile = profiles.get(cell, "")
        try:
            accounts[cell] = opened(mesh.cells[cell].region, profile)
        except MeshcertError as error:
            answers[cell] = _silent(mesh, cell, *advice_in_cell(error, cell, profile))

    def ask(cell: str, account: Account) -> None:
        answers[cell] = _ask(mesh, cell, account, profiles.get(cell, ""), match, live=live, tell=tell)

    # Daemons: a command that has told of a cell which does not answer ends without waiting for it.
    asking = {cell: Thread(target=ask, args=(cell, account), daemon=True) for cell, account in accounts.items()}
    for each in asking.values():
        each.start()
    until = monotonic() + ANSWERS_WITHIN_S
    for each in asking.values():
        each.join(None if live else max(until - monotonic(), 0.0))
    return tuple(answers.get(cell) or _unanswered(mesh, cell, asking[cell]) for cell in asked)


def exit_code_of(answers: tuple[CellAnswer, ...]) -> int:
    """The exit code of the command: the most serious of all cells."""
    found = {each.exit_code for each in answers}
    return next((code for code in _CODES if code in found), exit_codes.SETTLED)


def show_cells(
    screen: Screen, mesh: Mesh, answers: tuple[CellAnswer, ...], *, unsettled_only: bool, page: int, live: bool
) -> None:
    """Show a page of the identities of all cells, those that need a person first; above it, cells without an answer."""
    if not answers:
        screen.line((mesh.name, "bold"), ": no cell has an identity, so there is nothing to ask")
        return
    answered = [each for each in answers if not each.problem]
    sights = [sight for each in answered for sight in each.survey.sights]
    now = max((sight.seen.now for sight in sights), default=SystemClock().now())
    over = f"{len(answered)} of {len(answers)} cells" if len(answered) < len(answers) else f"{len(answers)} cells"
    screen.line((mesh.name, "bold"), f" over {over}, {now:%Y-%m-%d %H:%M:%S} UTC: ", *states(sights))
    for each in answers:
        if each.problem:
            screen.paragraph("!", f"cell {each.cell}: {each.problem}", "red", width=1)
        for name, why in each.survey.unreadable.items():
            screen.paragraph("!", f"cell {each.cell}, {name}: {why}", "red", width=1)
    if not live:
        show_when(screen, sights, now)
    width = max(len("cell"), *(len(each.cell) for each in answers))
    shown = [(sight, each.cell) for each in answered for sight in chosen(each.survey, unsettled_only=unsettled_only)]
    shown.sort(key=lambda row: urgency(row[0]))
    rows = [(sight, f"{cell:<{width}}  ") for sight, cell in shown]
    show_page(screen, rows, now, page=page, first=f"{'cell':<{width}}  ", live=live)


def print_cells_json(mesh: Mesh, answers: tuple[CellAnswer, ...], *, live: bool) -> None:
    """Print what was learned of each cell, for scripts."""
    cells = [each.document() for each in answers]
    tell_json({"schema": SCHEMA, "mesh": mesh.name, "at": SystemClock().now(), "live": live, "cells": cells})


def _ask(
    mesh: Mesh,
    cell: str,
    account: Account,
    profile: str,
    match: str,
    *,
    live: bool,
    tell: Callable[[str], None],
) -> CellAnswer:
    place = mesh.cells[cell]
    try:
        caller = account.caller()
        if caller != place.account:
            whose = f"profile {profile} is" if profile else "the environment's credentials are"
            problem = f"it is account {place.account}, and {whose} account {caller}'s. Give --profile {cell}=NAME"
            return _silent(mesh, cell, problem, exit_codes.REFUSED)
        surveyed = status_of(account, (), match, live=live, tell=lambda line: tell(f"{cell}: {line}"))
    except MeshcertError as error:
        return _silent(mesh, cell, *advice_in_cell(error, cell, profile))
    return CellAnswer(cell, place.account, place.region, surveyed, exit_code=surveyed.exit_code)


def _unanswered(mesh: Mesh, cell: str, asking: Thread) -> CellAnswer:
    place = mesh.cells[cell]
    problem = (
        f"account {place.account} in {place.region} has not answered within {ANSWERS_WITHIN_S:.0f} seconds. "
        "Run it again in a minute; if it stays so, look at the network and at AWS's health there"
    )
    if not asking.is_alive():
        problem = "meshcert has failed over its answer; please report this, with the traceback above"
    return _silent(mesh, cell, problem, exit_codes.UNAVAILABLE)


def _silent(mesh: Mesh, cell: str, problem: str, code: int) -> CellAnswer:
    place = mesh.cells[cell]
    return CellAnswer(cell, place.account, place.region, Survey(()), problem, code)
