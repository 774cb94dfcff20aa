"""``meshcert COMMAND``: plan, status, renew, rollback, compromised, history, verify, credentials; and of mesh files."""

from __future__ import annotations

import io
import sys
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from meshcert import VERSION
from meshcert.cli import exit_codes, mesh_file, screen
from meshcert.cli.account import connect
from meshcert.cli.advice import advice
from meshcert.cli.compromised import announced, has_lists, left_to_its_owner
from meshcert.cli.costs.month import estimate
from meshcert.cli.credentials.command import credentials
from meshcert.cli.map import command as map_command
from meshcert.cli.mesh_files import envoy_configuration, importing, sidecar, why
from meshcert.cli.options import (
    ChosenMesh,
    ago,
    group_mesh_option,
    json_option,
    mesh_option,
    name_argument,
    names_argument,
    offline_option,
    order_parameters,
    unsettled_option,
)
from meshcert.cli.orders import Watch, described, foresee, is_futile
from meshcert.cli.rights import needs
from meshcert.cli.screen import Screen
from meshcert.cli.status.command import status
from meshcert.cli.survey import require_declared, sight, survey, usage
from meshcert.cli.terminal import print_json, tell, tell_aside, tell_fault, tell_fault_of_thread, tell_usage
from meshcert.errors import MeshcertError
from meshcert.lifecycle.orders import COMPROMISED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshcert.cli.account import Account

_EPILOGUE = "\b\nExit codes:\n" + "\n".join(
    f"  {code:>3}  {meaning}" for code, meaning in exit_codes.EXIT_CODES.items()
)


@click.group(
    epilog=_EPILOGUE, context_settings={"max_content_width": screen.WIDTH, "help_option_names": ["-h", "--help"]}
)
@click.version_option(VERSION, prog_name="meshcert", message="%(prog)s %(version)s")
@group_mesh_option
@click.pass_context
def cli(context: click.Context, mesh: str) -> None:
    """
    See and steer the certificates of a mesh.

    `check`, `schema`, `import` and `envoy` ask AWS nothing. The others do, and everything else comes from the
    environment: AWS_REGION, AWS_PROFILE or other credentials, and AWS_ENDPOINT_URL for a local AWS. The role in the
    renewal stack's output OperatorRole may run every command but `credentials`, and can reach no private key.
    """
    context.obj = ChosenMesh(context.obj, mesh)


@cli.command(short_help="What would be done next, why, and what a month costs.", epilog=needs("plan"))
@names_argument
@unsettled_option
@offline_option
@json_option
@mesh_option
@click.pass_obj
def plan(chosen: ChosenMesh, names: Sequence[str], *, unsettled_only: bool, offline: bool, as_document: bool) -> None:
    """
    What would be done next, and why; changes nothing.

    Then what a person should know, with remedies. Of a whole mesh also the certificates, API calls and dollars of a
    month. With --offline AWS is not asked: a mesh file is checked and priced before anything is deployed.
    """
    if offline:
        if names or unsettled_only:
            raise click.UsageError("--offline is about a whole mesh file: leave NAME and --unsettled out")
        sys.exit(mesh_file.show_offline(chosen.file(), as_document=as_document))
    mesh = chosen.account()
    surveyed = survey(mesh, names, tell_aside)
    month = estimate(usage(surveyed.sights, chosen.declared())) if surveyed.whole else None
    if as_document:
        identities = [one.document() for one in surveyed.sights]
        document = month.document() if month else None
        print_json(mesh, identities=identities, unreadable=list(surveyed.unreadable), month=document)
    else:
        screen.show_plan(Screen(), mesh, surveyed, month, unsettled_only=unsettled_only)
    sys.exit(surveyed.exit_code)


@cli.command(short_help="Order a new certificate now.", epilog=needs("renew"))
@order_parameters
@click.pass_obj
def renew(chosen: ChosenMesh, name: str, reason: str, wait_s: float, *, as_document: bool) -> None:
    """Order a new certificate now; orders that come close together are one renewal."""
    _order(chosen, "renew", name, reason, wait_s, as_document=as_document)


@cli.command(short_help="Order the published version away, back to the last good one.", epilog=needs("rollback"))
@order_parameters
@click.pass_obj
def rollback(chosen: ChosenMesh, name: str, reason: str, wait_s: float, *, as_document: bool) -> None:
    """
    Order the published version away: proxies go back to the last good one.

    The version is quarantined and never published again; a fresh renewal follows by itself. Refused at once if there is
    nothing to go back to.
    """
    _order(chosen, "rollback", name, reason, wait_s, as_document=as_document)


@cli.command(short_help="A key has leaked: another one, and the old certificate revoked.", epilog=needs("compromised"))
@order_parameters
@click.pass_obj
def compromised(chosen: ChosenMesh, name: str, reason: str, wait_s: float, *, as_document: bool) -> None:
    """
    The published key has leaked: have another one served everywhere, then the certificates so far revoked.

    Whoever could read this key could have read those before it, so their certificates are revoked too. Nothing goes
    back to them any more. A revocation cannot be undone. It says for how long the old key is still accepted, and what
    closes the door now. Close the leak first: who can still read the secret reads the new key as well.
    """
    _order(chosen, COMPROMISED, name, reason, wait_s, as_document=as_document)


@cli.command(short_help="What was done for an identity, when, why and by whom.", epilog=needs("history"))
@name_argument
@click.option("--since", default="30d", show_default=True, metavar="SPAN", help="For example 90m, 12h, 30d, 8w.")
@json_option
@mesh_option
@click.pass_obj
def history(chosen: ChosenMesh, name: str, since: str, *, as_document: bool) -> None:
    """What was done for an identity: when, why, by whom, before and after; also for one that is gone."""
    mesh = chosen.account()
    begin = ago(mesh.observers.clock.now(), since)
    entries = list(mesh.history(name, begin))
    if not entries:
        require_declared(mesh, name)
    if as_document:
        print_json(mesh, identity=name, since=begin, entries=[asdict(entry) for entry in entries])
    elif entries:
        screen.show_history(Screen(), entries)
    else:
        tell(f"nothing was done for {name} since {begin:%Y-%m-%d %H:%M} UTC; --since looks further back")


@cli.command(short_help="Check what is published, key and all, where the key is.", epilog=needs("verify"))
@name_argument
@json_option
@mesh_option
@click.pass_obj
def verify(chosen: ChosenMesh, name: str, *, as_document: bool) -> None:
    """The whole pre-flight of the published version, run inside the verify function: the key stays there."""
    mesh = chosen.account()
    require_declared(mesh, name)
    answer = mesh.verifier.verify(name)
    texts = {key: str(answer.get(key, "")) for key in ("subject", "version_id", "serial_number", "not_after")}
    verdict = {"identity": name, **texts, "faults": list(answer.get("faults", ()))}
    if as_document:
        print_json(mesh, **verdict)
    else:
        screen.show_verdict(Screen(), verdict)
    sys.exit(exit_codes.NEEDS_A_PERSON if verdict["faults"] else exit_codes.SETTLED)


cli.add_command(status)
cli.add_command(credentials)
cli.add_command(mesh_file.check)
cli.add_command(mesh_file.schema)
cli.add_command(map_command.draw)
cli.add_command(why.why)
cli.add_command(importing.import_)
cli.add_command(envoy_configuration.envoy)
cli.add_command(sidecar.sidecar)


def _order(chosen: ChosenMesh, order: str, name: str, reason: str, wait_s: float, *, as_document: bool) -> None:
    mesh = chosen.account()
    say = tell_aside if as_document else tell
    before = sight(mesh, name)
    foreseen = foresee(mesh, before, order, reason)
    if is_futile(before, order, foreseen):
        raise click.exceptions.Exit(_tell_futile(order, name))
    version, told = "", {}
    if order == COMPROMISED:
        version, told = before.seen.current, {"revocation_list": has_lists(mesh, before, chosen.declared())}
        for line in announced(before, reason, lists=told["revocation_list"]):
            say(line)
    watch = Watch(mesh, before, say)
    message = mesh.orders.send(order, name, reason, version)
    say(f"ordered: {order} {name}. First: {described(foreseen)}")
    after = watch.follow(wait_s) if wait_s else None
    if as_document:
        shown = after.document() if after else None
        print_json(mesh, order=order, identity=name, message_id=message, after=shown, **told)
    elif after is None:
        say(f"`meshcert status {name}` and `meshcert history {name}` tell what comes of it")
    elif watch.is_done(after):
        say(f"settled: {screen.short(before.seen.current)} → {screen.short(after.seen.current)}")
        if order == COMPROMISED and (left := left_to_its_owner(after)):
            say(left)
    sys.exit(watch.exit_code(after) if after else exit_codes.SETTLED)


def _tell_futile(order: str, name: str) -> int:
    if order == COMPROMISED:
        tell_aside(f"meshcert: nothing is published for {name}, so nobody has a key of it. Nothing was ordered")
        return exit_codes.NEEDS_A_PERSON
    tell_aside(
        f"meshcert: {name} has no good version to go back to, so nothing was ordered. "
        f"`meshcert renew {name}` makes a new one"
    )
    return exit_codes.NEEDS_A_PERSON


def main(arguments: Sequence[str] | None = None, opened: Callable[..., Account] = connect) -> int:
    """
    Run one command.

    Args:
        arguments: The command line; by default that of this process.
        opened: Opens a mesh by its name and an environment.

    Returns:
        The exit code.
    """
    sys.excepthook = tell_fault
    threading.excepthook = tell_fault_of_thread
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal without an arrow shows a question mark.
            stream.reconfigure(errors="replace")
    try:
        ended = cli.main(args=arguments, prog_name="meshcert", standalone_mode=False, obj=opened)
    except click.ClickException as error:
        tell_usage(error)
        return exit_codes.USAGE
    except click.Abort:
        tell_aside("meshcert: interrupted; an order that was sent stays")
        return exit_codes.INTERRUPTED
    except MeshcertError as error:
        line, code = advice(error)
        tell_aside(f"meshcert: {line}")
        return code
    except SystemExit as end:
        return int(end.code or 0)
    return ended if isinstance(ended, int) else exit_codes.SETTLED


if __name__ == "__main__":
    sys.exit(main())
