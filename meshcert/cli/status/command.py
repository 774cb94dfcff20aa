"""The command ``meshcert status``."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from meshcert.cli.options import (
    ChosenMesh,
    json_option,
    live_option,
    match_option,
    mesh_option,
    names_argument,
    page_option,
    unsettled_option,
)
from meshcert.cli.rights import needs
from meshcert.cli.screen import Screen
from meshcert.cli.status.bundles import bundles_seen, show_bundles
from meshcert.cli.status.files import files_served, show_files
from meshcert.cli.status.recorded import show_recorded, status_of
from meshcert.cli.status.shown import show_status
from meshcert.cli.terminal import print_json, tell_aside

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command(short_help="What is declared, issued, published and served, by task.", epilog=needs("status"))
@names_argument
@match_option
@unsettled_option
@live_option
@page_option
@json_option
@mesh_option
@click.pass_obj
def status(
    chosen: ChosenMesh,
    names: Sequence[str],
    match: str,
    page: int,
    *,
    unsettled_only: bool,
    live: bool | None,
    as_document: bool,
) -> None:
    """
    What is declared, issued, published and served.

    For each identity, and for each task that serves it: version, serial number, time left, how much of the lifetime is
    gone, what is wrong and what to do. Of a whole mesh with federation also its SPIFFE bundles, by the mesh file.

    Of more than 50 identities it tells what the last look at each has found, a line each, those that need a person
    first: from the tables, in seconds. --live asks now, at four identities a second; so does NAME.
    """
    mesh = chosen.account()
    surveyed = status_of(mesh, names, match, live=live, tell=tell_aside)
    served = files_served(mesh, chosen.services_of_files()) if surveyed.whole and surveyed.live else []
    bundles = bundles_seen(mesh, chosen.declared() if surveyed.whole else None)
    if as_document:
        identities = [one.document() for one in surveyed.sights]
        content = {"live": surveyed.live, "identities": identities, "unreadable": list(surveyed.unreadable)}
        print_json(mesh, **content, files=served if surveyed.live else None, bundles=bundles)
    else:
        show = show_status if surveyed.live else partial(show_recorded, page=page)
        show(Screen(), mesh, surveyed, unsettled_only=unsettled_only)
        show_files(Screen(), served, mesh.observers.clock.now())
        show_bundles(Screen(), bundles, mesh.observers.clock.now())
    sys.exit(surveyed.exit_code)
