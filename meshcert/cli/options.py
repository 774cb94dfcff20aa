"""Arguments and options that several commands share, and the checks of their values."""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from meshcert.contract.environment import MESH, PROFILES
from meshcert.errors import MeshInvalid
from meshcert.mesh import load_mesh, proxy_settings
from meshcert.mesh.naming import NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from botocore.credentials import ReadOnlyCredentials

    from meshcert.cli.account import Account
    from meshcert.mesh import Mesh

_Command = TypeVar("_Command", bound="Callable[..., Any]")

DEFAULT_MESH_FILE = Path("mesh.yaml")
"""The mesh file of the folder."""

_WAIT_S = 900.0
_PERIODS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def require_names(_: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """
    The names in an argument, after a check that each can be a name.

    Without it, AWS would refuse the name later, with an error about a key or a table.

    Raises:
        click.BadParameter: If one of them cannot be a name.
    """
    names = [value] if isinstance(value, str) else value
    for name in names:
        if not NAME.fullmatch(name):
            problem = f"{name!r} is no name: lower-case letters, digits and hyphens"
            raise click.BadParameter(problem, param=parameter, param_hint="name")
    return value


@dataclass
class ChosenMesh:
    """
    The mesh that a command is about.

    Args:
        opened: Opens a mesh by its name and an environment.
        said: The value of ``--mesh``, a name or a mesh file; empty for ``./mesh.yaml``.
    """

    opened: Callable[..., Account]
    said: str = ""

    def account(self) -> Account:
        """
        Access to the mesh in AWS; makes no call.

        Raises:
            click.UsageError: If no mesh was named, and this folder has no mesh.yaml.
            MeshcertError: If the mesh file has faults, or the environment has no region.
        """
        name = load_mesh(self.file()).name if _is_file(self.said) else self.said
        return self.opened(name, os.environ)

    def cells(self, profiles: Collection[str]) -> tuple[Mesh, Callable[[str, str], Account], dict[str, str]]:
        """
        A mesh over several accounts: its file, access to it in a region with a profile, and the profiles by cell.

        Whoever opens it in a region signs in, if that profile has not yet; what is opened does not sign in again.

        Args:
            profiles: As typed, ``CELL=NAME``.

        Raises:
            click.UsageError: If there is no mesh file, it has no cells, or a profile is of none of them.
            MeshInvalid: If the mesh file has faults.
        """
        file = self.file()
        mesh = load_mesh(file)
        if not mesh.cells:
            raise click.UsageError(f"{file} has no cells: leave --all-cells out")
        by_cell: dict[str, str] = {}
        for each in profiles:
            cell, _, profile = each.partition("=")
            if cell not in mesh.cells or not profile or cell in by_cell:
                cells = ", ".join(mesh.cells)
                raise click.UsageError(f"--profile {each}: write CELL=NAME, once for a cell; there are {cells}")
            by_cell[cell] = profile

        signed_in: dict[str, ReadOnlyCredentials] = {}

        def opened(region: str, profile: str) -> Account:
            return self.opened(mesh.name, {**os.environ, "AWS_REGION": region}, profile, signed_in)

        return mesh, opened, by_cell

    def declared(self) -> Mesh | None:
        """The mesh as its file declares it; None if none is at hand, or it has faults."""
        try:
            return load_mesh(self.file())
        except (click.UsageError, MeshInvalid):
            return None

    def services_of_files(self) -> dict[str, str]:
        """
        The services that present no identity, and have files of the user's, each with its place on Amazon ECS.

        Empty without a mesh file.
        """
        mesh = self.declared()
        if mesh is None:
            return {}
        settings = {name: proxy_settings(mesh, name) for name in mesh.services}
        return {
            name: mesh.ecs_places[name]
            for name, proxy in settings.items()
            if name in mesh.ecs_places and not proxy.identities and (proxy.certificate_files or proxy.trust_files)
        }

    def file(self) -> Path:
        """
        The mesh file.

        Raises:
            click.UsageError: If this folder has no mesh.yaml, or that of another mesh.
            MeshInvalid: If a mesh was named, and the mesh.yaml of this folder has faults.
        """
        if not self.said and not DEFAULT_MESH_FILE.exists():
            raise click.UsageError("which mesh? Give --mesh NAME or FILE, or go to the folder of its mesh.yaml")
        if not _is_file(self.said):
            if DEFAULT_MESH_FILE.exists() and load_mesh(DEFAULT_MESH_FILE).name == self.said:
                return DEFAULT_MESH_FILE
            raise click.UsageError(f"this needs the mesh file of {self.said}: give --mesh FILE")
        return Path(self.said or DEFAULT_MESH_FILE)


def _is_file(mesh: str) -> bool:
    return not mesh or "." in mesh or "/" in mesh


def require_mesh(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """
    The value of ``--mesh``, which a command takes as well as ``meshcert`` itself; the command's counts.

    Raises:
        click.BadParameter: If it can be neither a name nor a file.
    """
    if not _is_file(value):
        require_names(context, parameter, value)
    if value and isinstance(context.obj, ChosenMesh):
        context.obj.said = value
    return value


group_mesh_option = click.option(
    "--mesh",
    envvar=MESH,
    default="",
    metavar="NAME|FILE",
    callback=require_mesh,
    help="Name of the mesh or its mesh file, or MESHCERT_MESH; left out: ./mesh.yaml.",
)
mesh_option = click.option(
    "--mesh",
    default="",
    metavar="NAME|FILE",
    callback=require_mesh,
    expose_value=False,
    help="Name of the mesh or its mesh file; left out: ./mesh.yaml.",
)
names_argument = click.argument("names", nargs=-1, metavar="[NAME]...", callback=require_names)
name_argument = click.argument("name", metavar="NAME", callback=require_names)
json_option = click.option("--json", "as_document", is_flag=True, help="A JSON document on standard output.")
unsettled_option = click.option(
    "--unsettled", "unsettled_only", is_flag=True, help="Show only identities that are not settled."
)
live_option = click.option(
    "--live/--recorded",
    "live",
    default=None,
    help="Ask AWS now, or read what the last looks wrote; left out: the first, but of a whole mesh of more than 50.",
)
match_option = click.option(
    "--match", default="*", metavar="PATTERN", help="Only identities whose name matches, for example 'orders-*'."
)
page_option = click.option(
    "--page", default=1, type=click.IntRange(min=1), help="Of --recorded: the page of 50 identities, from 1."
)
all_cells_option = click.option(
    "--all-cells", is_flag=True, help="Every cell of a mesh over several accounts, in one table; by its mesh file."
)
profiles_option = click.option(
    "--profile",
    "profiles",
    multiple=True,
    envvar=PROFILES,
    metavar="CELL=NAME",
    help=f"Of --all-cells: the AWS profile for a cell, once for each, or several in {PROFILES} with spaces "
    "between; left out: the environment's credentials.",
)
offline_option = click.option(
    "--offline", is_flag=True, help="Check and price the mesh file (--mesh FILE); AWS is not asked."
)
reason_option = click.option("--reason", default="", help="Why; it goes into the audit log.")
wait_option = click.option(
    "--wait",
    "wait_s",
    is_flag=False,
    flag_value=_WAIT_S,
    default=0.0,
    type=click.FloatRange(min=0.0),
    metavar="[SECONDS]",
    help=f"After NAME: follow it until the identity is settled, {_WAIT_S:.0f} seconds at most.",
)


def order_parameters(command: _Command) -> _Command:
    """Give a command what every order takes: the identity, why, how long to wait, and how to print."""
    for parameter in (mesh_option, json_option, wait_option, reason_option, name_argument):
        command = parameter(command)
    return command


def ago(now: dt.datetime, span: str) -> dt.datetime:
    """
    The time that lies a span before another.

    Args:
        span: A number followed by m, h, d or w.

    Returns:
        That time, but no earlier than 1970, where AWS's times begin.

    Raises:
        click.UsageError: If it is not a span.
    """
    number, unit = span[:-1], span[-1:]
    if unit not in _PERIODS or not number.isascii() or not number.isdecimal():
        raise click.UsageError(f"--since {span!r}: write a number and m, h, d or w, for example 12h")
    try:
        begin = now - dt.timedelta(**{_PERIODS[unit]: int(number)})
    except OverflowError:
        begin = dt.datetime.fromtimestamp(0, dt.UTC)
    return max(begin, dt.datetime.fromtimestamp(0, dt.UTC))
