"""Checks of shards: what they name exists, is in one of them, and may have a stack of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert.mesh.edges.callers import admission, callers
from meshcert.mesh.stacks.shards import is_named, shards_of

if TYPE_CHECKING:
    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh

MOST_GROUPS_NAMED = 199
"""Parameters of a template (CloudFormation quotas: 200), but the one that asks for the CDK's bootstrap stack."""
OF_EACH_MESH = ("pki", "identities", "services", "renewal")
"""What follows a mesh's name in those of its stacks."""


def check_shards(mesh: Mesh, findings: Findings) -> None:
    """Report members that nothing has the name of, names in several shards, and what cannot be in any or called so."""
    _check_members(mesh, findings)
    _check_kept_together(mesh, findings)
    _check_shared_groups(mesh, findings)
    for shard in mesh.shards:
        if shard in OF_EACH_MESH:
            findings.add(
                f"shards.{shard}",
                f"its stacks would be called as those of a mesh {mesh.name}-services or {mesh.name}-identities",
                f"Choose another name than {', '.join(OF_EACH_MESH)}",
            )
        count = _groups_named(mesh, shard)
        if count > MOST_GROUPS_NAMED:
            findings.add(
                f"shards.{shard}",
                f"its services and their callers are {count}; its stack finds the security group of each by a "
                f"parameter, and has room for {MOST_GROUPS_NAMED}",
                "Put some that are not deployed yet in another shard",
                given=("services",),
            )


def _check_members(mesh: Mesh, findings: Findings) -> None:
    names = list(dict.fromkeys((*mesh.services, *mesh.identities)))
    for shard, members in mesh.shards.items():
        for index, member in enumerate(members):
            if not any(is_named(member, name) for name in names):
                findings.add(
                    f"shards.{shard}[{index}]",
                    f"no service and no identity is named {member}",
                    "Remove it, or write one of their names, or its beginning and *",
                    given=("services", "identities"),
                )
    for name in names:
        shards = shards_of(mesh.shards, name)
        if len(shards) > 1:
            findings.add(
                f"shards.{shards[1]}",
                f"{name} is in the shards {' and '.join(shards)}, and would be in the stacks of each",
                "Name it in one of them. What is deployed stays in its shard: a stack cannot hand it over",
                given=tuple(f"shards.{shard}" for shard in shards),
            )


def _check_kept_together(mesh: Mesh, findings: Findings) -> None:
    if mesh.shards and mesh.cells:
        findings.add(
            "shards",
            "a mesh over several accounts has stacks for each cell, and they cannot be divided further yet",
            "Remove them, or the cells",
            given=("cells",),
        )
    if mesh.shards and mesh.logs.group_per_service:
        findings.add(
            "logs.group_per_service",
            "a mesh with shards has one log group: one role starts its tasks, and has no room for the rights to more",
            "Remove it, or the shards",
            given=("shards",),
        )
    for name, identity in mesh.identities.items():
        if identity.client and shards_of(mesh.shards, name):
            findings.add(
                f"shards.{shards_of(mesh.shards, name)[0]}",
                f"the identity {name} has a client outside the mesh, whose role stands beside the trust bundles",
                "Leave it out of the shard",
                given=(f"identities.{name}.client",),
            )


def _check_shared_groups(mesh: Mesh, findings: Findings) -> None:
    first: dict[str, str] = {}
    for name, service in mesh.services.items() if mesh.shards else ():
        if not service.attached:
            continue
        group = service.attached.security_group
        other = first.setdefault(group, name)
        if shards_of(mesh.shards, name) != shards_of(mesh.shards, other):
            findings.add(
                f"services.{name}.attached.security_group",
                f"{other} has {group}, too, and another stack: a rule that both need would be in two stacks, and gone "
                "as soon as one of them takes it away",
                "Put both in the same shard, or give one of them a security group of its own",
                given=(f"services.{other}.attached.security_group", "shards"),
            )


def _groups_named(mesh: Mesh, shard: str) -> int:
    """How many security groups a shard's stack of services names: those of its services, and of their callers."""
    inside = {name for name in mesh.services if shards_of(mesh.shards, name)[:1] == [shard]}
    own = {mesh.services[name].proxy_place for name in inside}
    many = callers(mesh)
    calls = (call for call in mesh.calls() if mesh.is_run(call.node) and mesh.service_of(call.node) in inside)
    named = {call.caller for call in calls if admission(many[mesh.service_of(call.node)]).own}
    return len(inside) + len(named - own) + any(admission(count).joined for count in many.values())
