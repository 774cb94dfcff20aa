"""
``make deploy-cell CELL=NAME``: deploy one cell of a mesh, and say what comes next.

The credentials are those of the cell's account. A cell that makes CAs for others comes first: afterwards this program
writes their roots as PEM files and prints what the mesh file has to say of them, for only then are their ARNs known.
Each other cell is deployed with the credentials of its own account, in any order, and needs none of the others.

It asks before it begins what ``make deploy`` asks (:mod:`tools.first_deploy`), of the cell's own part of the mesh: a
CA that another cell has made and does not share is told before anything is made, too.

Beside the rights of ``make deploy`` it needs sts:GetCallerIdentity and acm-pca:GetCertificateAuthorityCertificate.

Exit code: that of the deploy, or 1 or 2 if nothing was deployed.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from meshcert import naming
from meshcert.aws.errors import aws_errors
from meshcert.cli.advice import advice
from meshcert.errors import MeshcertError, MeshInvalid
from meshcert.mesh import load_mesh
from meshcert.mesh.cells.slices import in_cell, missing_authorities, sharing, using_cells
from meshcert.mesh.issuance import SharedAuthority
from meshcert.mesh.stacks.logical_ids import logical_id, root_output, shared_output
from tools import first_deploy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from meshcert.mesh import Mesh

    Client = Callable[[str], Any]

NOT_DEPLOYED = 2
_MESH = "name it as make deploy-cell CELL=NAME MESH=FILE"
_BEGIN = "-----BEGIN CERTIFICATE-----"


def main(arguments: Sequence[str] | None = None, client: Client | None = None) -> int:
    """
    Deploy a cell.

    Args:
        arguments: Those of the program; None takes the process's own.
        client: Makes a boto3 client; None with the current credentials, in the cell's region.

    Returns:
        The exit code.
    """
    options, more = _options(arguments)
    file = Path(options.mesh)
    try:
        mesh, told = load_mesh(file), first_deploy.cdk_options(more)
    except (MeshInvalid, argparse.ArgumentError) as error:
        return _refuse(str(error))
    if told.names_mesh and Path(told.mesh) != file:
        return _refuse(f"-c mesh={told.mesh} would deploy another file than {file}, which is asked about: {_MESH}")
    if options.cell not in mesh.cells:
        cells = f"; it has {', '.join(mesh.cells)}" if mesh.cells else ", nor any other: run make deploy"
        return _refuse(f"{file} has no cell {options.cell!r}{cells}")
    if missing := missing_authorities(mesh, options.cell):
        return _refuse(_first(mesh, options.cell, missing, file))
    place = mesh.cells[options.cell]
    known = first_deploy.KnownDeploy(
        file, in_cell(mesh, options.cell), told.profile, told.one_by_one, options.cell, place.region
    )
    connect = client or known.client
    if why := _not_its_own(connect, options.cell, place.account):
        return _refuse(why)
    command = [*options.cdk, "deploy", f"{mesh.name}-{options.cell}/*", "-c", f"mesh={file}", *more]
    code = first_deploy.run(command, known, environment={**os.environ, "AWS_REGION": place.region})
    if not code:
        try:
            for line in next_steps(mesh, options.cell, file, connect, Path()):
                sys.stdout.write(f"{line}\n")
        except (ClientError, BotoCoreError, OSError) as error:
            again = command_of(options.cell, file)
            sys.stderr.write(f"The cell is deployed. What comes next could not be asked: {error}. Ask again: {again}\n")
    return code


def next_steps(mesh: Mesh, cell: str, file: Path, client: Client, folder: Path) -> Iterator[str]:
    """
    What a person does after the deploy of a cell, line by line.

    Args:
        mesh: As it was deployed.
        file: The mesh file.
        client: Makes a boto3 client for the cell's account and region.
        folder: Where roots are written, public certificates as PEM.
    """
    shared = sharing(mesh, cell)
    if not shared:
        return
    (stack,) = client("cloudformation").describe_stacks(StackName=f"{mesh.name}-{cell}-pki")["Stacks"]
    arns = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    signing = {name: arns[logical_id(shared_output(name))] for name in shared}
    written = {
        name: SharedAuthority(
            arn=arn,
            root=_write_root(mesh, name, arn, client, folder),
            lists=_lists(mesh, name, (arn, arns[logical_id(root_output(name))])),
        )
        for name, arn in signing.items()
    }
    unsaid = [name for name in shared if mesh.hierarchies[name].authority != written[name]]
    if unsaid:
        yield f"Other cells use the CAs of cell {cell}. Keep the PEM files in the repository, and write into {file}:"
        yield ""
        yield "hierarchies:"
        for name in unsaid:
            yield f"  {name}:"
            yield "    authority:"
            yield f'      arn: "{written[name].arn}"'
            yield f"      root: {written[name].root}"
            yield from (["      lists:"] if written[name].lists else [])
            yield from (f'        - "{each}"' for each in written[name].lists)
        yield ""
    if accounts := dict.fromkeys(account for each in shared.values() for account in each.reading):
        yield f"In an account outside of this one's organization, accept the shares once ({', '.join(accounts)}):"
        yield "  aws ram get-resource-share-invitations, then aws ram accept-resource-share-invitation for each"
    yield "Then, with the credentials of each account:"
    for other in using_cells(mesh, cell):
        yield f"  {command_of(other, file)}"


def command_of(cell: str, file: Path) -> str:
    """The command that deploys a cell."""
    return f"make deploy-cell CELL={cell}" + ("" if file == Path("mesh.yaml") else f" MESH={shlex.quote(str(file))}")


def _not_its_own(client: Client, cell: str, account: str) -> str:
    """Why the credentials are not those of a cell's account; empty if they are."""
    try:
        with aws_errors("sts:GetCallerIdentity", f"cell {cell}"):
            found = client("sts").get_caller_identity()["Account"]
    except MeshcertError as error:
        return advice(error)[0]
    if found == account:
        return ""
    return (
        f"cell {cell} is account {account}, and these credentials are account {found}'s: "
        f"take a role or a profile of {account}"
    )


def _first(mesh: Mesh, cell: str, missing: Mapping[str, str], file: Path) -> str:
    makers = dict.fromkeys(mesh.hierarchies[name].cell for name in missing)
    commands = ", ".join(command_of(maker, file) for maker in makers)
    places = ", ".join(f"hierarchies.{name}.{field}" for name, field in missing.items())
    return f"cell {cell} has to know of another cell's CAs: {places}. Deploy first: {commands}; it prints them"


def _write_root(mesh: Mesh, hierarchy: str, arn: str, client: Client, folder: Path) -> str:
    """Write the certificate that a CA's chain ends in; returns the file's name."""
    answer = client("acm-pca").get_certificate_authority_certificate(CertificateAuthorityArn=arn)
    chain = answer.get("CertificateChain") or answer["Certificate"]
    name = f"{mesh.name}-{hierarchy}-root.pem"
    (folder / name).write_text(f"{_BEGIN}{chain.rpartition(_BEGIN)[2].rstrip()}\n")
    return name


def _lists(mesh: Mesh, hierarchy: str, arns: tuple[str, str]) -> tuple[str, ...]:
    """Where the cell's bucket has the revocation lists of a hierarchy's CAs, the signing one's first."""
    declared = mesh.hierarchies[hierarchy]
    if not declared.writes_lists:
        return ()
    place = mesh.cells[declared.cell]
    bucket = naming.revocation_bucket(mesh.name, place.account, place.region)
    ids = (arn.rpartition("/")[2] for arn in dict.fromkeys(arns))
    return tuple(f"s3://{bucket}/{naming.revocation_list(each)}" for each in ids)


def _refuse(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return NOT_DEPLOYED


def _options(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(prog="make deploy-cell", description=__doc__.partition("\n\n")[0])
    parser.add_argument("cell", help="the cell's name in the mesh file")
    parser.add_argument("--mesh", default="mesh.yaml", help="the mesh file")
    parser.add_argument("--cdk", type=shlex.split, default=["cdk"], help="the CDK CLI")
    return parser.parse_known_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
