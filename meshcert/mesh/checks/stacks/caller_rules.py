"""The rules of security groups that let callers in: of each group there is room for so many."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from meshcert.errors import Fault
from meshcert.mesh.edges.callers import ONE_BY_ONE, admission, callers
from meshcert.mesh.stacks.shards import stack_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from meshcert.mesh.findings import Findings
    from meshcert.mesh.mesh import Mesh

MOST_RULES = 60
"""Inbound rules of a security group (Amazon VPC quotas, "Inbound or outbound rules per security group")."""
SHARED = ""
"""Stands for the group that callers of services with many callers share."""


class CallerRule(NamedTuple):
    """
    A rule that lets callers in.

    Args:
        stack: The callee's, without the mesh's name.
        callee: Id of the security group, if it is the user's; else the service's name.
        caller: The same of who is let in; :data:`SHARED` for the group of many callers.
        port: Of the callee's listener.
    """

    stack: str
    callee: str
    caller: str
    port: int


def caller_rules(mesh: Mesh, one_by_one: Collection[str] = ()) -> dict[CallerRule, str]:
    """
    The rules for every call inside the mesh, each with the callee's service; one for those with the same groups.

    Args:
        one_by_one: The services whose callers this deploy lets in one by one, however many they are.
    """
    return dict(_rules(mesh, one_by_one))


def _rules(mesh: Mesh, one_by_one: Collection[str]) -> Iterator[tuple[CallerRule, str]]:
    many = callers(mesh)
    runners = {declared.proxy_place: name for name, declared in mesh.services.items()}
    for call in mesh.calls():
        if not mesh.is_run(call.node):
            continue
        caller, callee, node = (
            runners.get(call.caller, ""),
            mesh.service_of(call.node),
            mesh.virtual_nodes.get(call.node),
        )
        if not caller or not node or not node.listeners:
            continue
        stack, port = stack_of("services", mesh.shards, callee), node.listeners[0].port_mapping.port
        is_attached = mesh.services[caller].attached is not None
        admitted = admission(many[callee], is_one_by_one=callee in one_by_one)
        if is_attached or admitted.own:
            yield CallerRule(stack, group_of(mesh, callee), group_of(mesh, caller), port), callee
        if admitted.shared and not is_attached:
            yield CallerRule(stack, group_of(mesh, callee), SHARED, port), callee


def check_caller_rules(mesh: Mesh, findings: Findings) -> None:
    """Report a security group that would have more rules than it has room for: AWS refuses one in mid-deploy."""
    rules = caller_rules(mesh)
    for group in dict.fromkeys(rule.callee for rule in rules):
        callees = Counter(callee for rule, callee in rules.items() if rule.callee == group)
        ((service, _),) = callees.most_common(1)
        count = _count(mesh, service, rules)
        if count > MOST_RULES:
            findings.add(
                f"services.{service}",
                f"its security group would have {count} rules for those who call it, and takes {MOST_RULES}: services "
                "and jobs of yours (attached) are let in one by one",
                "Write one security_group for several of them, and give it to their tasks: it is let in by one rule",
                given=("services",),
            )


def one_by_one_faults(mesh: Mesh, one_by_one: Collection[str]) -> Iterator[Fault]:
    """The faults of a deploy that lets in the callers of these services one by one: AWS would refuse it half way."""
    many, rules = callers(mesh), caller_rules(mesh, one_by_one)
    for service in sorted(one_by_one):
        if service not in many:
            yield Fault(ONE_BY_ONE, f"no service calls a service {service!r}", "Write the name of one that is called")
        elif (count := _count(mesh, service, rules)) > MOST_RULES:
            yield Fault(
                ONE_BY_ONE,
                f"the security group of {service} would have {count} rules, one for each that calls it, and takes "
                f"{MOST_RULES}",
                "Deploy it with those callers alone that it has now, or without this if none of them is new",
            )


def _count(mesh: Mesh, service: str, rules: Mapping[CallerRule, str]) -> int:
    """The rules of a service's security group."""
    group = group_of(mesh, service)
    return len({(rule.caller, rule.port) for rule in rules if rule.callee == group}) + _others(mesh, service)


def _others(mesh: Mesh, service: str) -> int:
    """The rules for whom the mesh file names beside callers."""
    if mesh.services[service].attached:
        return 0
    sources = [
        each
        for listener in mesh.virtual_nodes[mesh.services[service].virtual_node].listeners
        for each in listener.permissive_from
    ]
    return len(sources) + (len(mesh.metrics.scrapers) if mesh.metrics else 0)


def group_of(mesh: Mesh, service: str) -> str:
    """The security group of a service, as a :class:`CallerRule` names it."""
    attached = mesh.services[service].attached
    return attached.security_group if attached else service
