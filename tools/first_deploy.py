"""
``make deploy``, whose first run keeps what the services' containers say; and what ``make deploy-cell`` shares with it.

CloudFormation takes a first deploy that failed back, log groups included, and with them the reason why an application
did not start. So the lines of a first deploy are copied to files while it runs; when it has succeeded, the files go.
What is deployed already keeps its log groups when an update is taken back, and nothing is copied.

What the mesh file says is yours, a VPC for example, is asked about before a first deploy. If AWS contradicts it,
nothing is made. A later deploy is not kept from anything: somebody else may have filled a subnet meanwhile.
``make verify-aws ARGS=--before`` asks the same, and says which rights it takes.

A later deploy is refused if the mesh file has something made that was yours, or names one of yours for what was made:
no deploy can carry that out; if it would move into a shard, or out of one, what is deployed; if it would shut out
callers of a service that many call; if it would delete log groups without a word (:mod:`tools.refused_moves`); and if
stacks still import a CA that the file has no more, or has otherwise (:mod:`tools.authorities_in_use`).

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

from meshcert import naming
from meshcert.errors import MeshInvalid
from meshcert.mesh import load_mesh
from meshcert.mesh.edges.callers import ONE_BY_ONE, one_by_one
from meshcert.mesh.stacks.shards import MOVES_ASKED, SHARDED
from tools import verify_aws
from tools.authorities_in_use import InUse, authorities_in_use
from tools.deployed_stacks import described_stack
from tools.kept_logs import KeptLogs
from tools.made import Made
from tools.refused_moves import refused_moves

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
_GONE = {"DELETE_COMPLETE", "REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"}
"""States of a stack that has never been there as a whole, or is no more."""


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
        return found is None or found["StackStatus"] in _GONE

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
        return Made.of(services, outputs, identities, self._sharded(client))

    def authorities_in_use(self) -> list[str]:
        """What :func:`authorities_in_use` tells; nothing if AWS does not say what is deployed."""
        client = self.client("cloudformation")
        try:
            pki = client.get_template(StackName=self._stack(AUTHORITIES))["TemplateBody"]
        except (ClientError, BotoCoreError):
            return []
        return list(authorities_in_use(self.mesh, InUse(pki, self._sharded(client)), self._opposite()))

    def _opposite(self) -> list[str]:
        """The commands that deploy services before identities, and those before CAs."""
        stacks = f"{self.mesh.name}-{self.cell}/" if self.cell else f"{self.mesh.name}-"
        every = "*" if self.mesh.shards else ""
        file = "" if self.file == Path("mesh.yaml") else f" -c mesh={shlex.quote(str(self.file))}"
        named = (shlex.quote(f"{stacks}{part}{every}") for part in (SERVICES, "identities"))
        steps = (f'make cdk ARGS="deploy -e {each}{file}"' for each in named)
        return [*steps, "this again"]

    @property
    def _last(self) -> str:
        """The stack that is there once the mesh is: that of its services, if it is more than CAs for other cells."""
        return SERVICES if self.mesh.identities or self.mesh.services else AUTHORITIES

    def _stack(self, part: str) -> str:
        return "-".join([self.mesh.name, *filter(None, [self.cell]), part])

    def _sharded(self, client: Any) -> dict[str, Any]:
        """The templates of the stacks that hold services or identities; empty if AWS does not say."""
        templates = {}
        with suppress(ClientError, BotoCoreError):
            for page in client.get_paginator("describe_stacks").paginate():
                for stack in page["Stacks"]:
                    part = stack["StackName"].removeprefix(self._stack(""))
                    tags = {each["Key"]: each["Value"] for each in stack.get("Tags", [])}
                    # A stack with services in a shared namespace has no tags: they would be put on those services.
                    ours = tags.get(naming.TAG, self.mesh.name * bool(self.mesh.namespace_owner)) == self.mesh.name
                    if ours and part.partition("-")[0] in SHARDED and stack["StackStatus"] not in _GONE:
                        templates[part] = client.get_template(StackName=stack["StackName"])["TemplateBody"]
        return templates

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
        command = [*command, "-c", f"{MOVES_ASKED}=true"]
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
        return 0
    if moves := [*refused_moves(known.mesh, made, known.one_by_one), *known.authorities_in_use()]:
        sys.stderr.write("Nothing was deployed:\n" + "".join(f"- {move}\n" for move in moves))
        return 1
    yours = known.mesh.logs.existing_name
    return _asked_before(known) if yours and yours not in made.filtered else 0


def _asked_before(known: KnownDeploy) -> int:
    """Ask AWS about what is yours, if anything is; else 0."""
    mesh, about = known.mesh, known.mesh.about
    parts = (mesh.network.existing, mesh.cluster.existing, mesh.logs.existing, about.secrets_key, about.namespace_id)
    if not any((*parts, *(hierarchy.existing for hierarchy in mesh.hierarchies.values()))):
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
    What of the CDK CLI's options is known before a deploy: ``mesh``, ``profile`` and ``one_by_one``.

    Raises:
        argparse.ArgumentError: If an option lacks its value.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-c", "--context", action="append", default=[])
    parser.add_argument("--profile")
    options, _ = parser.parse_known_args(list(command))
    given = dict(each.split("=", 1) for each in options.context if "=" in each)
    options.mesh = given.get("mesh", "mesh.yaml")
    options.one_by_one = one_by_one(given.get(ONE_BY_ONE))
    return options


if __name__ == "__main__":
    sys.exit(main())
