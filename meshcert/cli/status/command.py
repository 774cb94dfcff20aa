"""The command ``meshcert status``."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from meshcert.cli.options import (
    ChosenMesh,
    all_cells_option,
    json_option,
    live_option,
    match_option,
    mesh_option,
    names_argument,
    page_option,
    profiles_option,
    unsettled_option,
)
from meshcert.cli.rights import needs
from meshcert.cli.screen import Screen
from meshcert.cli.status.bundles import bundles_seen, show_bundles
from meshcert.cli.status.cells import ask_cells, exit_code_of, print_cells_json, show_cells
from meshcert.cli.status.files import files_served, show_files
from meshcert.cli.status.recorded import show_recorded, status_of
from meshcert.cli.status.shown import show_status
from meshcert.cli.status.strict import show_strict, strict_seen
from meshcert.cli.terminal import print_json, tell_aside

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command(short_help="What is declared, issued, published and served, by task.", epilog=needs("status"))
@names_argument
@match_option
@unsettled_option
@live_option
@page_option
@all_cells_option
@profiles_option
@json_option
@mesh_option
@click.pass_context
def status(
    context: click.Context,
    names: Sequence[str],
    match: str,
    page: int,
    profiles: Sequence[str],
    *,
    all_cells: bool,
    unsettled_only: bool,
    live: bool | None,
    as_document: bool,
) -> None:
    """
    What is declared, issued, published and served.

    For each identity, and for each task that serves it: version, serial number, time left, how much of the lifetime is
    gone, what is wrong and what to do. By the mesh file also: whether STRICT is effective at attached services, or what
    leads past their Envoys; of a whole mesh with federation its SPIFFE bundles.

    Of more than 50 identities it tells what the last look at each has found, a line each, those that need a person
    first: from the tables, in seconds. --live asks now, at four identities a second; so does NAME.

    --all-cells tells the same of every cell of a mesh over several accounts, in ten seconds: each is asked with the
    credentials of its own account, at the same time. One that does not answer is told in a line, and the others are
    shown; the exit code is the gravest.
    """
    chosen: ChosenMesh = context.obj
    if all_cells:
        if names:
            raise click.UsageError("a NAME is of one cell: leave --all-cells out, or give --match PATTERN")
        declared, opened, by_cell = chosen.cells(profiles)
        answers = ask_cells(declared, opened, by_cell, match, live=bool(live), tell=tell_aside)
        if as_document:
            print_cells_json(declared, answers, live=bool(live))
        else:
            show_cells(Screen(), declared, answers, unsettled_only=unsettled_only, page=page, live=bool(live))
        sys.exit(exit_code_of(answers))
    if profiles and context.get_parameter_source("profiles") is not ParameterSource.ENVIRONMENT:
        raise click.UsageError("--profile is of --all-cells; here the environment says which, by AWS_PROFILE")
    mesh = chosen.account()
    surveyed = status_of(mesh, names, match, live=live, tell=tell_aside)
    served = files_served(mesh, chosen.services_of_files()) if surveyed.whole and surveyed.live else []
    file = chosen.declared()
    strict = strict_seen(mesh, file, surveyed)
    bundles = bundles_seen(mesh, file if surveyed.whole else None)
    if as_document:
        identities = [one.document() for one in surveyed.sights]
        content = {"live": surveyed.live, "identities": identities, "unreadable": list(surveyed.unreadable)}
        print_json(mesh, **content, files=served if surveyed.live else None, strict=strict, bundles=bundles)
    else:
        show = show_status if surveyed.live else partial(show_recorded, page=page)
        show(Screen(), mesh, surveyed, unsettled_only=unsettled_only)
        show_strict(Screen(), strict)
        show_files(Screen(), served, mesh.observers.clock.now())
        show_bundles(Screen(), bundles, mesh.observers.clock.now())
    sys.exit(surveyed.exit_code)
