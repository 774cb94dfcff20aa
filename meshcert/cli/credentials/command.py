"""The command itself: fetch, check, write, and run what is to run after that; once, or for as long as it is let."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import click

from meshcert import naming
from meshcert.cli import exit_codes
from meshcert.cli.advice import advice
from meshcert.cli.credentials.cells import elsewhere
from meshcert.cli.credentials.folder import CredentialFolder
from meshcert.cli.credentials.forms import Forms, files_of
from meshcert.cli.credentials.passphrases import given_passphrase
from meshcert.cli.options import ChosenMesh, json_option, mesh_option, name_argument, require_names
from meshcert.cli.rights import needs
from meshcert.cli.screen import duration, short
from meshcert.cli.terminal import SCHEMA, tell, tell_aside, tell_json
from meshcert.errors import MeshcertError
from meshcert.material import join_certificates, split_certificates
from meshcert.material.certificate_facts import certificate_facts, load_certificates, sans_of
from meshcert.material.document import read_material, read_trust_bundle
from meshcert.publishing.preflight import Expectation, verify_material

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from meshcert.cli.account import Account
    from meshcert.material import Material
    from meshcert.material.certificate_facts import CertificateFacts
    from meshcert.mesh import Mesh

_EVERY_S = 300.0
_SHORTEST_S = 10.0


@dataclass(frozen=True)
class _Wanted:
    """
    What a command line asks for.

    Args:
        trust: Hierarchies whose roots the client is to trust.
        command: Runs after something new was written; empty if nothing is to run.
    """

    name: str
    folder: CredentialFolder
    forms: Forms
    trust: tuple[str, ...]
    command: tuple[str, ...]


@dataclass(frozen=True)
class _Written:
    """
    What came of one look.

    Args:
        anew: Whether files were written.
        ended: How the command ended; None if none was to run.
    """

    version: str
    facts: CertificateFacts
    anew: bool
    ended: int | None


@click.command(
    "credentials",
    short_help="Fetch an identity's certificate, chain and key into files, for a client outside the mesh.",
    epilog=needs("credentials"),
)
@name_argument
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND [ARGUMENT]...]")
@click.option(
    "--folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where; readers use FOLDER/current.",
)
@click.option("--clear-key", is_flag=True, help="Do not encrypt private_key.pem.")
@click.option("--pkcs12", is_flag=True, help="Write keystore.p12 as well, and with --trust truststore.p12.")
@click.option(
    "--trust", multiple=True, metavar="HIERARCHY", callback=require_names, help="Write its roots into trust_bundle.pem."
)
@click.option(
    "--passphrase-fd",
    type=click.IntRange(min=0),
    metavar="NUMBER",
    help="Read the passphrase from this open file; left out, it is asked for.",
)
@click.option("--watch", is_flag=True, help="Go on looking until it is stopped.")
@click.option(
    "--every",
    "every_s",
    default=_EVERY_S,
    show_default=True,
    type=click.FloatRange(min=_SHORTEST_S),
    metavar="SECONDS",
    help="With --watch: the time between two looks.",
)
@json_option
@mesh_option
@click.pass_obj
def credentials(
    chosen: ChosenMesh,
    name: str,
    command: Sequence[str],
    *,
    folder: Path,
    trust: Sequence[str],
    passphrase_fd: int | None,
    every_s: float,
    clear_key: bool,
    pkcs12: bool,
    watch: bool,
    as_document: bool,
) -> int:
    """
    Fetch the published certificate, chain and key of NAME into FOLDER, if they have changed.

    For a client that runs outside the mesh: curl, nginx, a JVM. Everything is checked before it is written, and
    FOLDER/current changes in one step; files are 0600. COMMAND runs after something new was written, without a shell,
    and again at the next look if it fails. With --clear-key the key is as readable as the file is: use a tmpfs.

    The role that `identities.NAME.client` makes reads this secret, and nothing else.
    """
    account = chosen.account()
    passphrase = given_passphrase(passphrase_fd) if pkcs12 or not clear_key else None
    wanted = _Wanted(name, CredentialFolder(folder), Forms(clear_key, pkcs12, passphrase), tuple(trust), tuple(command))
    mesh = chosen.declared()
    if not watch:
        return _tell(account, wanted, _look(mesh, account, wanted), as_document=as_document)
    while True:
        try:
            written = _look(mesh, account, wanted)
        except (MeshcertError, click.UsageError) as error:
            # What is there serves on: an outage of AWS is none of the client's, and a full disk may have room again.
            said = advice(error)[0] if isinstance(error, MeshcertError) else error.format_message()
            tell_aside(f"meshcert: {said}")
        else:
            if written.anew or written.ended is not None:
                _tell(account, wanted, written, as_document=as_document)
        account.pauses.sleep(every_s)


def _look(mesh: Mesh | None, account: Account, wanted: _Wanted) -> _Written:
    """
    Fetch and check what is published, write it if it is new, and run the command if it has to.

    Args:
        mesh: As its file declares it; None if none is at hand.

    Raises:
        MeshcertError: If it cannot be had, or must not be used. Nothing was written.
    """
    secret = naming.identity_secret(account.mesh, wanted.name)
    try:
        published = account.values.current_value(secret)
    except MeshcertError as error:
        if another := elsewhere(mesh, account, wanted.name, error):
            raise another from error
        raise
    material = _checked(wanted.name, read_material(published.value, secret), account.observers.clock.now())
    roots = _roots(account, wanted.trust)
    version = sha256(f"{published.version_id}\n{wanted.forms.name}\n{roots}".encode()).hexdigest()[:32]
    anew = version != wanted.folder.version
    if anew:
        if wanted.command:
            wanted.folder.await_command()
        wanted.folder.write(version, files_of(wanted.name, material, roots, wanted.forms))
    ended = _run(wanted) if wanted.command and wanted.folder.pending else None
    return _Written(published.version_id, certificate_facts(material.certificate), anew, ended)


def _checked(name: str, material: Material, at: dt.datetime) -> Material:
    """
    The material, if key, certificate and chain belong together and are valid.

    Its own root is the anchor: who may write the secret is for IAM to say, and this role knows no other.
    """
    leaf = load_certificates(material.certificate)[:1]
    names = tuple(name for certificate in leaf for name in sans_of(certificate))
    anchor = join_certificates(split_certificates(material.certificate_chain)[-1:])
    return verify_material(material, Expectation(name, names, (), anchor, at))


def _roots(account: Account, hierarchies: Sequence[str]) -> str:
    secrets = [naming.trust_bundle_secret(account.mesh, hierarchy) for hierarchy in hierarchies]
    bundles = [read_trust_bundle(account.values.current_value(secret).value, secret) for secret in secrets]
    roots = dict.fromkeys(root for bundle in bundles for root in split_certificates(bundle.certificates))
    return join_certificates(roots)


def _run(wanted: _Wanted) -> int:
    """Run the command: as a list, with standard error for its output, and nothing of ours open in it."""
    try:
        ended = subprocess.run(wanted.command, stdin=subprocess.DEVNULL, stdout=2, check=False).returncode
    except OSError as error:
        tell_aside(f"meshcert: {wanted.command[0]} cannot be run: {error.strerror}")
        return exit_codes.NEEDS_A_PERSON
    if ended == 0:
        wanted.folder.command_has_run()
    return ended


def _tell(account: Account, wanted: _Wanted, written: _Written, *, as_document: bool) -> int:
    facts, now = written.facts, account.observers.clock.now()
    if as_document:
        tell_json(
            {
                "schema": SCHEMA,
                "mesh": account.mesh,
                "region": account.region,
                "at": now,
                "identity": wanted.name,
                "version": written.version,
                "serial_number": facts.serial_number,
                "not_after": facts.not_after,
                "folder": str(wanted.folder.current),
                "written": written.anew,
                "command": written.ended,
            }
        )
    else:
        what = "written to" if written.anew else "unchanged in"
        left = duration((facts.not_after - now).total_seconds())
        tell(
            f"{wanted.name} {short(written.version)} {what} {wanted.folder.current}, "
            f"until {facts.not_after:%Y-%m-%d %H:%M} UTC, {left} from now"
        )
    if written.ended:
        tell_aside(f"meshcert: {wanted.command[0]} ended with {written.ended}; it runs again at the next look")
    return exit_codes.NEEDS_A_PERSON if written.ended else exit_codes.SETTLED
