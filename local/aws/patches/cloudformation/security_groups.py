"""
Rules of security groups that are there twice, and groups that go while they are in use.

MiniStack 1.5.33 adds such a rule silently, and keeps both of a security group's own. It deletes a group that rules of
others name, or that tasks have.

AWS refuses the second with InvalidPermission.Duplicate (EC2 API reference, "AuthorizeSecurityGroupIngress"), whatever
its description; CloudFormation ignores that error, and when either of the two goes, the one rule that there is goes
with it (aws-cloudformation/cloudformation-coverage-roadmap, issues 612, 1532 and 1534). It "fails with
DependencyViolation" to delete a group that "is associated with an instance or network interface, or is referenced by
another security group in the same VPC" (EC2 API reference, "DeleteSecurityGroup"). CloudFormation tries again for some
minutes, so tasks that are on their way out keep no group here: those of a service do, as long as there is one.

It can go when authorizing a rule for the second time is refused, and a group that another one's rule names stays.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from ministack.services import ec2, ecs
from ministack.services.cloudformation import provisioners

from local.aws import hooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.resource_type import Created, Properties

Rule = dict[str, Any]

_KINDS = {"SecurityGroupIngress": "IpPermissions", "SecurityGroupEgress": "IpPermissionsEgress"}
_IN_USE = "resource {} has a dependent object"


def install() -> None:
    """Let EC2 refuse, and CloudFormation keep one rule of two."""
    for name in ("_security_groups", "_rules_match", "_strip_descriptions", "_parse_ip_permissions", "_error"):
        hooks.require(ec2, name)
    hooks.require(provisioners, "_ec2_sg_permissions")
    hooks.require(ecs, "_services")
    actions = hooks.require(ec2, "_ACTION_MAP")
    for kind, store in _KINDS.items():
        direction = kind.removeprefix("SecurityGroup")
        name = f"_authorize_sg_{direction.lower()}"
        hooks.wrap(ec2, name, partial(_unless_it_is_there, store))
        actions[f"AuthorizeSecurityGroup{direction}"] = getattr(ec2, name)
    handlers = hooks.require(provisioners, "_RESOURCE_HANDLERS")["AWS::EC2::SecurityGroup"]
    handlers["create"] = _once_each(handlers["create"])
    handlers["update"] = _lost_with_its_twin(handlers["update"])
    handlers["delete"] = _unless_in_use(handlers["delete"])
    hooks.wrap(ec2, "_delete_security_group", _refused_in_use)
    actions["DeleteSecurityGroup"] = ec2._delete_security_group


def _unless_it_is_there(store: str, inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def authorize(request: Any) -> Any:
        group = ec2._security_groups.get(ec2._p(request, "GroupId"))
        for rule in ec2._parse_ip_permissions(request, "IpPermissions") if group else []:
            if any(ec2._rules_match(rule, there) for there in group[store]):
                message = f"the specified rule {json.dumps(ec2._strip_descriptions(rule))} already exists"
                return ec2._error("InvalidPermission.Duplicate", message, 400)
        return inner(request)

    return authorize


def _unless_in_use(inner: Callable[[str, Properties], None]) -> Callable[[str, Properties], None]:
    def delete(group_id: str, properties: Properties) -> None:
        if _is_in_use(group_id):
            raise ValueError(f"{_IN_USE.format(group_id)} (Service: Ec2, Status Code: 400, DependencyViolation)")
        inner(group_id, properties)

    return delete


def _refused_in_use(inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def delete(request: Any) -> Any:
        group_id = ec2._p(request, "GroupId")
        if _is_in_use(group_id):
            return ec2._error("DependencyViolation", _IN_USE.format(group_id), 400)
        return inner(request)

    return delete


def _is_in_use(group_id: str) -> bool:
    """Whether another group's rule names a group, or tasks of a service have it."""
    rules = (
        rule
        for other, group in ec2._security_groups.items()
        if other != group_id
        for store in _KINDS.values()
        for rule in group[store]
    )
    if any(pair.get("GroupId") == group_id for rule in rules for pair in rule["UserIdGroupPairs"]):
        return True
    running = (service for service in ecs._services.values() if service["status"] != "INACTIVE")
    return any(
        group_id in (service.get("networkConfiguration") or {}).get("awsvpcConfiguration", {}).get("securityGroups", ())
        for service in running
    )


def _once_each(inner: Callable[[str, Properties, str], Created]) -> Callable[[str, Properties, str], Created]:
    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        created = inner(logical_id, properties, stack)
        _keep_one_of_each(created[0])
        return created

    return create


def _lost_with_its_twin(inner: Callable[..., Created]) -> Callable[..., Created]:
    def update(group_id: str, old: Properties, new: Properties, *more: Any) -> Created:
        updated = inner(group_id, old, new, *more)
        group = ec2._security_groups[group_id]
        for prop, store in _KINDS.items():
            before, after = (Counter(_keys(properties.get(prop))) for properties in (old, new))
            revoked = before - after
            group[store][:] = [rule for rule in group[store] if _key(rule) not in revoked]
        _keep_one_of_each(group_id)
        return updated

    return update


def _keep_one_of_each(group_id: str) -> None:
    group = ec2._security_groups[group_id]
    for store in _KINDS.values():
        group[store][:] = {_key(rule): rule for rule in reversed(group[store])}.values()


def _keys(rules: Any) -> list[str]:
    return [_key(rule) for rule in provisioners._ec2_sg_permissions(rules)]


def _key(rule: Rule) -> str:
    return json.dumps(ec2._strip_descriptions(rule), sort_keys=True)
