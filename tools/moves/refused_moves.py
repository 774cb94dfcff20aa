"""
Changes that no deploy can carry out, or that take away what nobody asked to lose: told before a deploy begins.

Between what a deploy has made and what is yours, CloudFormation would make the new before the old, under a name that is
taken, or take away an ARN that another stack still imports. Either fails after minutes, with a sentence about something
else. Log groups it deletes with all their lines, services with their tasks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcert import naming
from meshcert.mesh.checks.stacks.caller_rules import SHARED, caller_rules, group_of
from meshcert.mesh.edges.callers import ONE_BY_ONE, callers, calling, sharing
from meshcert.mesh.stacks.logical_ids import logical_id, root_output
from meshcert.mesh.stacks.shards import stack_of
from tools.moves.changed_owners import changed_owners
from tools.moves.made import LOG_GROUP

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from meshcert.mesh import Mesh
    from tools.moves.made import Made

_BESIDE = (
    "A mesh does not move: make a second one beside it, with a name of its own, and move callers over "
    '(docs/mesh-file.md, "The network")'
)
_ROTATE = (
    "For other key material, keep the key and have its owner rotate it (aws kms rotate-key-on-demand): its ARN stays, "
    "and it decrypts what is there. "
)
_MEANWHILE = "Stacks are deployed in any order, and these would be shut out meanwhile."
_MOST_TOLD = 5


def refused_moves(mesh: Mesh, made: Made, one_by_one: Collection[str] = ()) -> Iterator[str]:
    """
    Each change that cannot be carried out, with the way that can.

    Args:
        one_by_one: The services whose callers this deploy lets in one by one, however many they are.
    """
    for place, is_yours, kind, what in (
        ("network.existing", bool(mesh.network.existing), "AWS::EC2::VPC", "VPC"),
        ("mesh.namespace_id", bool(mesh.about.namespace_id), "AWS::ServiceDiscovery::PrivateDnsNamespace", "namespace"),
    ):
        if made.kinds is None:
            break
        if is_yours and kind in made.kinds:
            yield f"{place}: services run in a {what} that a deploy has made, and this names one of yours. {_BESIDE}"
        elif not is_yours and kind not in made.kinds:
            yield f"{place}: services run in a {what} of yours, and this has one made. {_BESIDE}"
    if made.namespace and mesh.about.namespace_id and made.namespace != mesh.about.namespace_id:
        yield (
            f"mesh.namespace_id: services are made in {made.namespace}, and CloudFormation would make them in "
            f"{mesh.about.namespace_id} anew: callers would look for tasks there that are still registered elsewhere, "
            f"and where both are one namespace, its names are taken. Write {made.namespace}. {_BESIDE}"
        )
    if made.secrets_key is not None and made.secrets_key != mesh.about.secrets_key:
        way = (_ROTATE if made.secrets_key and mesh.about.secrets_key else "") + _BESIDE
        yield (
            f"mesh.secrets_key: secrets are under {_key(made.secrets_key)}, and this has "
            f"{_key(mesh.about.secrets_key)}: versions that tasks may have to go back to stay under the earlier one, "
            f"which their roles lose, and what is published before their roles have the other, no task can read. {way}"
        )
    yield from _lost_logs(mesh, made)
    for name, hierarchy in mesh.hierarchies.items():
        if hierarchy.existing and logical_id(root_output(name)) in made.outputs:
            yield (
                f"hierarchies.{name}.existing: a deploy has made the CAs of this hierarchy, and identities would get "
                "another root at once. Declare the CA of yours as a hierarchy of another name, and move to it "
                '(docs/trust.md, "Replace a CA in three deploys")'
            )
    yield from _moves_between_stacks(mesh, made)
    yield from _callers_shut_out(mesh, made, one_by_one)
    yield from changed_owners(mesh, made.owners)


def _lost_logs(mesh: Mesh, made: Made) -> Iterator[str]:
    """Log groups that would go with their lines."""
    groups = sorted(made.log_groups & {naming.log_group(mesh.name, service) for service in mesh.services})
    if groups and "group_per_service" not in mesh.logs.model_fields_set:
        yield (
            f"logs.group_per_service: services write to one log group now, and {', '.join(groups)} would be deleted "
            "with their lines. To keep them, deploy once with logs: {group_per_service: true}, which marks them so. "
            'To let them go, write false (docs/deploying.md, "What is kept, and deploying over it")'
        )
    if mesh.logs.existing and not mesh.logs.keep_made and not made.filtered and LOG_GROUP in (made.kinds or ()):
        yield (
            "logs.existing: tasks write to what a deploy has made, and would lose the right to it while they run; "
            f"{naming.tasks_log_group(mesh.name)} would be deleted with its lines. Add keep_made: true to what stands "
            'below logs, and take it out when you need its lines no more (docs/mesh-file.md, "A log group of yours")'
        )


def _moves_between_stacks(mesh: Mesh, made: Made) -> Iterator[str]:
    moved: dict[tuple[str, str], list[str]] = {}
    for kind, declared in (("identities", mesh.identities), ("services", mesh.services)):
        for name in declared:
            home, wanted = made.homes.get((kind, name)), stack_of(kind, mesh.shards, name)
            if home not in {None, wanted}:
                moved.setdefault((str(home), wanted), []).append(name)
    for (home, wanted), names in moved.items():
        yield (
            f"shards: {_some(names)}: deployed by the stack {mesh.name}-{home}, and this has {mesh.name}-{wanted} make "
            "it. A stack cannot hand over what it has made, and names are taken until it is gone: name in shards what "
            'is not deployed yet, and leave the others where they are (docs/mesh-file.md, "Shards")'
        )


def _callers_shut_out(mesh: Mesh, made: Made, one_by_one: Collection[str]) -> Iterator[str]:
    """
    Callees that would not let in running callers while one of the two is as before, and the other is deployed.

    Nobody knows which is the first, nor whether the second succeeds. In one stack, rules come first and go last.
    """
    rules = {(rule.callee, rule.caller) for rule in caller_rules(mesh, one_by_one)}
    shared, calls, count = sharing(mesh, one_by_one), calling(mesh), callers(mesh)
    for callee in count:
        without: dict[bool, list[str]] = {True: [], False: []}
        before, now = (_let_in(admitted, group_of(mesh, callee)) for admitted in (made.admitted, rules))
        for name, service in mesh.services.items():
            if (service.proxy_place, callee) not in calls or service.attached or _same_stack(made, name, callee):
                continue
            had = {name, *([SHARED] if name in made.sharing else [])}
            has = {name, *([SHARED] if name in shared else [])}
            # Who is new to it, or was shut out before, loses nothing.
            if had & before and not (had & now and has & before):
                without[not had & now].append(name)
        if without[True]:
            yield (
                f"services.{callee}: {count[callee]} services call it, and it would let in no more than the security "
                f"group that they share, which tasks of {_some(without[True])} do not have yet. {_MEANWHILE} Deploy "
                f'once without new callers of it and with ARGS="-c {ONE_BY_ONE}={callee}", which gives them the group, '
                'and then without that (docs/mesh-file.md, "Many callers")'
            )
        if without[False]:
            yield (
                f"services.{callee}: {count[callee]} services call it, and each would be let in by itself; now it lets "
                "in no more than the security group that they share, which new tasks of "
                f"{_some(without[False])} would not have. {_MEANWHILE} Deploy once with "
                f'ARGS="-c {ONE_BY_ONE}={callee}", which lets in each and leaves them the group, and then without that '
                '(docs/mesh-file.md, "Many callers")'
            )


def _let_in(rules: Iterable[tuple[str, str]], group: str) -> set[str]:
    return {caller for callee, caller in rules if callee == group}


def _same_stack(made: Made, caller: str, callee: str) -> bool:
    """Whether one stack has made both; so too if one is not there yet."""
    homes = {made.homes.get(("services", name)) for name in (caller, callee)}
    return None in homes or len(homes) == 1


def _key(arn: str) -> str:
    return arn or "a key that a deploy makes"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_TOLD]) + (f" and {len(names) - _MOST_TOLD} more" if names[_MOST_TOLD:] else "")
