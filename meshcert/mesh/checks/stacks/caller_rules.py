"""The rules of security groups that let callers in: of each group there is room for so many."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from meshcert.mesh.edges.callers import JOINED_FROM, MOST_ONE_BY_ONE, callers
from meshcert.mesh.stacks.shards import stack_of

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def caller_rules(mesh: Mesh) -> dict[CallerRule, str]:
    """The rules for every call inside the mesh, each with the callee's service; one for those with the same groups."""
    return dict(_rules(mesh))


def _rules(mesh: Mesh) -> Iterator[tuple[CallerRule, str]]:
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
        if is_attached or many[callee] <= MOST_ONE_BY_ONE:
            yield CallerRule(stack, _group(mesh, callee), _group(mesh, caller), port), callee
        if many[callee] > JOINED_FROM and not is_attached:
            yield CallerRule(stack, _group(mesh, callee), SHARED, port), callee


def check_caller_rules(mesh: Mesh, findings: Findings) -> None:
    """Report a security group that would have more rules than it has room for: AWS refuses one in mid-deploy."""
    rules = caller_rules(mesh)
    for group in dict.fromkeys(rule.callee for rule in rules):
        callees = Counter(callee for rule, callee in rules.items() if rule.callee == group)
        ((service, _),) = callees.most_common(1)
        count = len({(rule.caller, rule.port) for rule in rules if rule.callee == group}) + _others(mesh, service)
        if count > MOST_RULES:
            findings.add(
                f"services.{service}",
                f"its security group would have {count} rules for those who call it, and takes {MOST_RULES}: services "
                "and jobs of yours (attached) are let in one by one",
                "Write one security_group for several of them, and give it to their tasks: it is let in by one rule",
                given=("services",),
            )


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


def _group(mesh: Mesh, service: str) -> str:
    attached = mesh.services[service].attached
    return attached.security_group if attached else service
