"""
``make diff``: say in words what a deploy would do to the mesh that runs, service by service.

It compares the templates that are deployed (cloudformation:GetTemplate, the one right that it needs) with those that
``cdk synth`` has just written. What a changed property does comes from CloudFormation's own reference, as the CDK CLI
carries it. It changes nothing. Of a mesh over several accounts it compares one cell (``CELL=NAME``).

Exit code: 0 whatever would happen, 2 nothing to compare, or AWS did not answer.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
from botocore.exceptions import ClientError

from meshcert import naming
from meshcert.aws.errors import aws_errors
from meshcert.cli.advice import advice
from meshcert.errors import AwsRefused, MeshcertError
from meshcert.printable import printable
from tools.template_changes import Change, compare

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tools.template_changes import Template

UNUSABLE = 2
SERVICE, TASK = "AWS::ECS::Service", "AWS::ECS::TaskDefinition"

NEW_TASKS = {
    "TaskDefinition": "another task definition",
    "NetworkConfiguration": "another network configuration",
    "LoadBalancers": "another load balancer",
    "ServiceRegistries": "another registration in Cloud Map",
    "PlatformVersion": "another platform version",
    "CapacityProviderStrategy": "another capacity provider",
    "ServiceConnectConfiguration": "another Service Connect configuration",
    "VolumeConfigurations": "other volumes",
}
"""Properties of a service whose change starts a deployment (ecs:UpdateService); others leave running tasks alone."""


def services(changes: Sequence[Change], new: Mapping[str, Template]) -> dict[str, str]:
    """What a deploy does to each ECS service, in words."""
    by_id = {(change.stack, change.logical_id): change for change in changes}
    told = {
        change.old["Properties"]["ServiceName"]: "removed: its tasks stop"
        for change in changes
        if change.type == SERVICE and change.kind == "gone"
    }
    for stack, template in new.items():
        for logical_id, resource in template.get("Resources", {}).items():
            if resource["Type"] == SERVICE:
                name = resource["Properties"]["ServiceName"]
                told[name] = _service(by_id.get((stack, logical_id)), by_id)
    return dict(sorted(told.items()))


def _service(change: Change | None, by_id: Mapping[tuple[str, str], Change]) -> str:
    if change is None:
        return "nothing"
    if change.kind == "new":
        return "new"
    if change.kind == "replaced":
        return f"a replacement, because of {', '.join(change.properties)}: the old service ends when the new one runs"
    words = []
    if reasons := [NEW_TASKS[key] for key in change.properties if key in NEW_TASKS]:
        task = by_id.get((change.stack, _task_of(change.new)))
        if task and "TaskDefinition" in change.properties:
            reasons[reasons.index(NEW_TASKS["TaskDefinition"])] = ", ".join(_task_reasons(task))
        words.append(f"new tasks, because of {', '.join(reasons)}: they start before the old ones end")
    before, after = (each["Properties"].get("DesiredCount") for each in (change.old, change.new))
    if before != after:
        words.append(f"{after} tasks instead of {before}")
    return "; ".join(words) or f"nothing for running tasks; the service's {', '.join(change.properties)} change"


def _task_of(service: Template) -> str:
    return str(service["Properties"]["TaskDefinition"].get("Ref", ""))


def _task_reasons(task: Change) -> Iterator[str]:
    """What is another in a task definition."""
    for key in task.properties:
        if key != "ContainerDefinitions":
            yield key
            continue
        before, after = (
            {container["Name"]: container for container in definition.get("Properties", {}).get(key, [])}
            for definition in (task.old, task.new)
        )
        for name in {**before, **after}:
            if name not in before or name not in after:
                yield f"container {name} ({'new' if name in after else 'gone'})"
                continue
            old, new = before[name], after[name]
            parts = [part for part in {**old, **new} if old.get(part) != new.get(part)]
            yield from (f"{name}'s {part}" for part in parts)


def report(changes: Sequence[Change], new: Mapping[str, Template], missing: Sequence[str]) -> Iterator[str]:
    """The whole answer, line by line."""
    for stack in missing:
        yield f"{stack}: not deployed yet, everything in it is new"
    told = services(changes, new)
    width = max(map(len, told), default=0)
    yield "Services:"
    yield from (f"  {name:<{width}}  {words}" for name, words in told.items())
    for title, kind in (("Replaced", "replaced"), ("Removed", "gone")):
        found = [
            change
            for change in changes
            if change.kind == kind and change.type not in {SERVICE, TASK} and change.stack not in missing
        ]
        if found:
            yield f"{title}:"
        for change in found:
            kept = ", the old one is kept in the account" if change.is_kept else ""
            because = f" because of {', '.join(change.properties)}" if change.properties else ""
            yield f"  {change.stack}: {change.type} {change.logical_id}{because}{kept}"
    others = {"new": "new", "changed": "changed in place"}
    for stack in new:
        counts = {
            words: sum(change.stack == stack and change.kind == kind for change in changes)
            for kind, words in others.items()
        }
        if any(counts.values()):
            yield f"{stack}: " + ", ".join(f"{count} {words}" for words, count in counts.items() if count)
    if not changes:
        yield "Nothing would change."


def assembled(folder: Path) -> dict[str, Template]:
    """The synthesised templates by stack, in the order in which they are deployed."""
    artifacts = json.loads((folder / "manifest.json").read_text())["artifacts"]
    stacks = {name: it for name, it in artifacts.items() if it["type"] == "aws:cloudformation:stack"}
    ordered: dict[str, Template] = {}

    def add(name: str) -> None:
        # A cell's stacks are called otherwise than their artifacts.
        if name in stacks and (called := stacks[name]["properties"].get("stackName", name)) not in ordered:
            for dependency in stacks[name].get("dependencies", ()):
                add(dependency)
            ordered[called] = json.loads((folder / stacks[name]["properties"]["templateFile"]).read_text())

    for name in stacks:
        add(name)
    return ordered


class CellAssembly(NamedTuple):
    """
    What was synthesised for a cell.

    Args:
        assembly: Its folder.
        account: Where it is deployed.
    """

    assembly: Path
    account: str
    region: str


def cells_in(folder: Path) -> dict[str, CellAssembly]:
    """The cells of a synthesised mesh over several accounts that can be deployed, by name; none for another mesh."""
    found: dict[str, CellAssembly] = {}
    for artifact in json.loads((folder / "manifest.json").read_text())["artifacts"].values():
        if artifact["type"] != "cdk:cloud-assembly":
            continue
        assembly = folder / artifact["properties"]["directoryName"]
        stacks = json.loads((assembly / "manifest.json").read_text())["artifacts"].values()
        stack = next(each for each in stacks if each["type"] == "aws:cloudformation:stack")
        account, region = stack["environment"].removeprefix("aws://").split("/")
        name = artifact["properties"]["displayName"].removeprefix(f"{stack['properties']['tags'][naming.TAG]}-")
        found[name] = CellAssembly(assembly, account, region)
    return found


def deployed(cloudformation: Any, stack: str) -> Template | None:
    """
    A stack's deployed template; None if there is no such stack.

    Raises:
        MeshcertError: If AWS denies it or cannot answer.
    """
    with aws_errors("cloudformation:GetTemplate", stack):
        try:
            body = cloudformation.get_template(StackName=stack)["TemplateBody"]
        except ClientError as error:
            # CloudFormation has no code of its own for it.
            if "does not exist" in str(error):
                return None
            raise
    template: Template = json.loads(body) if isinstance(body, str) else json.loads(json.dumps(body))
    return template


def difference(cloudformation: Any, new: Mapping[str, Template]) -> Iterator[str]:
    """
    What a deploy of these templates would do, line by line.

    Raises:
        MeshcertError: If AWS denies it or cannot answer.
    """
    changes: list[Change] = []
    missing: list[str] = []
    exports: set[str] = set()
    for stack, template in new.items():
        before = deployed(cloudformation, stack)
        if before is None:
            missing.append(stack)
        changes += compare(stack, before or {}, template, exports)
    yield from report(changes, new, missing)


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command line.

    Returns:
        The exit code: 0 or 2, as the module says.
    """
    parser = argparse.ArgumentParser(prog="make diff", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--assembly", type=Path, default=Path("cdk.out"), help="what `cdk synth` wrote (cdk.out)")
    parser.add_argument("--cell", default="", help="the cell to compare, of a mesh over several accounts")
    options = parser.parse_args(arguments)
    if not (options.assembly / "manifest.json").exists():
        sys.stderr.write(f"make diff: {options.assembly} holds no synthesised app. Run `make synth` first\n")
        return UNUSABLE
    cells = cells_in(options.assembly)
    if (cells or options.cell) and options.cell not in cells:
        known = ", ".join(cells) or "no cells that can be deployed yet"
        sys.stderr.write(f"make diff: name a cell, and take its account's credentials: CELL=... ({known})\n")
        return UNUSABLE
    try:
        with aws_errors("sign in", "CloudFormation"):
            place = cells.get(options.cell)
            session = boto3.Session(region_name=place.region if place else os.environ.get("AWS_REGION"))
            if session.region_name is None:
                raise AwsRefused("sign in", "CloudFormation", "NoRegionError")
            client = session.client("cloudformation")
            account = session.client("sts").get_caller_identity()["Account"] if place else ""
        if place and account != place.account:
            sys.stderr.write(
                f"make diff: cell {options.cell} is account {place.account}, and these credentials are account "
                f"{account}'s\n"
            )
            return UNUSABLE
        for line in difference(client, assembled(place.assembly if place else options.assembly)):
            sys.stdout.write(f"{printable(line)}\n")
    except MeshcertError as error:
        sys.stderr.write(f"make diff: {printable(advice(error)[0])}\n")
        return UNUSABLE
    return 0


if __name__ == "__main__":
    sys.exit(main())
