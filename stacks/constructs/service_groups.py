"""The security groups of services: in one stack, since two services that call each other would tie two together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from meshcert import naming
from meshcert.mesh.edges.callers import ONE_BY_ONE, admission, callers, one_by_one, sharing
from stacks.shards import parameter_value, scope_of_part

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcert.mesh import Mesh

_GROUP = "-group"


class ServiceGroups(Construct):
    """
    The security groups of the services that have a shard, and the way from each stack to every group.

    Other stacks find a group's id in a parameter of Systems Manager, by the service's name: a stack has 200 outputs at
    most, and an export could not change while another stack reads it.

    Args:
        scope: The stack that makes the groups.
        vpc: The network of all tasks.
    """

    def __init__(self, scope: Stack, construct_id: str, *, mesh: Mesh, vpc: ec2.IVpc) -> None:
        super().__init__(scope, construct_id)
        self._mesh = mesh
        self._vpc = vpc
        self._home = scope
        self._known: dict[tuple[str, str], ec2.ISecurityGroup] = {}
        self._callers = callers(mesh)
        self._one_by_one = one_by_one(scope.node.try_get_context(ONE_BY_ONE))
        self._sharing = sharing(mesh, self._one_by_one)
        # With shards always: this stack is updated before those whose tasks still have the group.
        if mesh.shards or self._sharing:
            self._make_shared()

    def make_for_shards(self, services: Iterable[str]) -> None:
        """Make the groups of services whose tasks have another stack."""
        for service in services:
            if self._mesh.services[service].attached:
                continue
            self.make(self, f"{service}{_GROUP}", service)

    def make(self, scope: Construct, construct_id: str, service: str) -> None:
        """Make the group of a service's tasks, in the stack of groups; its rules are made where they are called for."""
        group = ec2.SecurityGroup(
            scope,
            construct_id,
            vpc=self._vpc,
            description=f"Tasks of {service}",
            # Whom a task reaches inside the mesh, the callees' groups say.
            allow_all_outbound=self._reaches_all(service),
        )
        self._known[self._home.node.path, service] = group
        if self._mesh.shards:
            ssm.StringParameter(
                self,
                # Else the group of another service would have this id.
                f"Parameter-{service}" if service.endswith(_GROUP) else service,
                parameter_name=naming.group_parameter(self._mesh.name, service),
                description=f"meshcert {self._mesh.name}: security group of {service}",
                string_value=group.security_group_id,
            )

    def of(self, service: str, stack: Stack) -> ec2.ISecurityGroup:
        """
        The group of a service's tasks, as a stack may name it and write rules into it.

        Services of the user's may share one: it is one construct, so that what two of them need is one rule. Of two
        that are the same EC2 makes one, and it is gone as soon as either is taken away.
        """
        attached = self._mesh.services[service].attached
        place = (stack.node.path, attached.security_group if attached else service)
        if place not in self._known:
            construct_id = f"Group-{attached.security_group}" if attached else f"{service}{_GROUP}"
            self._known[place] = ec2.SecurityGroup.from_security_group_id(
                scope_of_part(stack, construct_id, self._mesh),
                construct_id,
                attached.security_group if attached else self._id_in(stack, service),
                allow_all_outbound=self._reaches_all(service),
            )
        return self._known[place]

    def shared_by(self, service: str, stack: Stack) -> list[ec2.ISecurityGroup]:
        """The group that a service's tasks have besides its own: one, if it calls a service with many callers."""
        return [self._shared_in(stack)] if service in self._sharing else []

    def callers_of(self, callee: str, caller: str, stack: Stack) -> list[ec2.ISecurityGroup]:
        """
        The groups that let a caller in: its own, the one that it shares with other callers, or both.

        Args:
            stack: The callee's.
        """
        own = self.of(caller, stack)
        if self._mesh.services[caller].attached:
            return [own]
        admitted = admission(self._callers[callee], is_one_by_one=callee in self._one_by_one)
        return [*([self._shared_in(stack)] if admitted.shared else []), *([own] if admitted.own else [])]

    def _make_shared(self) -> None:
        group = ec2.SecurityGroup(
            self,
            "Callers",
            vpc=self._vpc,
            description="Tasks that call a service with many callers",
            allow_all_outbound=False,
        )
        self._known[self._home.node.path, ""] = group
        if self._mesh.shards:
            ssm.StringParameter(
                self,
                "CallersParameter",
                parameter_name=naming.callers_parameter(self._mesh.name),
                description=f"meshcert {self._mesh.name}: security group of callers of services with many callers",
                string_value=group.security_group_id,
            )

    def _shared_in(self, stack: Stack) -> ec2.ISecurityGroup:
        place = (stack.node.path, "")
        if place not in self._known:
            group_id = parameter_value(stack, naming.callers_parameter(self._mesh.name))
            self._known[place] = ec2.SecurityGroup.from_security_group_id(
                stack, "Callers", group_id, allow_all_outbound=False
            )
        return self._known[place]

    def _id_in(self, stack: Stack, service: str) -> str:
        return parameter_value(stack, naming.group_parameter(self._mesh.name, service))

    def _reaches_all(self, service: str) -> bool:
        application = self._mesh.services[service].application
        return application is None or application.egress is None
