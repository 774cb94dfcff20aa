"""
Changes that no deploy can carry out, or that take away what nobody asked to lose: told before a deploy begins.

Between what a deploy has made and what is yours, CloudFormation would make the new before the old, under a name that is
taken, or take away an ARN that another stack still imports. Either fails after minutes, with a sentence about something
else. Log groups it deletes with all their lines.
"""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from meshcert import naming
from meshcert.deploying.custom_resource import IDENTITY_TYPE
from meshcert.deploying.settings import SETTINGS_TYPE
from meshcert.mesh.checks.stacks.caller_rules import SHARED, caller_rules, group_of
from meshcert.mesh.edges.callers import ONE_BY_ONE, callers, calling, sharing
from meshcert.mesh.stacks.logical_ids import logical_id, root_output
from meshcert.mesh.stacks.shards import stack_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from meshcert.mesh import Mesh

_BESIDE = (
    "A mesh does not move: make a second one beside it, with a name of its own, and move callers over "
    '(docs/mesh-file.md, "The network")'
)
_ROTATE = (
    "For other key material, keep the key and have its owner rotate it (aws kms rotate-key-on-demand): its ARN stays, "
    "and it decrypts what is there. "
)
_NAMED = {
    "AWS::ECS::Service": ("services", "ServiceName"),
    SETTINGS_TYPE: ("services", "Service"),
    IDENTITY_TYPE: ("identities", "Identity"),
}
"""The property with the name of a service or an identity, by the type of the resource that every one of them has."""
_FILTER, _LOG_GROUP = "AWS::Logs::MetricFilter", "AWS::Logs::LogGroup"
_MEANWHILE = "Stacks are deployed in any order, and these would be shut out meanwhile."
_MOST_TOLD = 5


class Made(NamedTuple):
    """
    What earlier deploys have made.

    Args:
        kinds: The types of resources in the stack of the services; None if there is no such stack.
        outputs: The names of the outputs of the stack of the CAs.
        log_groups: The names of that stack's log groups that go when they leave its template.
        filtered: The names of log groups that its metric filters name, which are yours.
        secrets_key: ARN of the key of yours that the secrets are under; empty if it was made, None if it is not known.
        homes: The stack of each service and each identity, without the mesh's name; by ``services`` or ``identities``,
            and its own name.
        sharing: The services whose tasks have the security group that callers share besides their own.
        admitted: Which security groups let which others in, as :class:`CallerRule` names callee and caller.
        namespace: Id or ARN of the namespace of yours that services are made in; empty if it was made, or if no service
            of that stack is in one.
    """

    kinds: frozenset[str] | None
    outputs: frozenset[str]
    log_groups: frozenset[str] = frozenset()
    filtered: frozenset[str] = frozenset()
    secrets_key: str | None = None
    homes: Mapping[tuple[str, str], str] = MappingProxyType({})
    sharing: frozenset[str] = frozenset()
    admitted: frozenset[tuple[str, str]] = frozenset()
    namespace: str = ""

    @classmethod
    def of(
        cls,
        services: Mapping[str, Any] | None,
        outputs: frozenset[str],
        identities: Mapping[str, Any] | None = None,
        others: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Made:
        """
        What the templates say.

        Args:
            services: That of the services' stack; None if there is none.
            outputs: The names of the outputs of the stack of the CAs.
            identities: That of the identities' stack.
            others: Those of all stacks that hold services or identities, by the stacks' names without the mesh's.
        """
        resources = services["Resources"].values() if services else ()
        groups = (each for each in resources if each["Type"] == _LOG_GROUP)
        names = (
            each.get("Properties", {}).get("LogGroupName")
            for each in groups
            if not str(each.get("DeletionPolicy", "")).startswith("Retain")
        )
        filters = (each["Properties"]["LogGroupName"] for each in resources if each["Type"] == _FILTER)
        return cls(
            frozenset(each["Type"] for each in resources) if services else None,
            outputs,
            frozenset(name for name in names if isinstance(name, str)),
            frozenset(name for name in filters if isinstance(name, str)),
            None if identities is None else _secrets_key(identities),
            dict(home for stack, template in (others or {}).items() for home in _homes(stack, template)),
            frozenset(name for template in (others or {}).values() for name in _sharing(template)),
            frozenset(rule for template in (others or {}).values() for rule in _admitted(template)),
            _namespace(services) if services else "",
        )


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


def _lost_logs(mesh: Mesh, made: Made) -> Iterator[str]:
    """Log groups that would go with their lines."""
    groups = sorted(made.log_groups & {naming.log_group(mesh.name, service) for service in mesh.services})
    if groups and "group_per_service" not in mesh.logs.model_fields_set:
        yield (
            f"logs.group_per_service: services write to one log group now, and {', '.join(groups)} would be deleted "
            "with their lines. To keep them, deploy once with logs: {group_per_service: true}, which marks them so. "
            'To let them go, write false (docs/deploying.md, "What is kept, and deploying over it")'
        )
    if mesh.logs.existing and not mesh.logs.keep_made and not made.filtered and _LOG_GROUP in (made.kinds or ()):
        yield (
            "logs.existing: tasks write to what a deploy has made, and would lose the right to it while they run; "
            f"{naming.tasks_log_group(mesh.name)} would be deleted with its lines. Add keep_made: true to what stands "
            'below logs, and take it out when you need its lines no more (docs/mesh-file.md, "A log group of yours")'
        )


def _homes(stack: str, template: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], str]]:
    for resource in template["Resources"].values():
        kind, key = _NAMED.get(resource["Type"], ("", ""))
        name = resource.get("Properties", {}).get(key)
        if isinstance(name, str):
            yield (kind, name), stack


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


def _sharing(template: Mapping[str, Any]) -> Iterator[str]:
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::ECS::Service":
            properties = resource["Properties"]
            network = properties.get("NetworkConfiguration", {}).get("AwsvpcConfiguration", {})
            if len(network.get("SecurityGroups", ())) > 1:
                yield properties["ServiceName"]


def _admitted(template: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The rules of a stack that let callers in; a group is known by the name of the parameter that has its id."""
    resources = template["Resources"].values()
    names = {
        json.dumps(each["Properties"]["Value"]): each["Properties"]["Name"]
        for each in resources
        if each["Type"] == "AWS::SSM::Parameter" and isinstance(each["Properties"]["Name"], str)
    }
    for name, parameter in template.get("Parameters", {}).items():
        names[json.dumps({"Ref": name})] = parameter.get("Default", "")
    for each in resources:
        if each["Type"] == "AWS::EC2::SecurityGroupIngress":
            callee, caller = (each["Properties"].get(key) for key in ("GroupId", "SourceSecurityGroupId"))
            if callee and caller:
                yield (
                    _group_named(names.get(json.dumps(callee), callee)),
                    _group_named(names.get(json.dumps(caller), caller)),
                )


def _group_named(parameter: Any) -> str:
    """The group as a :class:`CallerRule` names it; an id, or what has no name in the template, as it stands there."""
    kind, _, service = str(parameter).removeprefix("/meshcert/").partition("/")[2].partition("/")
    return {"group": service, "callers": SHARED}.get(kind, str(parameter))


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


def _namespace(services: Mapping[str, Any]) -> str:
    """The namespace of yours that services in the template are made in; empty without."""
    for each in services["Resources"].values():
        if each["Type"] == "AWS::ServiceDiscovery::Service":
            properties = each.get("Properties", {})
            named = properties.get("NamespaceId") or properties.get("DnsConfig", {}).get("NamespaceId")
            return named if isinstance(named, str) else ""
    return ""


def _secrets_key(identities: Mapping[str, Any]) -> str | None:
    """What the alias in the template of the identities' stack is for: a key of yours by its ARN, or the made one."""
    for each in identities["Resources"].values():
        if each["Type"] == "AWS::KMS::Alias":
            target = each["Properties"]["TargetKeyId"]
            return target if isinstance(target, str) else ""
    return None


def _key(arn: str) -> str:
    return arn or "a key that a deploy makes"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_TOLD]) + (f" and {len(names) - _MOST_TOLD} more" if names[_MOST_TOLD:] else "")
