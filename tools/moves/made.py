"""What earlier deploys of a mesh have made, as the templates of its stacks say."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from meshcert.deploying.custom_resource import IDENTITY_TYPE
from meshcert.deploying.settings import SETTINGS_TYPE
from meshcert.mesh.checks.stacks.caller_rules import SHARED
from tools.moves.changed_owners import Owners

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LOG_GROUP = "AWS::Logs::LogGroup"
"""The type of a log group's resource."""
_NAMED = {
    "AWS::ECS::Service": ("services", "ServiceName"),
    SETTINGS_TYPE: ("services", "Service"),
    IDENTITY_TYPE: ("identities", "Identity"),
}
"""The property with the name of a service or an identity, by the type of the resource that every one of them has."""
_FILTER = "AWS::Logs::MetricFilter"


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
        owners: Whose the services and their load balancers are.
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
    owners: Owners = Owners({}, {})

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
        groups = (each for each in resources if each["Type"] == LOG_GROUP)
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
            Owners.of(others or {}),
        )


def _homes(stack: str, template: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], str]]:
    for resource in template["Resources"].values():
        kind, key = _NAMED.get(resource["Type"], ("", ""))
        name = resource.get("Properties", {}).get(key)
        if isinstance(name, str):
            yield (kind, name), stack


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
