"""
Services of shards that the mesh file has no more while deployed stacks use their security groups: told before a deploy.

The stack of the services makes the groups, and is deployed before those of the shards, whose rules and tasks have them.
EC2 deletes no group that is in use. CloudFormation would try for a quarter of an hour, and leave it behind. When the
stacks of those shards have been deployed first, nothing uses it any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshcert import naming
from meshcert.mesh.stacks.shards import stacks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from meshcert.mesh import Mesh

_HOME = "services"


def removed_services(
    mesh: Mesh,
    templates: Mapping[str, Mapping[str, Any]],
    deployed: Callable[[Sequence[str]], str],
    deleted: Callable[[str], str],
) -> Iterator[str]:
    """
    What would be left behind, with the way that can be carried out; one sentence at most.

    Args:
        templates: Those of all stacks that hold services or identities, by the stacks' names without the mesh's.
        deployed: The command that deploys such stacks alone.
        deleted: The command that deletes such a stack.
    """
    known = _parameters(templates.get(_HOME, {}))
    run = [name for name, service in mesh.services.items() if not service.attached]
    wanted = {naming.group_parameter(mesh.name, name): name for name in run}
    stay = {*wanted, naming.callers_parameter(mesh.name)} if mesh.shards else set()
    using = {name: _read(template) & (known - stay) for name, template in templates.items() if name != _HOME}
    if not any(using.values()):
        return
    still = {*stacks_of(_HOME, mesh.shards, mesh.services), *stacks_of("identities", mesh.shards, mesh.identities)}
    first = sorted(name for name, groups in using.items() if groups and name in still)
    emptied = sorted((name for name in templates if name not in still), key=lambda name: (not using.get(name), name))
    steps = [*([deployed(first)] if first else []), *map(deleted, emptied), "this again"]
    new = ", ".join(name for parameter, name in wanted.items() if parameter not in known)
    left = sorted(name.removeprefix(naming.group_parameter(mesh.name, "")) for name in set().union(*using.values()))
    yield (
        f"services: the file has {', '.join(left)} no more, and stacks that are deployed after {_HOME} still use its "
        f"security group: {', '.join(sorted(name for name in using if using[name]))}. EC2 deletes none that is in use, "
        "and CloudFormation would leave it behind (DependencyViolation). "
        f"{f'Without {new}, which has no group yet, deploy' if new else 'Deploy'} them first: {', then '.join(steps)} "
        '(docs/mesh-file.md, "Shards")'
    )


def _parameters(template: Mapping[str, Any]) -> set[str]:
    """The parameters of Systems Manager with the ids of groups that a stack makes."""
    resources = template.get("Resources", {}).values()
    names = (each["Properties"]["Name"] for each in resources if each["Type"] == "AWS::SSM::Parameter")
    return {name for name in names if isinstance(name, str)}


def _read(template: Mapping[str, Any]) -> set[str]:
    return {each.get("Default", "") for each in template.get("Parameters", {}).values()}
