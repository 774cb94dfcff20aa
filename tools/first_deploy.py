"""
``make deploy``, whose first run keeps what the services' containers say.

CloudFormation takes a first deploy that failed back, log groups included, and with them the reason why an application
did not start. So the lines of a first deploy are copied to files while it runs; when it has succeeded, the files go.
What is deployed already keeps its log groups when an update is taken back, and nothing is copied.

What the mesh file says is yours, a VPC for example, is asked about before a first deploy. If AWS contradicts it,
nothing is made. A later deploy is not kept from anything: somebody else may have filled a subnet meanwhile.
``make verify-aws ARGS=--before`` asks the same, and says which rights it takes.

A later deploy is refused if the mesh file has something made that was yours, or names one of yours for what was made:
no deploy can carry that out; if it would move into a shard, or out of one, what is deployed; if it would shut out
callers of a service that many call; and if it would delete log groups without a word (:mod:`tools.refused_moves`).

The rights it needs beside the deploy's own are cloudformation:DescribeStacks, cloudformation:GetTemplate and
logs:FilterLogEvents. Without them, or without a mesh file that can be read, the deploy runs all the same.

Exit code: that of the command, or 1 or 2 of the questions before it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
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
from meshcert.printable import printable
from tools import verify_aws
from tools.deployed_stacks import described_stack
from tools.refused_moves import Made, refused_moves

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshcert.mesh import Mesh

KEPT = Path("build") / "first-deploy"
COPY_EVERY_S = 5.0
"""A failed container's last lines are in CloudWatch within seconds; its log group goes minutes later."""
LONGEST_FILE = 16 * 1024 * 1024
"""Characters kept of one service."""
_PAGES = 50
BRIEF = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2})
"""How AWS is asked beside a deploy."""
_GONE = {"DELETE_COMPLETE", "REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"}
"""States of a stack that has never been there as a whole, or is no more."""


class KeptLogs:
    """
    The lines of services, copied to a file each.

    Args:
        logs: A boto3 client of CloudWatch Logs.
        places: Service → what FilterLogEvents takes to find its lines: log group, and prefix of its streams.
        folder: Where the files are written; others than this user cannot read them.
    """

    def __init__(self, logs: Any, places: Mapping[str, Mapping[str, str]], folder: Path) -> None:
        self._logs = logs
        self._places = places
        self._folder = folder
        self._copied: dict[str, set[str]] = {service: set() for service in places}
        self._written = dict.fromkeys(places, 0)

    @property
    def files(self) -> list[Path]:
        """The files that have lines."""
        return [self._file(service) for service, written in self._written.items() if written]

    def copy(self) -> None:
        """Copy the lines that have come since the last time; a group that is not there has none."""
        for service, place in self._places.items():
            with suppress(ClientError, BotoCoreError):
                self._copy(service, place)

    def drop(self) -> None:
        """Delete the files, those of a deploy before this one, too."""
        for service in self._places:
            self._file(service).unlink(missing_ok=True)

    def _copy(self, service: str, place: Mapping[str, str]) -> None:
        more: dict[str, str] = {}
        for _ in range(_PAGES):
            answer = self._logs.filter_log_events(**place, **more)
            for event in answer["events"]:
                self._write(service, event)
            if not answer.get("nextToken"):
                return
            more = {"nextToken": answer["nextToken"]}

    def _write(self, service: str, event: Mapping[str, Any]) -> None:
        line = f"{event['logStreamName']}: {printable(event['message'].rstrip())}\n"
        if event["eventId"] in self._copied[service] or self._written[service] + len(line) > LONGEST_FILE:
            return
        self._copied[service].add(event["eventId"])
        self._folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND
        with os.fdopen(os.open(self._file(service), flags, 0o600), "a", encoding="utf-8") as file:
            file.write(line)
        self._written[service] += len(line)

    def _file(self, service: str) -> Path:
        return self._folder / f"{service}.log"


@dataclass(frozen=True)
class _Deploy:
    """
    A deploy as far as it is known before it runs.

    Args:
        file: The mesh file.
        mesh: What stands in it.
        profile: A profile of the AWS configuration; None for the current credentials.
        one_by_one: The services whose callers it lets in one by one, however many they are.
    """

    file: Path
    mesh: Mesh
    profile: str | None
    one_by_one: frozenset[str] = frozenset()

    @cached_property
    def is_first(self) -> bool | None:
        """Whether the mesh is not deployed yet; None if AWS does not say."""
        try:
            found = described_stack(self._client("cloudformation"), f"{self.mesh.name}-services")
        except (ClientError, BotoCoreError):
            return None
        return found is None or found["StackStatus"] in _GONE

    def moves(self) -> list[str]:
        """What a deploy of the mesh file could not carry out, or would take away; empty if AWS does not say."""
        client = self._client("cloudformation")
        try:
            services = client.get_template(StackName=f"{self.mesh.name}-services")["TemplateBody"]
            (pki,) = client.describe_stacks(StackName=f"{self.mesh.name}-pki")["Stacks"]
        except (ClientError, BotoCoreError):
            return []
        outputs = frozenset(each["OutputKey"] for each in pki.get("Outputs", []))
        identities = None
        with suppress(ClientError, BotoCoreError):
            identities = client.get_template(StackName=f"{self.mesh.name}-identities")["TemplateBody"]
        made = Made.of(services, outputs, identities, self._sharded(client))
        return list(refused_moves(self.mesh, made, self.one_by_one))

    def _sharded(self, client: Any) -> dict[str, Any]:
        """The templates of the stacks that hold services or identities; empty if AWS does not say."""
        templates = {}
        with suppress(ClientError, BotoCoreError):
            for page in client.get_paginator("describe_stacks").paginate():
                for stack in page["Stacks"]:
                    part = stack["StackName"].removeprefix(f"{self.mesh.name}-")
                    ours = {"Key": naming.TAG, "Value": self.mesh.name} in stack.get("Tags", [])
                    if ours and part.partition("-")[0] in SHARDED and stack["StackStatus"] not in _GONE:
                        templates[part] = client.get_template(StackName=stack["StackName"])["TemplateBody"]
        return templates

    def logs_kept(self, folder: Path) -> KeptLogs | None:
        """What keeps the lines of a first deploy; None for any other, and for one that nothing is known about."""
        if not self.is_first:
            return None
        places = {service: self._place(service) for service in self.mesh.services}
        return KeptLogs(self._client("logs"), places, folder)

    def _place(self, service: str) -> dict[str, str]:
        mesh = self.mesh.name
        if self.mesh.logs.group_per_service:
            return {"logGroupName": naming.log_group(mesh, service)}
        return {
            "logGroupName": naming.tasks_log_group(mesh),
            "logStreamNamePrefix": naming.log_stream_prefix(service),
        }

    def _client(self, service: str) -> Any:
        session = boto3.Session(profile_name=self.profile, region_name=os.environ.get("AWS_REGION"))
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
    if known and known.is_first is not False and (code := _asked_before(known)):
        return code
    if known and known.is_first is False and (moves := known.moves()):
        sys.stderr.write("Nothing was deployed:\n" + "".join(f"- {move}\n" for move in moves))
        return 1
    if known and known.mesh.shards:
        command = [*command, "-c", f"{MOVES_ASKED}=true"]
    kept = known.logs_kept(folder) if known else None
    if kept:
        kept.drop()
    with subprocess.Popen(command) as process:
        code = _wait(process, kept)
    if kept and code:
        kept.copy()
        if kept.files:
            told = ", ".join(map(str, kept.files))
            sys.stderr.write(f"\nWhat the containers said is kept, although their log groups may be gone: {told}\n")
    elif kept:
        kept.drop()
    return code


def _asked_before(known: _Deploy) -> int:
    """Ask AWS about what is yours, if anything is; else 0."""
    mesh = known.mesh
    has_authorities = any(hierarchy.existing for hierarchy in mesh.hierarchies.values())
    if not (mesh.network.existing or mesh.cluster.existing or mesh.about.secrets_key or has_authorities):
        return 0
    profile = ["--profile", known.profile] if known.profile else []
    return verify_aws.main(["--before", "--mesh", str(known.file), *profile])


def _wait(process: subprocess.Popen[bytes], kept: KeptLogs | None) -> int:
    while True:
        # Ctrl-C reaches the command, too, which ends in its own way.
        with suppress(KeyboardInterrupt):
            try:
                return process.wait(COPY_EVERY_S if kept else None)
            except subprocess.TimeoutExpired:
                if kept:
                    kept.copy()


def _known(command: Sequence[str]) -> _Deploy | None:
    """What its command line says of a deploy; None if the mesh file cannot be read, which is the deploy's to tell."""
    try:
        options = _options(command)
        return _Deploy(Path(options.mesh), load_mesh(Path(options.mesh)), options.profile, options.one_by_one)
    except (argparse.ArgumentError, MeshInvalid):
        return None


def _options(command: Sequence[str]) -> argparse.Namespace:
    """What of the CDK CLI's options this program needs to know."""
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
