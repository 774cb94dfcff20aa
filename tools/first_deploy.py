"""
``make deploy``, whose first run keeps what the services' containers say; and what ``make deploy-cell`` shares with it.

CloudFormation takes a first deploy that failed back, log groups included, and with them the reason why an application
did not start. So the lines of a first deploy are copied to files while it runs; when it has succeeded, the files go.
What is deployed already keeps its log groups when an update is taken back, and nothing is copied.

What the mesh file says is yours, a VPC for example, is asked about before a first deploy. If AWS contradicts it,
nothing is made. A later deploy is not kept from anything: somebody else may have filled a subnet meanwhile.
``make verify-aws ARGS=--before`` asks the same, and says which rights it takes.

A later deploy is refused if it cannot be carried out, or loses what nobody asked to lose (:mod:`tools.moves`).

The rights it needs beside the deploy's own are cloudformation:DescribeStacks, cloudformation:GetTemplate and
logs:FilterLogEvents. Without them, or without a mesh file that can be read, the deploy runs all the same.
A cell of a mesh over several accounts is deployed in the same way, as the mesh that it is in its own account.

Exit code: that of the command, or 1 or 2 of the questions before it.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from meshcert.errors import MeshInvalid
from meshcert.mesh import load_mesh
from meshcert.mesh.edges.callers import ONE_BY_ONE, one_by_one
from meshcert.mesh.stacks.shards import LOGS_OF_BEFORE, MOVES_ASKED
from tools import verify_aws
from tools.deployed_stacks import GONE, described_stack, sharded_templates, written_logs
from tools.kept_logs import KeptLogs
from tools.moves.authorities_in_use import InUse, authorities_in_use
from tools.moves.made import Made
from tools.moves.moved_clusters import moved_clusters
from tools.moves.refused_moves import refused_moves
from tools.moves.removed_services import removed_services

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshcert.mesh import Mesh

KEPT = Path("build") / "first-deploy"
COPY_EVERY_S = 5.0
"""A failed container's last lines are in CloudWatch within seconds; its log group goes minutes later."""
BRIEF = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2})
"""How AWS is asked beside a deploy."""
AUTHORITIES, SERVICES = "pki", "services"
"""The first stack of a mesh, and the one with its services, by the ends of their names."""


@dataclass(frozen=True)
class KnownDeploy:
    """
    A deploy as far as it is known before it runs.

    Args:
        file: The mesh file.
        mesh: What stands in it, or a cell's part of that.
        profile: A profile of the AWS configuration; None for the current credentials.
        one_by_one: The services whose callers it lets in one by one, however many they are.
        cell: The cell that is deployed; empty for a mesh without cells.
        region: That of the cell; else the environment says it.
    """

    file: Path
    mesh: Mesh
    profile: str | None = None
    one_by_one: frozenset[str] = frozenset()
    cell: str = ""
    region: str | None = None

    @cached_property
    def is_first(self) -> bool | None:
        """Whether the mesh is not deployed yet; None if AWS does not say."""
        try:
            found = described_stack(self.client("cloudformation"), self._stack(self._last))
        except (ClientError, BotoCoreError):
            return None
        return found is None or found["StackStatus"] in GONE

    def made(self) -> Made | None:
        """What earlier deploys have made; None if AWS does not say."""
        client = self.client("cloudformation")
        services = None
        try:
            if self._last == SERVICES:
                services = client.get_template(StackName=self._stack(SERVICES))["TemplateBody"]
            (pki,) = client.describe_stacks(StackName=self._stack(AUTHORITIES))["Stacks"]
        except (ClientError, BotoCoreError):
            return None
        outputs = frozenset(each["OutputKey"] for each in pki.get("Outputs", []))
        identities = None
        with suppress(ClientError, BotoCoreError):
            identities = client.get_template(StackName=self._stack("identities"))["TemplateBody"]
        return Made.of(services, outputs, identities, self._sharded)

    def still_in_use(self) -> list[str]:
        """What stacks use that leaves, or is otherwise; nothing if AWS does not say what is deployed."""
        try:
            pki = self.client("cloudformation").get_template(StackName=self._stack(AUTHORITIES))["TemplateBody"]
        except (ClientError, BotoCoreError):
            return []
        every = "*" if self.mesh.shards else ""
        opposite = [*(self._deployed([f"{part}{every}"]) for part in (SERVICES, "identities")), "this again"]
        return [
            *authorities_in_use(self.mesh, InUse(pki, self._sharded), opposite),
            *removed_services(self.mesh, self._sharded, self._deployed, self._deleted),
            *moved_clusters(self.mesh, self._sharded),
        ]

    def _deployed(self, parts: Sequence[str]) -> str:
        """The command that deploys stacks alone, without those before them."""
        stacks = f"{self.mesh.name}-{self.cell}/" if self.cell else f"{self.mesh.name}-"
        said = "" if self.file == Path("mesh.yaml") else f" -c mesh={shlex.quote(str(self.file))}"
        said += f" -c {MOVES_ASKED}=true" * bool(self.mesh.shards) + f" --profile {self.profile}" * bool(self.profile)
        return f'make cdk ARGS="deploy -e {shlex.join(stacks + part for part in parts)}{said}"'

    def _deleted(self, part: str) -> str:
        """The commands that delete a stack; the CDK knows none that the file has no more."""
        named = f"--stack-name {self._stack(part)}" + (f" --region {self.region}" if self.region else "")
        return f"aws cloudformation delete-stack {named} && aws cloudformation wait stack-delete-complete {named}"

    @property
    def _last(self) -> str:
        """The stack that is there once the mesh is: that of its services, if it is more than CAs for other cells."""
        return SERVICES if self.mesh.identities or self.mesh.services else AUTHORITIES

    def _stack(self, part: str) -> str:
        return "-".join([self.mesh.name, *filter(None, [self.cell]), part])

    @cached_property
    def _sharded(self) -> dict[str, Any]:
        """The templates of the stacks that hold services or identities; empty if AWS does not say."""
        return sharded_templates(self.client("cloudformation"), self.mesh, self._stack(""))

    def logs_of_before(self) -> list[str]:
        """The options that leave tasks of shards the right to write where they do, until their stacks are deployed."""
        groups = sorted(written_logs(self._sharded, self.mesh))
        return ["-c", f"{LOGS_OF_BEFORE}={','.join(groups)}"] if groups else []

    def logs_kept(self, folder: Path) -> KeptLogs | None:
        """What keeps the lines of a first deploy; None for any other, and for one that nothing is known about."""
        if not self.is_first:
            return None
        begun_ms = int(time.time() * 1000)
        places = {service: self._place(service, begun_ms) for service in self.mesh.services}
        return KeptLogs(self.client("logs"), places, folder)

    def _place(self, service: str, begun_ms: int) -> dict[str, Any]:
        group, streams = self.mesh.log_place(service)
        place = {"logGroupName": group} | ({"logStreamNamePrefix": streams} if streams else {})
        # One of yours may hold lines of long ago.
        return place | ({"startTime": begun_ms} if self.mesh.logs.existing else {})

    def client(self, service: str) -> Any:
        """A boto3 client with the credentials of the deploy, where it deploys to."""
        region = self.region or os.environ.get("AWS_REGION")
        session = boto3.Session(profile_name=self.profile, region_name=region)
        return session.client(service, config=BRIEF)


def main(command: Sequence[str] | None = None, folder: Path = KEPT) -> int:
    """
    Run a deploy.

    Args:
        command: The deploy's command line; None takes the program's own arguments.
        folder: Where lines are kept.

    Returns:
        The command's exit code.
    """
    command = sys.argv[1:] if command is None else command
    known = _known(command)
    if known and known.mesh.cells:
        cells = ", ".join(known.mesh.cells)
        sys.stderr.write(
            f"{known.file} has cells, each with credentials of its own: make deploy-cell CELL=... ({cells})\n"
        )
        return 2
    return run(command, known, folder)


def run(
    command: Sequence[str],
    known: KnownDeploy | None,
    folder: Path = KEPT,
    environment: Mapping[str, str] | None = None,
) -> int:
    """
    Ask what a deploy asks before it begins, then run it.

    Args:
        command: The deploy's command line.
        known: What is known of it; None if that is nothing, and nothing can be asked.
        folder: Where lines are kept.
        environment: The command's; None for this process's.

    Returns:
        The command's exit code, or 1 or 2 of the questions.
    """
    if known and known.is_first is not False and (code := _asked_before(known)):
        return code
    if known and known.is_first is False and (code := _moved(known)):
        return code
    if known and known.mesh.shards:
        command = [*command, "-c", f"{MOVES_ASKED}=true", *known.logs_of_before()]
    kept = known.logs_kept(folder) if known else None
    if kept:
        kept.drop()
    with subprocess.Popen(command, env=environment) as process:
        code = _wait(process, kept)
    if kept and code:
        kept.copy()
        if kept.files:
            told = ", ".join(map(str, kept.files))
            sys.stderr.write(f"\nWhat the containers said is kept, although their log groups may be gone: {told}\n")
    elif kept:
        kept.drop()
    return code


def _moved(known: KnownDeploy) -> int:
    """Tell what no deploy can carry out, and ask AWS about a log group of yours that tasks do not write to yet."""
    made = known.made()
    if not made:
        sys.stderr.write("Not asked whether any deploy can carry this out: cloudformation:GetTemplate gave no answer\n")
        return 0
    if moves := [*refused_moves(known.mesh, made, known.one_by_one), *known.still_in_use()]:
        sys.stderr.write("Nothing was deployed:\n" + "".join(f"- {move}\n" for move in moves))
        return 1
    yours = known.mesh.logs.existing_name
    return _asked_before(known) if yours and yours not in made.filtered else 0


def _asked_before(known: KnownDeploy) -> int:
    """Ask AWS about what is yours, if anything is; else 0."""
    mesh, about = known.mesh, known.mesh.about
    parts = (mesh.network.existing, mesh.cluster.existing, mesh.logs.existing, about.secrets_key, about.namespace_id)
    if not any((*parts, *(each.existing for each in mesh.hierarchies.values() if not each.is_remote))):
        return 0
    profile = ["--profile", known.profile] if known.profile else []
    cell = ["--cell", known.cell] if known.cell else []
    return verify_aws.main(["--before", "--mesh", str(known.file), *cell, *profile])


def _wait(process: subprocess.Popen[bytes], kept: KeptLogs | None) -> int:
    while True:
        # Ctrl-C reaches the command, too, which ends in its own way.
        with suppress(KeyboardInterrupt):
            try:
                return process.wait(COPY_EVERY_S if kept else None)
            except subprocess.TimeoutExpired:
                if kept:
                    kept.copy()


def _known(command: Sequence[str]) -> KnownDeploy | None:
    """What its command line says of a deploy; None if the mesh file cannot be read, which is the deploy's to tell."""
    try:
        options = cdk_options(command)
        return KnownDeploy(Path(options.mesh), load_mesh(Path(options.mesh)), options.profile, options.one_by_one)
    except (argparse.ArgumentError, MeshInvalid):
        return None


def cdk_options(command: Sequence[str]) -> argparse.Namespace:
    """
    What of the CDK CLI's options is known before a deploy: ``mesh``, ``names_mesh``, ``profile``, ``one_by_one``.

    Raises:
        argparse.ArgumentError: If an option lacks its value.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-c", "--context", action="append", default=[])
    parser.add_argument("--profile")
    options, _ = parser.parse_known_args(list(command))
    given = dict(each.split("=", 1) for each in options.context if "=" in each)
    options.mesh, options.names_mesh = given.get("mesh", "mesh.yaml"), "mesh" in given
    options.one_by_one = one_by_one(given.get(ONE_BY_ONE))
    return options


if __name__ == "__main__":
    sys.exit(main())
